// train.h -- a tokenizer from text: WordPiece and byte-level BPE as Hugging Face's trainers make them, and the plain
// vocabularies of small experiments. Special tokens and what stands around texts are a model family's
// (special_tokens.h).
//
//   byte_bpe   GPT-2's words and bytes; ids: special tokens, the 256 bytes, merges. The same vocabulary and merges as
//              BpeTrainer's with ByteLevel's alphabet
//   wordpiece  BERT's normalizer and words; ids: special tokens, characters, characters behind "##", merges. Where
//              pairs are equally frequent, WordPieceTrainer decides by a hash table's order, which changes from run to
//              run; here the smaller ids win, and characters have theirs in the order of their code points
//   word       words between white space, as they are written; ids: special tokens, then by frequency
//   character  code points, in their order behind the special tokens, whatever min_frequency says
//   byte       the 256 bytes in their order behind the special tokens; learns nothing
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "tokenizers/tokenizer.h"

namespace gfsa::tokenizers {

struct TrainOptions {
  std::string kind = "byte_bpe";  // byte_bpe, wordpiece, word (split at white space), character, byte
  int64_t vocabulary = 8192;      // at most; special tokens included
  int64_t min_frequency = 2;      // of a pair or word, 1 or more
  bool lowercase = false;         // wordpiece: as BERT's uncased models
  // "bert", "roberta", ...: whose special tokens it begins with and puts around texts; "": what running text needs.
  std::string special_tokens;
};

// for_each_text calls its argument once a text, in order; it may be called several times and must then give the same.
// The same tokenizer for the same texts, whatever their order. Bad input: options that cannot be (all of them), no
// text, text that is not UTF-8.
std::shared_ptr<const Tokenizer> train_tokenizer(
    const std::function<void(const std::function<void(std::string_view)>&)>& for_each_text,
    const TrainOptions& options);

}  // namespace gfsa::tokenizers
