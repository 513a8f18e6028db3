#include "data/image/transform.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "data/image/random_crop.h"

namespace gfsa::data {
namespace {

void check_output(std::span<float> out, int size) {
  const size_t expected = static_cast<size_t>(3) * size * size;
  if (out.size() != expected) fail("image transform: room for {} values, expected 3 x {} x {}", out.size(), size, size);
}

AugmentSettings policy_settings(const AugmentConfig& config, int image_size) {
  AugmentSettings settings;
  settings.fill = config.fill();
  settings.translate_const = std::floor(image_size * 0.45);
  if (config.interpolation != "random") settings.interpolation = interpolation_by_name(config.interpolation);
  return settings;
}

}  // namespace

RandomSequence augment_sequence(uint64_t seed, uint64_t epoch, uint64_t sample, uint32_t copy) {
  // The sample's 32 bits of the counter hold its lower half; upper half and copy go into the key.
  const uint64_t family = RandomKey::mix(sample >> 32, copy);
  return {RandomKey(RandomKey::mix(seed, family), "augment", epoch), static_cast<uint32_t>(sample)};
}

RandomSequence mix_sequence(uint64_t seed, uint64_t step) {
  return {RandomKey(seed, "mix", step), static_cast<uint32_t>(step >> 32)};
}

Normalize::Normalize(const std::array<double, 3>& mean, const std::array<double, 3>& std) {
  for (int c = 0; c < 3; ++c) {
    mean_[c] = static_cast<float>(mean[c]), std_[c] = static_cast<float>(std[c]);
    for (int v = 0; v < 256; ++v) table_[c][v] = (static_cast<float>(v) / 255.0f - mean_[c]) / std_[c];
  }
}

void Normalize::operator()(const Image& image, std::span<float> out) const {
  const size_t plane = static_cast<size_t>(image.width) * image.height;
  if (out.size() != 3 * plane) {
    fail("normalisation: room for {} values, expected 3 x {} x {}", out.size(), image.height, image.width);
  }
  const uint8_t* p = image.rgb.data();
  float *r = out.data(), *g = r + plane, *b = g + plane;
  for (size_t i = 0; i < plane; ++i, p += 3) {
    r[i] = table_[0][p[0]], g[i] = table_[1][p[1]], b[i] = table_[2][p[2]];
  }
}

Image Normalize::inverse(std::span<const float> pixels, int width, int height) const {
  Image image{width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height * 3)};
  const size_t plane = static_cast<size_t>(width) * height;
  if (pixels.size() != 3 * plane) fail("normalisation: {} values, expected 3 x {} x {}", pixels.size(), height, width);
  for (size_t i = 0; i < plane; ++i) {
    for (int c = 0; c < 3; ++c) {
      const float v = (pixels[c * plane + i] * std_[c] + mean_[c]) * 255.0f;
      image.rgb[3 * i + c] = static_cast<uint8_t>(std::clamp(std::nearbyint(v), 0.0f, 255.0f));
    }
  }
  return image;
}

TrainTransform::TrainTransform(const AugmentConfig& config, int image_size)
    : size_(image_size),
      random_resized_crop_(config.random_resized_crop),
      pad_crop_(config.pad_crop),
      flip_(config.flip),
      policy_(config.policy, policy_settings(config, image_size)),
      jitter_(config.jitter()),
      erasing_(config.random_erasing()),
      normalize_(config.mean, config.std) {
  if (config.interpolation != "random") interpolation_ = interpolation_by_name(config.interpolation);
  if (!policy_.empty() && !policy_.keeps_color_jitter()) jitter_ = {};
  if (pad_crop_.mode == "reflect" && pad_crop_.padding >= image_size) {
    bad_input("augment.pad_crop: reflection by {} pixels needs images larger than {}", pad_crop_.padding, image_size);
  }
}

Image TrainTransform::augment(const Image& image, RandomSequence& rng) const {
  const auto interpolation = [&] {
    if (interpolation_) return *interpolation_;
    return rng.below(2) == 0 ? Interpolation::kBilinear : Interpolation::kBicubic;
  };
  Image out;
  if (random_resized_crop_.enabled) {
    const CropBox box = draw_random_resized_crop(rng, image.width, image.height, random_resized_crop_.scale,
                                                 random_resized_crop_.ratio);
    out = crop_and_resize(image, box, size_, size_, interpolation());
  } else if (image.width == size_ && image.height == size_) {
    out = image;
  } else {
    out = center_crop(resize_shorter_edge(image, size_, interpolation()), size_, size_);
  }
  if (const int p = pad_crop_.padding; p > 0) {
    const CropBox box = draw_random_crop(rng, size_ + 2 * p, size_ + 2 * p, size_, size_);
    out = crop(pad(out, p, p, p, p, pad_crop_.mode == "reflect" ? Padding::kReflect : Padding::kZero), box);
  }
  if (flip_ > 0 && rng.uniform() < flip_) flip_horizontal(out);
  policy_.apply(out, policy_.draw(rng));
  if (jitter_.enabled()) apply_color_jitter(out, draw_color_jitter(rng, jitter_));
  return out;
}

void TrainTransform::operator()(const Image& image, RandomSequence& rng, std::span<float> out) const {
  check_output(out, size_);
  normalize_(augment(image, rng), out);
  apply_erasing(rng, draw_erasing(rng, erasing_, size_, size_), erasing_.mode, out, 3, size_, size_);
}

EvalTransform::EvalTransform(const AugmentConfig& config, int image_size)
    : size_(image_size),
      resize_(config.eval.resize ? *config.eval.resize
                                 : static_cast<int>(std::floor(image_size / config.eval.crop_pct))),
      interpolation_(config.interpolation == "random" ? Interpolation::kBilinear
                                                      : interpolation_by_name(config.interpolation)),
      normalize_(config.mean, config.std) {}

void EvalTransform::operator()(const Image& image, std::span<float> out) const {
  check_output(out, size_);
  if (image.width == size_ && image.height == size_ && resize_ == size_) return normalize_(image, out);
  normalize_(center_crop(resize_shorter_edge(image, resize_, interpolation_), size_, size_), out);
}

}  // namespace gfsa::data
