// post_process.h -- what tokenizer.json puts around texts (post_processor: TemplateProcessing, BertProcessing,
// RobertaProcessing, ByteLevel, Sequence).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tokenizers/tokenizer.h"

namespace gfsa::tokenizers {

class JsonReader;
class Vocabulary;

// One text's tokens, or those of a pair once they are together, and what trimming needs to know.
struct Sequence {
  Encoding encoding;
  std::string_view text;  // the original
  // Tokens whose own text is not what the vocabulary says: places in `encoding` and the text.
  std::vector<std::pair<size_t, std::string>> texts;
};

// The text of a token in the vocabulary.
using TokenText = std::function<const std::string&(int32_t)>;

class PostProcessor {
 public:
  virtual ~PostProcessor() = default;
  // One or two sequences become one; `special`: with the tokens around them.
  virtual void process(std::vector<Sequence>& sequences, bool special, const TokenText& token) const = 0;
  virtual int64_t added(bool pair) const = 0;
  // The ids that it puts around texts.
  virtual std::vector<int32_t> ids() const = 0;
  virtual nlohmann::ordered_json describe() const = 0;
};

// From tokenizer.json's "post_processor"; null: none.
std::shared_ptr<const PostProcessor> read_post_processor(const JsonReader& json);

// [CLS] a [SEP], [CLS] a [SEP] b [SEP] with types 0 and 1 for the second text and what follows.
std::shared_ptr<const PostProcessor> bert_template(const std::string& cls, int32_t cls_id, const std::string& sep,
                                                   int32_t sep_id);
std::shared_ptr<const PostProcessor> roberta_processor(const std::string& cls, int32_t cls_id, const std::string& sep,
                                                       int32_t sep_id, bool trim_offsets, bool add_prefix_space);
// Trims white space off the tokens' offsets.
std::shared_ptr<const PostProcessor> byte_level_processor(bool add_prefix_space, bool trim_offsets, bool use_regex);

// What is left of n1 and n2 tokens with `most` in all: the longest first.
std::pair<size_t, size_t> longest_first(size_t n1, size_t n2, size_t most);
void truncate(Encoding& encoding, size_t most);
void append(Encoding& to, const Encoding& from);

}  // namespace gfsa::tokenizers
