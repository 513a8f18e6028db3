// Byte pair encoding: of the neighbours in a word that may merge, those whose merge was learned first do, the leftmost
// first, until none may.
#include <algorithm>
#include <array>
#include <bit>
#include <nlohmann/json.hpp>
#include <queue>

#include "base/error.h"
#include "tokenizers/json_reader.h"
#include "tokenizers/model.h"
#include "tokenizers/unicode.h"

namespace gfsa::tokenizers {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int32_t kNoMerge = INT32_MAX;

struct Merge {
  int32_t rank = kNoMerge;
  int32_t into = -1;
};

// What two neighbours merge into. Open addressing: a word asks once for each of its pairs.
class MergeTable {
 public:
  explicit MergeTable(size_t count) : slots_(std::bit_ceil(2 * count + 2)) {}
  void set(int32_t a, int32_t b, Merge merge) {
    Slot& slot = slots_[place(key(a, b))];
    slot = {key(a, b), merge};
  }
  Merge find(int32_t a, int32_t b) const { return slots_[place(key(a, b))].merge; }
  // (a, b) in the order of their ranks; a rank that was given twice went to the later pair.
  std::vector<std::pair<int32_t, int32_t>> in_order() const {
    std::vector<const Slot*> used;
    for (const Slot& s : slots_) {
      if (s.key != kFree) used.push_back(&s);
    }
    std::sort(used.begin(), used.end(), [](const Slot* x, const Slot* y) { return x->merge.rank < y->merge.rank; });
    std::vector<std::pair<int32_t, int32_t>> out;
    for (const Slot* s : used) out.emplace_back(static_cast<int32_t>(s->key >> 32), static_cast<int32_t>(s->key));
    return out;
  }

 private:
  static constexpr uint64_t kFree = UINT64_MAX;
  struct Slot {
    uint64_t key = kFree;
    Merge merge;
  };
  static uint64_t key(int32_t a, int32_t b) {
    return static_cast<uint64_t>(static_cast<uint32_t>(a)) << 32 | static_cast<uint32_t>(b);
  }
  size_t place(uint64_t key) const {
    const size_t mask = slots_.size() - 1;
    uint64_t h = key * 0x9E3779B97F4A7C15u;
    h ^= h >> 32;
    size_t at = h & mask;
    while (slots_[at].key != key && slots_[at].key != kFree) at = (at + 1) & mask;
    return at;
  }
  std::vector<Slot> slots_;
};

struct Symbol {
  int32_t id;
  uint32_t bytes;
};

class Bpe : public Model {
 public:
  Bpe(Vocabulary vocabulary, const Merges& merges, const BpeOptions& options,
      const std::function<std::string(size_t)>& place)
      : Model(std::move(vocabulary)), options_(options), merges_(merges.size()) {
    const std::string prefix = options_.prefix.value_or("");
    for (size_t i = 0; i < merges.size(); ++i) {
      const std::string &a = merges[i].first, &b = merges[i].second;
      if (b.size() < prefix.size()) bad_input("{}: '{}' lacks the prefix '{}'", place(i), b, prefix);
      const auto id = [&](const std::string& token, const char* what) {
        const int32_t found = this->vocabulary().find(token);
        if (found < 0) bad_input("{}: '{} {}': {} '{}' is not in the vocabulary", place(i), a, b, what, token);
        return found;
      };
      const int32_t left = id(a, "token"), right = id(b, "token");
      merges_.set(left, right, {static_cast<int32_t>(i), id(a + b.substr(prefix.size()), "their merge")});
    }
    if (options_.unknown && !options_.unknown->empty()) unknown_ = this->vocabulary().find(*options_.unknown);
    for (unsigned b = 0; b < 256; ++b) {
      bytes_[b] = this->vocabulary().find(to_utf8(char_of_byte(static_cast<unsigned char>(b))));
    }
  }

  std::optional<std::string> unknown_token() const override { return options_.unknown; }
  ordered_json describe() const override {
    const auto text = [](const std::optional<std::string>& t) { return t ? ordered_json(*t) : ordered_json(); };
    return {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", text(options_.unknown)},
            {"continuing_subword_prefix", text(options_.prefix)},
            {"end_of_word_suffix", text(options_.suffix)},
            {"fuse_unk", options_.fuse_unknown},
            {"byte_fallback", options_.byte_fallback},
            {"ignore_merges", options_.ignore_merges}};
  }
  std::string describe_vocabulary() const override {
    std::string text = Model::describe_vocabulary() + ",\"merges\":[";
    bool first = true;
    for (const auto& [a, b] : merges_.in_order()) {
      text += fmt::format("{}\n[{},{}]", first ? "" : ",", json(vocabulary().token(a)).dump(),
                          json(vocabulary().token(b)).dump());
      first = false;
    }
    return text + "]";
  }
  bool can_take_bytes() const override {
    return options_.prefix.value_or("").empty() && options_.suffix.value_or("").empty() &&
           std::all_of(bytes_.begin(), bytes_.end(), [](int32_t id) { return id >= 0; });
  }
  void take_bytes(bool take) override { takes_bytes_ = take; }

 protected:
  void cut(std::string_view word, std::vector<Token>& out) const override {
    if (options_.ignore_merges) {
      const int32_t whole = vocabulary().find(takes_bytes_ ? as_characters(word) : std::string(word));
      if (whole >= 0) {
        out.push_back({whole, 0, static_cast<uint32_t>(word.size())});
        return;
      }
    }
    std::vector<Symbol> symbols = takes_bytes_ ? of_bytes(word) : of_characters(word);
    constexpr size_t kShort = 40;  // where looking through all pairs costs less than a heap
    if (symbols.size() <= kShort) {
      merge_short(symbols);
    } else {
      merge_long(symbols);
    }
    uint32_t at = 0;
    for (const Symbol& s : symbols) {
      out.push_back({s.id, at, at + s.bytes});
      at += s.bytes;
    }
  }

 private:
  static std::string as_characters(std::string_view bytes) {
    std::string text;
    for (const char b : bytes) append_utf8(text, char_of_byte(static_cast<unsigned char>(b)));
    return text;
  }
  std::vector<Symbol> of_bytes(std::string_view word) const {
    std::vector<Symbol> symbols;
    symbols.reserve(word.size());
    for (const char b : word) symbols.push_back({bytes_[static_cast<unsigned char>(b)], 1});
    return symbols;
  }

  // A character without a token is its bytes' tokens, or unknown, or is left out where there is no unknown token: what
  // stands behind it then has offsets that are too small, as in `tokenizers`.
  std::vector<Symbol> of_characters(std::string_view word) const {
    std::vector<Symbol> symbols;
    std::optional<Symbol> unknown;
    const auto flush = [&] {
      if (unknown) symbols.push_back(*unknown);
      unknown.reset();
    };
    for (size_t at = 0; at < word.size();) {
      const size_t begin = at;
      next_char(word, at);
      const auto bytes = static_cast<uint32_t>(at - begin);
      std::string character(word.substr(begin, bytes));
      if (begin > 0 && options_.prefix) character = *options_.prefix + character;
      if (at == word.size() && options_.suffix) character += *options_.suffix;
      if (const int32_t id = vocabulary().find(character); id >= 0) {
        flush();
        symbols.push_back({id, bytes});
        continue;
      }
      if (options_.byte_fallback && add_bytes(character, symbols)) continue;
      if (!options_.unknown) continue;
      if (unknown_ < 0) bad_input("the unknown token '{}' is not in the vocabulary", *options_.unknown);
      if (unknown && options_.fuse_unknown) {
        unknown->bytes += bytes;
      } else {
        flush();
        unknown = Symbol{unknown_, bytes};
      }
    }
    flush();
    return symbols;
  }
  bool add_bytes(const std::string& character, std::vector<Symbol>& symbols) const {
    std::vector<Symbol> found;
    for (const char c : character) {
      const int32_t id = vocabulary().find(fmt::format("<0x{:02X}>", static_cast<unsigned char>(c)));
      if (id < 0) return false;
      found.push_back({id, 1});
    }
    symbols.insert(symbols.end(), found.begin(), found.end());
    return true;
  }

  void merge_short(std::vector<Symbol>& symbols) const {
    std::array<Merge, 40> merges;  // of each symbol with the next one
    size_t n = symbols.size();
    const auto look = [&](size_t i) { merges[i] = merges_.find(symbols[i].id, symbols[i + 1].id); };
    for (size_t i = 0; i + 1 < n; ++i) look(i);
    while (n > 1) {
      size_t best = 0;
      for (size_t i = 1; i + 1 < n; ++i) {
        if (merges[i].rank < merges[best].rank) best = i;
      }
      if (merges[best].rank == kNoMerge) break;
      symbols[best] = {merges[best].into, symbols[best].bytes + symbols[best + 1].bytes};
      symbols.erase(symbols.begin() + static_cast<int64_t>(best) + 1);
      for (size_t i = best + 1; i + 2 < n; ++i) merges[i] = merges[i + 1];
      --n;
      if (best > 0) look(best - 1);
      if (best + 1 < n) look(best);
    }
  }

  void merge_long(std::vector<Symbol>& symbols) const {
    const size_t n = symbols.size();
    struct Candidate {
      int32_t rank;
      size_t at;
      int32_t into;
      bool operator>(const Candidate& o) const { return rank != o.rank ? rank > o.rank : at > o.at; }
    };
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
    std::vector<size_t> before(n), behind(n);
    for (size_t i = 0; i < n; ++i) {
      before[i] = i - 1;  // of the first: more than n
      behind[i] = i + 1;
    }
    const auto look = [&](size_t i) {
      const Merge merge = merges_.find(symbols[i].id, symbols[behind[i]].id);
      if (merge.rank != kNoMerge) queue.push({merge.rank, i, merge.into});
    };
    for (size_t i = 0; i + 1 < n; ++i) look(i);
    while (!queue.empty()) {
      const Candidate top = queue.top();
      queue.pop();
      const size_t right = behind[top.at];
      if (symbols[top.at].bytes == 0 || right >= n) continue;  // merged away, or the last
      const Merge now = merges_.find(symbols[top.at].id, symbols[right].id);
      if (now.rank != top.rank || now.into != top.into) continue;  // no longer these two
      symbols[top.at] = {top.into, symbols[top.at].bytes + symbols[right].bytes};
      symbols[right].bytes = 0;
      behind[top.at] = behind[right];
      if (behind[right] < n) before[behind[right]] = top.at;
      if (before[top.at] < n) look(before[top.at]);
      if (behind[top.at] < n) look(top.at);
    }
    std::erase_if(symbols, [](const Symbol& s) { return s.bytes == 0; });
  }

  BpeOptions options_;
  MergeTable merges_;
  int32_t unknown_ = -1;
  std::array<int32_t, 256> bytes_;
  bool takes_bytes_ = false;
};

}  // namespace

std::shared_ptr<Model> bpe_model(Vocabulary vocabulary, const Merges& merges, const BpeOptions& options,
                                 const std::function<std::string(size_t)>& place) {
  return std::make_shared<Bpe>(std::move(vocabulary), merges, options, place);
}

std::shared_ptr<Model> read_bpe(const JsonReader& json, Vocabulary vocabulary) {
  if (json.has("dropout") && json.at("dropout").number() != 0) {
    json.at("dropout").expected("null: random merges are not supported");
  }
  Merges merges;
  for (const JsonReader& item : json.items("merges")) {
    const nlohmann::json& v = item.value();
    if (v.is_array() && v.size() == 2 && v[0].is_string() && v[1].is_string()) {
      merges.emplace_back(v[0].get<std::string>(), v[1].get<std::string>());
      continue;
    }
    if (!v.is_string()) item.expected("[left, right]");
    const std::string text = v.get<std::string>();
    const size_t space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) item.expected("\"left right\"");
    merges.emplace_back(text.substr(0, space), text.substr(space + 1));
  }
  BpeOptions options;
  options.unknown = json.maybe_text("unk_token");
  options.prefix = json.maybe_text("continuing_subword_prefix");
  options.suffix = json.maybe_text("end_of_word_suffix");
  options.fuse_unknown = json.flag("fuse_unk", false);
  options.byte_fallback = json.flag("byte_fallback", false);
  options.ignore_merges = json.flag("ignore_merges", false);
  const std::string where = json.place();
  return bpe_model(std::move(vocabulary), merges, options,
                   [&](size_t i) { return fmt::format("{}.merges[{}]", where, i); });
}

}  // namespace gfsa::tokenizers
