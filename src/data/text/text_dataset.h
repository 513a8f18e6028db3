// text_dataset.h -- encoded texts as batches: padded to the longest of the batch, or side by side without padding.
#pragma once

#include <memory>
#include <string>

#include "data/loader/batch_maker.h"
#include "data/text/encoded_texts.h"
#include "data/text/text_source.h"

namespace gfsa::data {

// Batches of B texts, of which the longest has N tokens and all together T:
//                        padded       packed
//   ids        i64       [B, N]       [1, T]       padding: pad_id
//   segments   i64       [B, N]       [1, T]       only where some text has a second part
//   lengths    i64       [B]          -
//   positions  i64       -            [1, T]       from 0 in each text
//   offsets    i64       -            [B + 1]
//   labels     i64 [B], or f32 [B] for regression; only where the source is labelled
//   sample_ids i64 [B]
class TextDataset : public BatchMaker {
 public:
  struct Options {
    int64_t max_length = 128;
    bool packed = false;
    int32_t pad_id = 0;
  };
  TextDataset(std::shared_ptr<const TextSource> source, const tokenizers::Tokenizer& tokenizer, const Options& options);

  int64_t size() const override { return source_->size(); }
  int64_t largest_sample() const override { return texts_.longest(); }
  std::string sample_name(int64_t index) const override { return source_->sample_name(index); }
  void allocate(Batch& batch, std::span<const SampleRef> samples) override;
  void fill(Batch& batch, int64_t slot, const SampleRef& sample) override;
  void finish(Batch& batch) override;

  const TextSource& source() const { return *source_; }
  const EncodedTexts& texts() const { return texts_; }

 private:
  std::shared_ptr<const TextSource> source_;
  EncodedTexts texts_;
  Options options_;
};

}  // namespace gfsa::data
