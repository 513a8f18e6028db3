// pre_tokenize.h -- the pre-tokenizers of tokenizer.json: BertPreTokenizer, ByteLevel, Whitespace, WhitespaceSplit,
// Metaspace, Punctuation, Digits, Split, CharDelimiterSplit, FixedLength, Sequence.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tokenizers/aligned_text.h"

namespace gfsa::tokenizers {

class JsonReader;

// A text and the parts of it that are left; none is empty.
struct Pieces {
  AlignedText text;
  std::vector<Span> parts;  // bytes [begin, end) of text.text, in order
};

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void split(Pieces& pieces) const = 0;
  virtual nlohmann::ordered_json describe() const = 0;
  // Whether it ends with turning bytes into GPT-2's characters; `keep` leaves them bytes, for a model that takes bytes.
  virtual bool ends_in_bytes() const { return false; }
  virtual void keep_bytes(bool) {}
};

// From tokenizer.json's "pre_tokenizer"; null: none.
std::shared_ptr<PreTokenizer> read_pre_tokenizer(const JsonReader& json);

std::shared_ptr<PreTokenizer> bert_pre_tokenizer();
std::shared_ptr<PreTokenizer> byte_level_pre_tokenizer(bool add_prefix_space, bool trim_offsets, bool use_regex);
std::shared_ptr<PreTokenizer> whitespace_split();
// U+2581 for spaces and before each text; U+2581 begins a part.
std::shared_ptr<PreTokenizer> metaspace_pre_tokenizer(bool prepend);
std::shared_ptr<PreTokenizer> sequence_pre_tokenizer(std::vector<std::shared_ptr<PreTokenizer>> steps);
std::shared_ptr<PreTokenizer> split_characters();  // each character a part: FixedLength of 1

}  // namespace gfsa::tokenizers
