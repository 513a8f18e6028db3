// word_tokenizer.h -- a tokenizer that needs no files: words in the order in which they are given, split at spaces,
// with
// "\n" a word of its own. Ids 0 to 4 are [PAD] [UNK] [CLS] [SEP] [MASK]; [SEP] ends texts too.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "tokenizers/tokenizer.h"

namespace gfsa::data {

class WordTokenizer : public tokenizers::Tokenizer {
 public:
  explicit WordTokenizer(std::vector<std::string> words) { words_.insert(words_.end(), words.begin(), words.end()); }

  tokenizers::Encoding encode(std::string_view text, const tokenizers::EncodeOptions& options = {}) const override {
    tokenizers::Encoding e;
    if (options.special_tokens) add(e, 2, 0);
    std::vector<int32_t> ids = split(text);
    if (options.max_length) {
      ids.resize(std::min<size_t>(ids.size(), *options.max_length - (options.special_tokens ? 2 : 0)));
    }
    for (const int32_t id : ids) add(e, id, 0);
    if (options.special_tokens) add(e, 3, 0);
    return e;
  }
  tokenizers::Encoding encode_pair(std::string_view a, std::string_view b,
                                   const tokenizers::EncodeOptions& options = {}) const override {
    std::vector<int32_t> first = split(a), second = split(b);
    while (options.max_length && static_cast<int64_t>(first.size() + second.size()) + 3 > *options.max_length) {
      (first.size() > second.size() ? first : second).pop_back();
    }
    tokenizers::Encoding e;
    add(e, 2, 0);
    for (const int32_t id : first) add(e, id, 0);
    add(e, 3, 0);
    for (const int32_t id : second) add(e, id, 1);
    add(e, 3, 1);
    return e;
  }
  std::string decode(const std::vector<int32_t>& ids, bool = true) const override {
    std::string out;
    for (const int32_t id : ids) out += (out.empty() ? "" : " ") + token(id);
    return out;
  }
  int64_t size() const override { return static_cast<int64_t>(words_.size()); }
  std::optional<int32_t> id_of(std::string_view word) const override {
    const auto at = std::find(words_.begin(), words_.end(), word);
    if (at == words_.end()) return std::nullopt;
    return static_cast<int32_t>(at - words_.begin());
  }
  std::string token(int32_t id) const override { return words_.at(static_cast<size_t>(id)); }
  std::optional<int32_t> special_id(std::string_view role) const override {
    if (role == "pad") return 0;
    if (role == "unk") return 1;
    if (role == "cls") return 2;
    if (role == "sep" || role == "eos") return 3;
    if (role == "mask") return 4;
    return std::nullopt;
  }
  int64_t special_count(bool pair) const override { return pair ? 3 : 2; }
  std::string to_json() const override { return decode({}) + std::to_string(words_.size()); }

 private:
  static void add(tokenizers::Encoding& e, int32_t id, int32_t type) {
    e.ids.push_back(id);
    e.types.push_back(type);
    e.offsets.emplace_back(0, 0);
    e.special.push_back(id < 5);
  }
  std::vector<int32_t> split(std::string_view text) const {
    std::vector<int32_t> ids;
    std::string word;
    const auto end = [&] {
      if (!word.empty()) ids.push_back(id_of(word).value_or(1));
      word.clear();
    };
    for (const char c : text) {
      if (c == ' ' || c == '\n') {
        end();
      } else {
        word += c;
      }
      if (c == '\n') ids.push_back(id_of("\n").value_or(1));
    }
    end();
    return ids;
  }

  std::vector<std::string> words_{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
};

}  // namespace gfsa::data
