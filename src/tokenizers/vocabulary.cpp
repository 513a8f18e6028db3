#include "tokenizers/vocabulary.h"

#include <bit>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace gfsa::tokenizers {

// Two multiplications a word of eight bytes; the tables compare the bytes as well, so that nothing rests on its
// quality.
uint64_t hash_bytes(std::string_view bytes) {
  uint64_t h = 0x9E3779B97F4A7C15u ^ bytes.size();
  const auto mix = [&](uint64_t word) {
    h = (h ^ word) * 0xBF58476D1CE4E5B9u;
    h ^= h >> 29;
  };
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    mix(word);
  }
  if (left > 0) {
    uint64_t word = 0;
    std::memcpy(&word, at, left);
    mix(word);
  }
  h *= 0x94D049BB133111EBu;
  return h ^ (h >> 32);
}

Vocabulary::Vocabulary(std::vector<std::pair<std::string, int64_t>> tokens, const std::string& where) {
  const int64_t most = 4 * static_cast<int64_t>(tokens.size()) + 1'000'000;
  int64_t largest = -1;
  for (const auto& [token, id] : tokens) {
    if (id < 0 || id >= most) {
      bad_input("{}: token '{}' has the id {}, expected ids from 0 to about {}", where, token, id, tokens.size() - 1);
    }
    largest = std::max(largest, id);
  }
  tokens_.resize(static_cast<size_t>(largest + 1));
  present_.resize(tokens_.size());
  count_ = static_cast<int64_t>(tokens.size());
  for (auto& [token, id] : tokens) {
    const auto place = static_cast<size_t>(id);
    if (present_[place]) bad_input("{}: id {} is given to '{}' and to '{}'", where, id, tokens_[place], token);
    present_[place] = true;
    tokens_[place] = std::move(token);
  }
  index();
  for (int32_t id = 0; id < limit(); ++id) {
    if (present_[static_cast<size_t>(id)] && find(token(id)) != id) {
      bad_input("{}: token '{}' has the ids {} and {}", where, token(id), find(token(id)), id);
    }
  }
}

Vocabulary Vocabulary::in_order(std::vector<std::string> tokens, const std::string& where) {
  std::vector<std::pair<std::string, int64_t>> with_ids;
  with_ids.reserve(tokens.size());
  for (std::string& token : tokens) with_ids.emplace_back(std::move(token), with_ids.size());
  return {std::move(with_ids), where};
}

void Vocabulary::index() {
  slots_.assign(std::bit_ceil(2 * tokens_.size() + 2), -1);
  const size_t mask = slots_.size() - 1;
  for (size_t id = 0; id < tokens_.size(); ++id) {
    if (!present_[id]) continue;
    size_t at = hash_bytes(tokens_[id]) & mask;
    while (slots_[at] >= 0 && tokens_[static_cast<size_t>(slots_[at])] != tokens_[id]) at = (at + 1) & mask;
    if (slots_[at] < 0) slots_[at] = static_cast<int32_t>(id);
  }
}

int32_t Vocabulary::find(std::string_view token) const {
  if (slots_.empty()) return -1;
  const size_t mask = slots_.size() - 1;
  for (size_t at = hash_bytes(token) & mask; slots_[at] >= 0; at = (at + 1) & mask) {
    if (tokens_[static_cast<size_t>(slots_[at])] == token) return slots_[at];
  }
  return -1;
}

}  // namespace gfsa::tokenizers
