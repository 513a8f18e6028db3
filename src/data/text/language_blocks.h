// language_blocks.h -- blocks of a token stream as batches for causal language models.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/loader/batch_maker.h"
#include "data/text/token_stream.h"

namespace gfsa::data {

// What of the stream each sample is.
struct BlockOptions {
  int64_t block = 128;
  int64_t stride = 0;    // evaluation: tokens that a sample counts; 0: all of the block
  bool training = true;  // else every token counts exactly once, in an incomplete last sample too
  bool shift = false;    // training: where blocks begin depends on the epoch
  bool grouped = false;  // blocks within the stream's groups, first tokens not predicted, remainders dropped
  uint64_t seed = 0;
};

// Batches of
//   ids         i64 [B, block]   what the model reads; 0 behind the end of an incomplete last sample
//   labels      i64 [B, block]   the token after each, which it is to predict; -100: does not count
//   sample_ids  i64 [B]
class LanguageBlocks : public BatchMaker {
 public:
  static constexpr int64_t kIgnored = -100;

  // Bad input that names the stream if it does not fill one training block, or holds nothing to predict.
  LanguageBlocks(std::shared_ptr<const TokenStream> stream, std::string name, const BlockOptions& options);

  int64_t size() const override { return size_; }
  std::string sample_name(int64_t index) const override;
  void allocate(Batch& batch, std::span<const SampleRef> samples) override;
  void fill(Batch& batch, int64_t slot, const SampleRef& sample) override;

  const TokenStream& stream() const { return *stream_; }

 private:
  int64_t begin_of(int64_t index, int64_t epoch) const;

  std::shared_ptr<const TokenStream> stream_;
  std::string name_;
  BlockOptions options_;
  std::vector<int64_t> begins_;  // grouped: of each block
  int64_t size_ = 0;
};

}  // namespace gfsa::data
