#include "tokenizers/train_bpe.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "tokenizers/unicode.h"

namespace gfsa::tokenizers {
namespace {

using Pair = std::pair<int32_t, int32_t>;

struct PairHash {
  size_t operator()(const Pair& p) const {
    uint64_t h = (static_cast<uint64_t>(static_cast<uint32_t>(p.first)) << 32 | static_cast<uint32_t>(p.second)) *
                 0x9E3779B97F4A7C15u;
    return h ^ (h >> 32);
  }
};

struct Word {
  std::vector<int32_t> symbols;
  int64_t count;
};

// A pair that may merge, with words that have it. A pair may wait more than once, with other words each time: where an
// older token is spelled again by a later merge. `tokenizers` does so too.
struct Candidate {
  int64_t count;
  Pair pair;
  int64_t order;
  std::vector<uint32_t> words;
  // The heap's top: most frequent, then smallest ids.
  bool operator<(const Candidate& o) const {
    if (count != o.count) return count < o.count;
    if (pair != o.pair) return o.pair < pair;
    return o.order < order;
  }
};

class Trainer {
 public:
  explicit Trainer(const BpeTraining& training) : training_(training) {}

  LearnedBpe learn(const std::vector<std::pair<std::string, int64_t>>& words) {
    for (const std::string& token : training_.special_tokens) id_of(token);
    add_alphabet(words);
    for (const auto& [text, count] : words) add_word(text, count);
    for (uint32_t w = 0; w < words_.size(); ++w) {
      const Word& word = words_[w];
      for (size_t i = 0; i + 1 < word.symbols.size(); ++i) {
        see({word.symbols[i], word.symbols[i + 1]}, word.count, w);
      }
    }
    queue_new();
    while (static_cast<int64_t>(tokens_.size()) < training_.vocabulary && !queue_.empty()) {
      std::pop_heap(queue_.begin(), queue_.end());
      Candidate top = std::move(queue_.back());
      queue_.pop_back();
      const int64_t now = counts_.at(top.pair);
      if (top.count != now) {  // merges since have taken some
        top.count = now;
        push(std::move(top));
        continue;
      }
      if (top.count < 1 || top.count < training_.min_frequency) break;
      merge(top);
      queue_new();
    }
    return {std::move(tokens_), last_of_each(merges_)};
  }

 private:
  int32_t id_of(const std::string& token) {
    const auto [found, added] = ids_.emplace(token, static_cast<int32_t>(tokens_.size()));
    if (added) tokens_.push_back(token);
    return found->second;
  }

  // Characters in the order of their code points; then those that continue words. There `tokenizers` takes them in the
  // order of a hash table, so that its ids, and who wins among equally frequent pairs, differ from run to run.
  void add_alphabet(const std::vector<std::pair<std::string, int64_t>>& words) {
    std::set<char32_t> alphabet(training_.alphabet.begin(), training_.alphabet.end()), continuing;
    for (const auto& [text, count] : words) {
      for (size_t at = 0; at < text.size();) {
        const bool first = at == 0;
        const char32_t c = next_char(text, at);
        alphabet.insert(c);
        if (!first) continuing.insert(c);
      }
    }
    for (const char32_t c : alphabet) id_of(to_utf8(c));
    if (training_.prefix.empty()) return;
    for (const char32_t c : continuing) id_of(training_.prefix + to_utf8(c));
  }

  void add_word(const std::string& text, int64_t count) {
    Word word{{}, count};
    for (size_t at = 0; at < text.size();) {
      const bool first = at == 0;
      const std::string c = to_utf8(next_char(text, at));
      word.symbols.push_back(ids_.at(first ? c : training_.prefix + c));
    }
    words_.push_back(std::move(word));
  }

  void change(Pair pair, int64_t by) { counts_[pair] += by; }
  void see(Pair pair, int64_t by, uint32_t word) {
    counts_[pair] += by;
    std::vector<uint32_t>& where = new_[pair];
    if (where.empty() || where.back() != word) where.push_back(word);
  }

  void queue_new() {
    for (auto& [pair, words] : new_) {
      const int64_t count = counts_.at(pair);
      if (count > 0) push({count, pair, order_++, std::move(words)});
    }
    new_.clear();
  }
  void push(Candidate candidate) {
    queue_.push_back(std::move(candidate));
    std::push_heap(queue_.begin(), queue_.end());
  }

  void merge(const Candidate& top) {
    const auto [left, right] = top.pair;
    std::string behind = tokens_[static_cast<size_t>(right)];
    if (!training_.prefix.empty() && behind.starts_with(training_.prefix)) behind.erase(0, training_.prefix.size());
    const int32_t into = id_of(tokens_[static_cast<size_t>(left)] + behind);
    merges_.emplace_back(tokens_[static_cast<size_t>(left)], tokens_[static_cast<size_t>(right)]);
    for (const uint32_t w : top.words) merge_in(w, left, right, into);
  }

  void merge_in(uint32_t w, int32_t left, int32_t right, int32_t into) {
    std::vector<int32_t>& symbols = words_[w].symbols;
    const int64_t count = words_[w].count;
    size_t to = 0;  // symbols[0, to) are done
    for (size_t from = 0; from < symbols.size();) {
      if (symbols[from] != left || from + 1 == symbols.size() || symbols[from + 1] != right) {
        symbols[to++] = symbols[from++];
        continue;
      }
      if (to > 0) {
        change({symbols[to - 1], left}, -count);
        see({symbols[to - 1], into}, count, w);
      }
      from += 2;
      if (from < symbols.size()) {
        change({right, symbols[from]}, -count);
        see({into, symbols[from]}, count, w);
      }
      symbols[to++] = into;
    }
    symbols.resize(to);
  }

  // A pair that merged twice has the rank of the second time.
  static Merges last_of_each(const Merges& merges) {
    Merges out;
    std::set<std::pair<std::string, std::string>> seen;
    for (auto m = merges.rbegin(); m != merges.rend(); ++m) {
      if (seen.insert(*m).second) out.push_back(*m);
    }
    std::reverse(out.begin(), out.end());
    return out;
  }

  BpeTraining training_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<Word> words_;
  std::unordered_map<Pair, int64_t, PairHash> counts_;
  std::unordered_map<Pair, std::vector<uint32_t>, PairHash> new_;
  std::vector<Candidate> queue_;
  int64_t order_ = 0;
  Merges merges_;
};

}  // namespace

LearnedBpe learn_bpe(const std::vector<std::pair<std::string, int64_t>>& words, const BpeTraining& training) {
  auto sorted = words;
  std::sort(sorted.begin(), sorted.end());
  return Trainer(training).learn(sorted);
}

}  // namespace gfsa::tokenizers
