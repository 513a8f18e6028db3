#include "tokenizers/model.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tokenizers/json_reader.h"
#include "tokenizers/unicode.h"

namespace gfsa::tokenizers {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// The longest of the vocabulary's tokens that begins the rest of the word, again and again; the prefix marks tokens
// that do not begin it. One rest that begins with no token makes the whole word unknown.
class WordPiece : public Model {
 public:
  WordPiece(Vocabulary vocabulary, const WordPieceOptions& options, const std::string& where)
      : Model(std::move(vocabulary)), options_(options), unknown_(this->vocabulary().find(options.unknown)) {
    if (unknown_ < 0) bad_input("{}: the vocabulary has no unknown token '{}'", where, options.unknown);
    for (int32_t id = 0; id < this->vocabulary().limit(); ++id) {
      longest_ = std::max(longest_, this->vocabulary().token(id).size());
    }
  }
  std::optional<std::string> unknown_token() const override { return options_.unknown; }
  ordered_json describe() const override {
    return {{"type", "WordPiece"},
            {"unk_token", options_.unknown},
            {"continuing_subword_prefix", options_.prefix},
            {"max_input_chars_per_word", options_.longest_word}};
  }

 protected:
  void cut(std::string_view word, std::vector<Token>& out) const override {
    const size_t before = out.size();
    const auto unknown = [&] {
      out.resize(before);
      out.push_back({unknown_, 0, static_cast<uint32_t>(word.size())});
    };
    if (static_cast<int64_t>(count_chars(word)) > options_.longest_word) return unknown();
    std::string candidate;
    for (size_t start = 0; start < word.size();) {
      candidate = start > 0 ? options_.prefix : "";
      const size_t prefix = candidate.size();
      candidate.append(word.substr(start, longest_));
      int32_t id = -1;
      for (; candidate.size() > prefix; candidate.pop_back()) {
        const size_t end = start + candidate.size() - prefix;
        if (end < word.size() && is_continuation(word[end])) continue;
        if ((id = vocabulary().find(candidate)) >= 0) break;
      }
      if (id < 0) return unknown();
      const size_t end = start + candidate.size() - prefix;
      out.push_back({id, static_cast<uint32_t>(start), static_cast<uint32_t>(end)});
      start = end;
    }
  }

 private:
  WordPieceOptions options_;
  int32_t unknown_;
  size_t longest_ = 0;  // token, in bytes
};

class WordLevel : public Model {
 public:
  WordLevel(Vocabulary vocabulary, const std::string& unknown)
      : Model(std::move(vocabulary)), unknown_token_(unknown), unknown_(this->vocabulary().find(unknown)) {}
  std::optional<std::string> unknown_token() const override { return unknown_token_; }
  ordered_json describe() const override { return {{"type", "WordLevel"}, {"unk_token", unknown_token_}}; }

 protected:
  void cut(std::string_view word, std::vector<Token>& out) const override {
    int32_t id = vocabulary().find(word);
    if (id < 0) id = unknown_;
    if (id < 0) {
      bad_input("the word '{}' is not in the vocabulary, and neither is the unknown token '{}'", word, unknown_token_);
    }
    out.push_back({id, 0, static_cast<uint32_t>(word.size())});
  }
  bool cached() const override { return false; }

 private:
  std::string unknown_token_;
  int32_t unknown_;
};

constexpr int64_t kLargestId = INT32_MAX - 1;

Vocabulary read_vocabulary(const JsonReader& json) {
  if (!json.value().is_object()) json.expected("an object of tokens and their ids");
  std::vector<std::pair<std::string, int64_t>> tokens;
  tokens.reserve(json.value().size());
  for (const auto& [token, id] : json.value().items()) {
    if (!id.is_number_integer() || (id.is_number_unsigned() && id.get<uint64_t>() > kLargestId)) {
      bad_input("{}: token '{}' has the id {}, expected a whole number", json.place(), token,
                id.dump(-1, ' ', false, json::error_handler_t::replace));
    }
    tokens.emplace_back(token, id.get<int64_t>());
  }
  return {std::move(tokens), json.place()};
}

std::shared_ptr<Model> read_unigram(const JsonReader& json) {
  std::vector<std::pair<std::string, double>> pieces;
  for (const JsonReader& item : json.items("vocab")) {
    const nlohmann::json& v = item.value();
    if (!v.is_array() || v.size() != 2 || !v[0].is_string() || !v[1].is_number()) item.expected("[piece, score]");
    pieces.emplace_back(v[0].get<std::string>(), v[1].get<double>());
  }
  std::optional<int64_t> unknown;
  if (json.has("unk_id")) unknown = json.whole("unk_id", 0, kLargestId);
  return unigram_model(std::move(pieces), unknown, json.flag("byte_fallback", false), json.place());
}

}  // namespace

void Model::tokenize(std::string_view word, std::vector<Token>& out) const {
  if (!cached() || word.size() > WordCache::kLongestWord) return cut(word, out);
  WordCache& cache = WordCache::of_this_thread(number_);
  const uint64_t hash = hash_bytes(word);
  if (cache.find(word, hash, out)) return;
  const size_t before = out.size();
  cut(word, out);
  cache.add(word, hash, out.data() + before, out.size() - before);
}

std::string Model::describe_vocabulary() const {
  std::string text = "\"vocab\":{";
  bool first = true;
  for (int32_t id = 0; id < vocabulary_.limit(); ++id) {
    if (!vocabulary_.has(id)) continue;
    text += fmt::format("{}\n{}:{}", first ? "" : ",", json(vocabulary_.token(id)).dump(), id);
    first = false;
  }
  return text + "}";
}

std::shared_ptr<Model> wordpiece_model(Vocabulary vocabulary, const WordPieceOptions& options,
                                       const std::string& where) {
  return std::make_shared<WordPiece>(std::move(vocabulary), options, where);
}

std::shared_ptr<Model> word_level_model(Vocabulary vocabulary, const std::string& unknown) {
  return std::make_shared<WordLevel>(std::move(vocabulary), unknown);
}

std::shared_ptr<Model> read_model(const JsonReader& json) {
  std::string type;
  if (json.has("type")) {
    type = json.name("type", {"WordPiece", "BPE", "Unigram", "WordLevel"});
  } else {  // files of the first versions say nothing
    type = json.has("merges") ? "BPE" : json.has("unk_id") ? "Unigram" : "WordPiece";
  }
  if (type == "Unigram") return read_unigram(json);
  Vocabulary vocabulary = read_vocabulary(json.at("vocab"));
  if (type == "BPE") return read_bpe(json, std::move(vocabulary));
  if (type == "WordLevel") return word_level_model(std::move(vocabulary), json.text("unk_token"));
  WordPieceOptions options;
  options.unknown = json.text("unk_token", "[UNK]");
  options.prefix = json.text("continuing_subword_prefix", "##");
  options.longest_word = json.whole("max_input_chars_per_word", 100, 1, INT32_MAX);
  return wordpiece_model(std::move(vocabulary), options, json.place());
}

}  // namespace gfsa::tokenizers
