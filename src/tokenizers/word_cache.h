// word_cache.h -- the tokens of words that a model has cut before. Each thread has its own, so that nothing is locked;
// what a cache holds never changes a result.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gfsa::tokenizers {

struct Token {
  int32_t id = 0;
  uint32_t begin = 0, end = 0;  // bytes of the word
};

class WordCache {
 public:
  static constexpr size_t kLongestWord = 128;  // longer ones hardly come again
  static constexpr size_t kMostWords = 1 << 16;

  WordCache();
  // This thread's for the model with that number; the oldest of four goes.
  static WordCache& of_this_thread(uint64_t model);
  static uint64_t next_model();

  // Appends the word's tokens; false: it is not here.
  bool find(std::string_view word, uint64_t hash, std::vector<Token>& out) const;
  void add(std::string_view word, uint64_t hash, const Token* tokens, size_t count);

 private:
  struct Slot {
    uint64_t hash = 0;
    uint32_t key = 0, tokens = 0;
    uint16_t key_size = 0, count = 0;  // key_size 0: free
  };
  void clear();
  void grow();
  std::vector<Slot> slots_;
  size_t used_ = 0;
  std::string keys_;
  std::vector<Token> tokens_;
};

}  // namespace gfsa::tokenizers
