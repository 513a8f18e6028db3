// image_dataset.h -- joins a source of pictures with the augmentation: the BatchMaker of image tasks.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "data/image/augment_config.h"
#include "data/image/image_source.h"
#include "data/image/transform.h"
#include "data/loader/batch_maker.h"
#include "data/loader/sample_cache.h"

namespace gfsa::data {

struct ImageDatasetOptions {
  bool train = true;  // TrainTransform, mixing, soft targets; else EvalTransform
  int image_size = 32;
  int channels = 3;  // 1: gray (ITU-R 601 luma), normalised with the first mean and std
  uint64_t seed = 0;
  int64_t cache_bytes = 0;  // decoded pictures kept
  int64_t classes = 0;      // columns of targets, where the model has more classes than the source; 0: the source's
};

// Batches of
//   images      f32 [B, channels, image_size, image_size]
//   labels      i64 [B]
//   targets     f32 [B, classes]   only in training, if labels are smoothed or samples mixed
//   sample_ids  i64 [B]            index in the source (of the replacement, where one was skipped)
// The random numbers of a sample come from (seed, epoch, its position in the epoch), those of a batch's mixing from its
// first sample's position.
class ImageDataset : public BatchMaker {
 public:
  // Throws bad input if the source gives pixels (f32) and the augmentation wants to change pictures, if it mirrors
  // pictures whose class depends on the side, or if the source has more classes than options.classes.
  ImageDataset(std::shared_ptr<const ImageSource> source, const AugmentConfig& augment,
               const ImageDatasetOptions& options);

  int64_t size() const override { return source_->size(); }
  std::string sample_name(int64_t index) const override { return source_->sample_name(index); }
  void allocate(Batch& batch, std::span<const SampleRef> samples) override;
  void fill(Batch& batch, int64_t slot, const SampleRef& sample) override;
  void finish(Batch& batch) override;

  const ImageSource& source() const { return *source_; }
  CacheFigures cache_figures() const { return cache_.figures(); }

 private:
  std::shared_ptr<const ImageSample> load(int64_t index);
  void write_pixels(const ImageSample& sample, const SampleRef& ref, int64_t epoch, std::span<float> out) const;
  void copy_pixels(const Tensor& pixels, std::span<float> out) const;

  std::shared_ptr<const ImageSource> source_;
  AugmentConfig augment_;
  ImageDatasetOptions options_;
  TrainTransform train_transform_;
  EvalTransform eval_transform_;
  SampleCache<ImageSample> cache_;
  int64_t classes_;
};

}  // namespace gfsa::data
