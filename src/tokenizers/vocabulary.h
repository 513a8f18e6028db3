// vocabulary.h -- tokens and their ids, both ways.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gfsa::tokenizers {

uint64_t hash_bytes(std::string_view bytes);

class Vocabulary {
 public:
  // `tokens`: (token, id). Bad input where an id stands for two tokens, a token has two ids, or ids are far from dense;
  // `where` begins the message.
  Vocabulary() = default;
  Vocabulary(std::vector<std::pair<std::string, int64_t>> tokens, const std::string& where);
  // Ids are places.
  static Vocabulary in_order(std::vector<std::string> tokens, const std::string& where);

  int32_t find(std::string_view token) const;  // -1: none
  // Of id < limit(); empty and absent where no token has it.
  const std::string& token(int32_t id) const { return tokens_[static_cast<size_t>(id)]; }
  bool has(int64_t id) const { return id >= 0 && id < limit() && present_[static_cast<size_t>(id)]; }
  int64_t limit() const { return static_cast<int64_t>(tokens_.size()); }  // the largest id and one
  int64_t count() const { return count_; }

 private:
  void index();
  std::vector<std::string> tokens_;
  std::vector<bool> present_;
  int64_t count_ = 0;
  std::vector<int32_t> slots_;  // ids by hash, -1: free
};

}  // namespace gfsa::tokenizers
