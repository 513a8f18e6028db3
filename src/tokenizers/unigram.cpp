// The most probable pieces of a word (SentencePiece's unigram model), the way `tokenizers` finds them: the best path to
// every byte, from left to right; of equal ones the first.
#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "tokenizers/model.h"
#include "tokenizers/unicode.h"

namespace gfsa::tokenizers {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr double kUnknownPenalty = 10.0;  // below the least score

// Pieces by their bytes: children in a table of (node, byte).
class Trie {
 public:
  explicit Trie(const Vocabulary& vocabulary) : slots_(1 << 10) {
    for (int32_t id = 0; id < vocabulary.limit(); ++id) {
      uint32_t node = 0;
      for (const char c : vocabulary.token(id)) node = child_or_new(node, static_cast<unsigned char>(c));
      if (node != 0) ids_[node] = id;
    }
  }
  // 0: none.
  uint32_t child(uint32_t node, unsigned char byte) const { return slots_[place(key(node, byte))].child; }
  int32_t id(uint32_t node) const { return ids_[node]; }

 private:
  struct Slot {
    uint64_t key = 0;
    uint32_t child = 0;
  };
  static uint64_t key(uint32_t node, unsigned char byte) { return (static_cast<uint64_t>(node) << 8 | byte) + 1; }
  size_t place(uint64_t key) const {
    const size_t mask = slots_.size() - 1;
    uint64_t h = key * 0x9E3779B97F4A7C15u;
    h ^= h >> 32;
    size_t at = h & mask;
    while (slots_[at].key != key && slots_[at].key != 0) at = (at + 1) & mask;
    return at;
  }
  uint32_t child_or_new(uint32_t node, unsigned char byte) {
    size_t at = place(key(node, byte));
    if (slots_[at].key != 0) return slots_[at].child;
    if (2 * (ids_.size() + 1) > slots_.size()) {
      std::vector<Slot> old(2 * slots_.size());
      old.swap(slots_);
      for (const Slot& s : old) {
        if (s.key != 0) slots_[place(s.key)] = s;
      }
      at = place(key(node, byte));
    }
    slots_[at] = {key(node, byte), static_cast<uint32_t>(ids_.size())};
    ids_.push_back(-1);
    return slots_[at].child;
  }
  std::vector<Slot> slots_;
  std::vector<int32_t> ids_ = {-1};  // of each node's piece, -1: none
};

class Unigram : public Model {
 public:
  Unigram(Vocabulary vocabulary, std::vector<double> scores, std::optional<int64_t> unknown, bool byte_fallback,
          const std::string& where)
      : Model(std::move(vocabulary)),
        scores_(std::move(scores)),
        unknown_(unknown ? static_cast<int32_t>(*unknown) : -1),
        byte_fallback_(byte_fallback),
        trie_(this->vocabulary()) {
    if (unknown && *unknown >= static_cast<int64_t>(scores_.size())) {
      bad_input("{}: the unknown piece's id is {}, but there are {} pieces", where, *unknown, scores_.size());
    }
    for (const double s : scores_) least_ = std::min(least_, s);
  }
  std::optional<std::string> unknown_token() const override {
    if (unknown_ < 0) return std::nullopt;
    return vocabulary().token(unknown_);
  }
  ordered_json describe() const override {
    ordered_json j = {{"type", "Unigram"}, {"unk_id", nullptr}, {"byte_fallback", byte_fallback_}};
    if (unknown_ >= 0) j["unk_id"] = unknown_;
    return j;
  }
  std::string describe_vocabulary() const override {
    std::string text = "\"vocab\":[";
    for (int32_t id = 0; id < vocabulary().limit(); ++id) {
      text += fmt::format("{}\n[{},{}]", id > 0 ? "," : "", json(vocabulary().token(id)).dump(),
                          json(scores_[static_cast<size_t>(id)]).dump());
    }
    return text + "]";
  }

 protected:
  void cut(std::string_view word, std::vector<Token>& out) const override {
    struct Node {
      double score = 0;
      int64_t from = -1;  // -1: no path yet
      int32_t id = 0;
    };
    std::vector<Node> nodes(word.size() + 1);
    const double unknown_score = least_ - kUnknownPenalty;
    for (size_t at = 0; at < word.size();) {
      size_t behind = at;
      next_char(word, behind);
      const double here = nodes[at].score;
      const auto reach = [&](size_t end, double score, int32_t id) {
        Node& node = nodes[end];
        if (node.from >= 0 && !(score + here > node.score)) return;
        node = {score + here, static_cast<int64_t>(at), id};
      };
      bool one_character = false;
      uint32_t trie = 0;
      for (size_t end = at; end < word.size();) {
        trie = trie_.child(trie, static_cast<unsigned char>(word[end++]));
        if (trie == 0) break;
        const int32_t id = trie_.id(trie);
        if (id < 0) continue;
        reach(end, scores_[static_cast<size_t>(id)], id);
        one_character |= end == behind;
      }
      if (!one_character) {
        if (unknown_ < 0) bad_input("a character of '{}' is no piece, and the vocabulary has no unknown one", word);
        reach(behind, unknown_score, unknown_);
      }
      at = behind;
    }
    const size_t before = out.size();
    for (size_t end = word.size(); end > 0;) {
      const Node& node = nodes[end];
      const auto begin = static_cast<uint32_t>(node.from);
      if (node.id == unknown_ && out.size() > before && out.back().id == unknown_) {
        out.back().begin = begin;  // unknown neighbours are one
      } else {
        out.push_back({node.id, begin, static_cast<uint32_t>(end)});
      }
      end = begin;
    }
    std::reverse(out.begin() + static_cast<int64_t>(before), out.end());
    name(word, before, out);
  }

 private:
  // `tokenizers` looks the pieces' texts up again: an unknown one may be spelled like a piece, or be bytes.
  void name(std::string_view word, size_t before, std::vector<Token>& out) const {
    std::vector<Token> named;
    bool changed = false;
    for (size_t i = before; i < out.size(); ++i) {
      const Token& t = out[i];
      const std::string_view text = word.substr(t.begin, t.end - t.begin);
      const int32_t id = vocabulary().find(text);
      if (id == t.id) {
        named.push_back(t);
        continue;
      }
      if (id >= 0) {
        named.push_back({id, t.begin, t.end});
      } else if (!byte_fallback_ || !add_bytes(text, t, named)) {
        named.push_back({unknown_, t.begin, t.end});
      }
      changed = true;
    }
    if (!changed) return;
    out.resize(before);
    out.insert(out.end(), named.begin(), named.end());
  }
  bool add_bytes(std::string_view text, const Token& token, std::vector<Token>& out) const {
    const size_t before = out.size();
    for (const char c : text) {
      const int32_t id = vocabulary().find(fmt::format("<0x{:02X}>", static_cast<unsigned char>(c)));
      if (id < 0) {
        out.resize(before);
        return false;
      }
      out.push_back({id, token.begin, token.end});
    }
    return true;
  }

  std::vector<double> scores_;
  int32_t unknown_;
  bool byte_fallback_;
  double least_ = std::numeric_limits<double>::infinity();
  Trie trie_;
};

}  // namespace

std::shared_ptr<Model> unigram_model(std::vector<std::pair<std::string, double>> pieces, std::optional<int64_t> unknown,
                                     bool byte_fallback, const std::string& where) {
  std::vector<std::string> tokens;
  std::vector<double> scores;
  for (auto& [piece, score] : pieces) {
    tokens.push_back(std::move(piece));
    scores.push_back(score);
  }
  return std::make_shared<Unigram>(Vocabulary::in_order(std::move(tokens), where), std::move(scores), unknown,
                                   byte_fallback, where);
}

}  // namespace gfsa::tokenizers
