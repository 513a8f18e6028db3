// tokenizer.h -- text to ids and back, with the numbers of Hugging Face's tokenizers.
//
// A tokenizer is read from a folder or a file in one of the ecosystem's formats (read_tokenizer) or trained from text
// (train.h), and written as tokenizer.json. Ids, types, offsets, special tokens, truncation and decoding are those of
// `tokenizers` 0.23.3 (pip) for the same files; the tables of Unicode are ICU's (unicode.h).
//
// Text is UTF-8. Bytes that are not are bad input, with the byte's offset. Immutable and thread safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/env.h"

namespace gfsa::tokenizers {

// Of one text or one pair.
struct Encoding {
  std::vector<int32_t> ids;
  std::vector<int32_t> types;                        // 0, and 1 for the second text where the format says so
  std::vector<std::pair<int32_t, int32_t>> offsets;  // each token's bytes [begin, end) in its text; (0, 0): special
  std::vector<bool> special;                         // added around the text
};

struct EncodeOptions {
  bool special_tokens = true;         // [CLS] a [SEP] b [SEP] and their like
  std::optional<int64_t> max_length;  // special tokens included; the longest of a pair is cut first, at its end
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  virtual Encoding encode(std::string_view text, const EncodeOptions& options = {}) const = 0;
  virtual Encoding encode_pair(std::string_view a, std::string_view b, const EncodeOptions& options = {}) const = 0;
  // Unknown ids are an error (exit code 1): they cannot come from encode().
  virtual std::string decode(const std::vector<int32_t>& ids, bool skip_special = true) const = 0;

  virtual int64_t size() const = 0;  // ids are 0 .. size() - 1, added tokens included
  virtual std::optional<int32_t> id_of(std::string_view token) const = 0;
  virtual std::string token(int32_t id) const = 0;
  // "pad", "unk", "cls", "sep", "mask", "bos", "eos"; nothing where the vocabulary has none.
  virtual std::optional<int32_t> special_id(std::string_view role) const = 0;
  // How many tokens encode() adds to one text or to a pair.
  virtual int64_t special_count(bool pair) const = 0;

  // The whole tokenizer in Hugging Face's tokenizer.json; the same bytes for equal tokenizers.
  virtual std::string to_json() const = 0;
  // XXH3 of to_json(), in hex: what a checkpoint remembers.
  std::string fingerprint() const;
};

// From a folder (tokenizer.json, else vocab.json + merges.txt, else vocab.txt, else spiece.model; tokenizer_config.json
// and special_tokens_map.json are heeded where they stand beside) or one such file. Bad input: file:line, what was
// expected.
std::shared_ptr<const Tokenizer> read_tokenizer(const std::string& path, Env& env = Env::real());

}  // namespace gfsa::tokenizers
