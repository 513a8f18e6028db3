// token_stream.h -- a text as one long row of token ids: what language models are trained on.
//
// With a cache folder the row lies in a file there, mapped into memory, tokens-<hash>.safetensors: `tokens` (I32 [T]),
// `groups` (I64 [G + 1]), and in its metadata what it was made from. It is made once for each text, tokenizer and way
// of reading lines; one that is damaged or of something else is made anew.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "formats/safetensors.h"
#include "tokenizers/tokenizer.h"

namespace gfsa::data {

struct StreamOptions {
  // What becomes of a line's end: keep (a character like others; with per_1000_lines an empty line is nothing at all,
  // as Hugging Face's WikiText has it), strip (lines lose the white space at both ends and follow each other without
  // anything between them), token (the same with the tokenizer's end-of-text token behind each line, and one before the
  // first).
  std::string lines = "keep";
  // Whether lines are joined in groups of 1,000, whose tokens no block crosses: the reference code's map batches.
  bool per_1000_lines = false;
  std::string cache = {};  // folder; "": the tokens are kept in memory
};

class TokenStream {
 public:
  // Bad input: text that is no UTF-8, a tokenizer without end-of-text token where `token` asks for one.
  static std::shared_ptr<const TokenStream> make(Env& env, std::string_view text, const std::string& name,
                                                 const tokenizers::Tokenizer& tokenizer, const StreamOptions& options);

  std::span<const int32_t> ids() const { return ids_; }
  // Where each group begins, and the end; one group is all.
  std::span<const int64_t> groups() const { return groups_; }
  int64_t words() const { return words_; }  // of the text, split at white space; each line's end counts as one
  int64_t bytes() const { return bytes_; }  // of the text
  const std::string& fingerprint() const { return fingerprint_; }  // of text, tokenizer and options
  const std::string& file() const { return file_; }                // of the cache, or ""

 private:
  TokenStream() = default;
  bool map(Env& env, const std::string& path, int64_t vocabulary);
  void save(Env& env, const std::string& folder);

  std::vector<int32_t> own_ids_;
  std::vector<int64_t> own_groups_;
  std::unique_ptr<SafetensorsFile> mapped_;
  std::span<const int32_t> ids_;
  std::span<const int64_t> groups_;
  int64_t words_ = 0, bytes_ = 0;
  std::string fingerprint_, file_;
};

// Words of a text as language modelling counts them: pieces between white space, and one for each line's end.
int64_t count_words(std::string_view text);

}  // namespace gfsa::data
