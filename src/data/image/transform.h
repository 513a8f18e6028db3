// transform.h -- from a decoded image to the model's input: what the loader calls for each sample.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "core/philox.h"
#include "data/image/augment_config.h"
#include "data/image/augment_policy.h"

namespace gfsa::data {

// The numbers of one sample's augmentation: a pure function of seed, epoch, sample and copy (repeated augmentation),
// whatever the order, the number of workers and of ranks.
RandomSequence augment_sequence(uint64_t seed, uint64_t epoch, uint64_t sample, uint32_t copy = 0);
// The numbers of one batch's Mixup or CutMix, by the step counted from the start of training.
RandomSequence mix_sequence(uint64_t seed, uint64_t step);

// pixel / 255, minus mean, over std, as torchvision's ToTensor and Normalize compute it in f32; HWC bytes to CHW
// floats.
class Normalize {
 public:
  Normalize(const std::array<double, 3>& mean, const std::array<double, 3>& std);
  // out: [3, height, width]
  void operator()(const Image& image, std::span<float> out) const;
  // Back to bytes, rounded: for pictures of batches.
  Image inverse(std::span<const float> pixels, int width, int height) const;

 private:
  std::array<std::array<float, 256>, 3> table_;
  std::array<float, 3> mean_, std_;
};

// timm's create_transform(is_training=True): crop and resize, flip, policy, colour jitter, normalisation, erasing;
// before the flip, pad-and-crop where asked for. Stateless; one object serves all threads.
class TrainTransform {
 public:
  // image_size: edge of the square output in pixels.
  TrainTransform(const AugmentConfig& config, int image_size);

  // out: [3, image_size, image_size]
  void operator()(const Image& image, RandomSequence& rng, std::span<float> out) const;
  // The same up to and including the colour jitter, as bytes.
  Image augment(const Image& image, RandomSequence& rng) const;
  int image_size() const { return size_; }
  const Normalize& normalize() const { return normalize_; }

 private:
  int size_;
  RandomResizedCropConfig random_resized_crop_;
  PadCropConfig pad_crop_;
  std::optional<Interpolation> interpolation_;  // none: drawn
  double flip_;
  AugmentPolicy policy_;
  ColorJitter jitter_;
  RandomErasing erasing_;
  Normalize normalize_;
};

// timm's create_transform(): resize of the shorter edge, centre crop, normalisation.
class EvalTransform {
 public:
  EvalTransform(const AugmentConfig& config, int image_size);
  // out: [3, image_size, image_size]
  void operator()(const Image& image, std::span<float> out) const;
  int image_size() const { return size_; }

 private:
  int size_, resize_;
  Interpolation interpolation_;
  Normalize normalize_;
};

}  // namespace gfsa::data
