#include "tokenizers/word_cache.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>

namespace gfsa::tokenizers {

WordCache::WordCache() { clear(); }

uint64_t WordCache::next_model() {
  static std::atomic<uint64_t> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}

WordCache& WordCache::of_this_thread(uint64_t model) {
  struct Entry {
    uint64_t model;
    std::unique_ptr<WordCache> cache;
  };
  constexpr size_t kMost = 4;
  thread_local std::vector<Entry> entries;
  thread_local WordCache* last = nullptr;
  thread_local uint64_t last_model = 0;
  if (model == last_model) return *last;
  auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.model == model; });
  if (found == entries.end()) {
    if (entries.size() == kMost) entries.erase(entries.begin());
    entries.push_back({model, std::make_unique<WordCache>()});
    found = entries.end() - 1;
  }
  last = found->cache.get();
  last_model = model;
  return *last;
}

void WordCache::clear() {
  slots_.assign(1 << 10, {});
  used_ = 0;
  keys_.clear();
  tokens_.clear();
}

void WordCache::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  const size_t mask = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.key_size == 0) continue;
    size_t at = slot.hash & mask;
    while (slots_[at].key_size != 0) at = (at + 1) & mask;
    slots_[at] = slot;
  }
}

bool WordCache::find(std::string_view word, uint64_t hash, std::vector<Token>& out) const {
  const size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.key_size == 0) return false;
    if (slot.hash != hash || slot.key_size != word.size()) continue;
    if (std::memcmp(keys_.data() + slot.key, word.data(), word.size()) != 0) continue;
    out.insert(out.end(), tokens_.begin() + slot.tokens, tokens_.begin() + slot.tokens + slot.count);
    return true;
  }
}

void WordCache::add(std::string_view word, uint64_t hash, const Token* tokens, size_t count) {
  if (word.empty() || word.size() > kLongestWord) return;
  if (used_ == kMostWords) clear();
  if (2 * (used_ + 1) > slots_.size()) grow();
  const size_t mask = slots_.size() - 1;
  size_t at = hash & mask;
  while (slots_[at].key_size != 0) at = (at + 1) & mask;
  slots_[at] = {hash, static_cast<uint32_t>(keys_.size()), static_cast<uint32_t>(tokens_.size()),
                static_cast<uint16_t>(word.size()), static_cast<uint16_t>(count)};
  keys_.append(word);
  tokens_.insert(tokens_.end(), tokens, tokens + count);
  ++used_;
}

}  // namespace gfsa::tokenizers
