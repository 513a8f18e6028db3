// added_tokens.h -- tokens that are found in the text before any word is cut: [MASK], <|endoftext|> and their like.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "tokenizers/model.h"
#include "tokenizers/normalize.h"

namespace gfsa::tokenizers {

struct AddedToken {
  std::string content;
  bool single_word = false;  // only between characters that are not \w
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // and behind it
  bool normalized = true;    // is looked for, normalized, in the normalized text
  bool special = false;      // decode() may skip it
  int64_t id = -1;           // what the file says
};

class AddedTokens {
 public:
  AddedTokens() = default;
  // A token that the model has keeps the model's id, others get ids from its end on, as in `tokenizers`. Of tokens with
  // the same content the last counts. Bad input where an id in the file says otherwise.
  AddedTokens(const std::vector<AddedToken>& tokens, const Model& model, const Normalizer& normalizer,
              const std::string& where);

  struct Part {
    size_t begin, end;
    int32_t id;  // -1: text between tokens
  };
  // The text in order; `normalized`: those tokens that are looked for after normalization.
  void split(std::string_view text, bool normalized, std::vector<Part>& out) const;
  bool any(bool normalized) const { return !tries_[normalized].empty(); }

  std::optional<int32_t> find(std::string_view content) const;
  const AddedToken* token(int32_t id) const;
  // What decoders get: the normalized content where it differs.
  const std::string& text(int32_t id) const;
  bool is_special(const std::string& text) const { return special_.contains(text); }
  int64_t limit() const;  // the largest id and one
  std::vector<std::pair<int32_t, const AddedToken*>> in_order() const;

 private:
  struct Trie {
    struct Node {
      std::vector<std::pair<unsigned char, uint32_t>> children;
      int32_t id = -1;
    };
    std::vector<Node> nodes;
    std::array<bool, 256> first{};  // bytes that begin a token
    bool empty() const { return nodes.empty(); }
    void add(std::string_view text, int32_t id);
    // The longest token at text[at]; its end, or 0.
    size_t longest(std::string_view text, size_t at, int32_t& id) const;
  };
  struct Entry {
    AddedToken token;
    std::string text;
  };
  Trie tries_[2];
  std::unordered_map<int32_t, Entry> by_id_;
  std::unordered_map<std::string, int32_t> by_content_;
  std::unordered_set<std::string> special_;
};

}  // namespace gfsa::tokenizers
