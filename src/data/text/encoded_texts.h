// encoded_texts.h -- the texts of a source as token ids, all of them in memory: lengths are known before a batch is
// made.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/text/text_source.h"
#include "tokenizers/tokenizer.h"

namespace gfsa::data {

class EncodedTexts {
 public:
  // Encodes texts or pairs, cut to max_length tokens with the special ones. Uses the team of base/threads.h; the same
  // result for any number of threads. Bad input that names the sample where the tokenizer refuses it.
  EncodedTexts(const TextSource& source, const tokenizers::Tokenizer& tokenizer, int64_t max_length);

  int64_t size() const { return static_cast<int64_t>(begins_.size()) - 1; }
  std::span<const int32_t> ids(int64_t i) const { return {ids_.data() + begin(i), static_cast<size_t>(length(i))}; }
  std::span<const uint8_t> types(int64_t i) const { return {types_.data() + begin(i), static_cast<size_t>(length(i))}; }
  int64_t length(int64_t i) const { return begin(i + 1) - begin(i); }
  // Whether any token is of the second text.
  bool has_types() const { return has_types_; }
  int64_t longest() const { return longest_; }  // the index of a text than which none is longer
  double mean_length() const { return static_cast<double>(ids_.size()) / static_cast<double>(size()); }

 private:
  int64_t begin(int64_t i) const { return begins_[static_cast<size_t>(i)]; }

  std::vector<int32_t> ids_;
  std::vector<uint8_t> types_;
  std::vector<int64_t> begins_{0};
  bool has_types_ = false;
  int64_t longest_ = 0;
};

}  // namespace gfsa::data
