// train_bpe.h -- merges learned from counted words, as Hugging Face's BpeTrainer learns them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tokenizers/model.h"

namespace gfsa::tokenizers {

struct BpeTraining {
  int64_t vocabulary = 8192;
  int64_t min_frequency = 2;
  std::vector<std::string> special_tokens;
  std::vector<char32_t> alphabet;  // besides the characters of the words
  std::string prefix;              // of tokens that do not begin a word; "" for byte-level BPE
};

struct LearnedBpe {
  std::vector<std::string> tokens;  // in the order of their ids
  Merges merges;
};

// `words`: (word in UTF-8, how often), each once. The same result for any order of the words. Of pairs that are equally
// frequent the one with the smaller left id merges first, then the one with the smaller right id.
LearnedBpe learn_bpe(const std::vector<std::pair<std::string, int64_t>>& words, const BpeTraining& training);

}  // namespace gfsa::tokenizers
