// train.h -- a tokenizer from text: WordPiece and byte-level BPE as Hugging Face's trainers make them, and the plain
// vocabularies of small experiments.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizers/tokenizer.h"

namespace gfsa::tokenizers {

struct TrainOptions {
  std::string kind = "byte_bpe";            // byte_bpe, wordpiece, word (split at white space), character, byte
  int64_t vocabulary = 8192;                // at most; special tokens included
  int64_t min_frequency = 2;                // of a pair or word
  bool lowercase = false;                   // wordpiece: as BERT's uncased models
  std::vector<std::string> special_tokens;  // first ids, in this order; the kind's usual ones if empty
};

// for_each_text calls its argument once a text, in order; it may be called several times and must then give the same.
// The same tokenizer for the same texts in the same order, on any number of threads.
std::shared_ptr<const Tokenizer> train_tokenizer(
    const std::function<void(const std::function<void(std::string_view)>&)>& for_each_text,
    const TrainOptions& options);

}  // namespace gfsa::tokenizers
