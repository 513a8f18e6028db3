// masked_blocks.h -- blocks of a token stream with hidden tokens, as batches for masked language models.
//
// Of the T text tokens of a block, max(1, round(share T)) are chosen and are to be predicted (Devlin et al. 2019, arXiv
// 1810.04805, appendix A.1; the number is fixed as in BERT's own code, so that all batches have one shape). Of them 80%
// become the mask token, 10% a random token of the vocabulary, 10% stay. What is chosen is a function of (seed, epoch,
// the sample's position in the epoch): every epoch masks anew, as RoBERTa does (arXiv 1907.11692).
#pragma once

#include <memory>
#include <string>

#include "data/loader/batch_maker.h"
#include "data/text/token_stream.h"

namespace gfsa::data {

struct MaskOptions {
  int64_t block = 128;          // tokens of a sample, the two around it included
  double share = 0.15;          // of the text's tokens
  int32_t first = 0, last = 0;  // the tokens around a block: [CLS], [SEP]
  int32_t mask = 0;             // [MASK]
  int64_t vocabulary = 0;
  uint64_t seed = 0;
};

// Batches of
//   ids         i64 [B, block]
//   rows        i64 [R]         places of the hidden tokens among the B block ones, rising; R is the same for each
//   sample labels      i64 [R]         what stood there sample_ids  i64 [B]
// The text is cut into blocks that do not overlap; what is left at its end is not used.
class MaskedBlocks : public BatchMaker {
 public:
  // Bad input that names the stream if it does not fill one block.
  MaskedBlocks(std::shared_ptr<const TokenStream> stream, std::string name, const MaskOptions& options);

  int64_t size() const override { return size_; }
  std::string sample_name(int64_t index) const override;
  void allocate(Batch& batch, std::span<const SampleRef> samples) override;
  void fill(Batch& batch, int64_t slot, const SampleRef& sample) override;

  int64_t hidden() const { return hidden_; }  // tokens of each sample

 private:
  std::shared_ptr<const TokenStream> stream_;
  std::string name_;
  MaskOptions options_;
  int64_t size_ = 0, hidden_ = 0;
};

}  // namespace gfsa::data
