#include "data/image/random_crop.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace gfsa::data {
namespace {

// Python's round(): halves to even.
int round_half_even(double x) { return static_cast<int>(std::nearbyint(x)); }

}  // namespace

CropBox draw_random_resized_crop(RandomSequence& rng, int width, int height, const std::array<double, 2>& scale,
                                 const std::array<double, 2>& ratio) {
  const double area = static_cast<double>(width) * height;
  const double log_low = std::log(ratio[0]), log_high = std::log(ratio[1]);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double target_area = rng.uniform(scale[0], scale[1]) * area;
    const double aspect = std::exp(rng.uniform(log_low, log_high));
    // timm lets sizes of 0 through, and fails in the resize; a crop has at least one pixel here.
    const int w = std::max(round_half_even(std::sqrt(target_area * aspect)), 1);
    const int h = std::max(round_half_even(std::sqrt(target_area / aspect)), 1);
    if (w <= width && h <= height) return draw_random_crop(rng, width, height, w, h);
  }
  const double in_ratio = static_cast<double>(width) / height;
  int w = width, h = height;
  if (in_ratio < ratio[0]) {
    h = std::clamp(round_half_even(w / ratio[0]), 1, height);
  } else if (in_ratio > ratio[1]) {
    w = std::clamp(round_half_even(h * ratio[1]), 1, width);
  }
  return {(width - w) / 2, (height - h) / 2, w, h};
}

CropBox draw_random_crop(RandomSequence& rng, int width, int height, int crop_width, int crop_height) {
  if (crop_width > width || crop_height > height) {
    bad_input("a random crop of {} x {} pixels needs an image at least as large, not {} x {}", crop_width, crop_height,
              width, height);
  }
  const int top = static_cast<int>(rng.below(static_cast<uint64_t>(height - crop_height) + 1));
  const int left = static_cast<int>(rng.below(static_cast<uint64_t>(width - crop_width) + 1));
  return {left, top, crop_width, crop_height};
}

CropBox center_crop_box(int width, int height, int crop_width, int crop_height) {
  if (crop_width > width || crop_height > height) {
    bad_input("a central crop of {} x {} pixels needs an image at least as large, not {} x {}", crop_width, crop_height,
              width, height);
  }
  return {round_half_even((width - crop_width) / 2.0), round_half_even((height - crop_height) / 2.0), crop_width,
          crop_height};
}

Image center_crop(const Image& image, int width, int height) {
  if (width <= image.width && height <= image.height) {
    return crop(image, center_crop_box(image.width, image.height, width, height));
  }
  const int missing_x = std::max(width - image.width, 0), missing_y = std::max(height - image.height, 0);
  const Image padded =
      pad(image, missing_x / 2, missing_y / 2, (missing_x + 1) / 2, (missing_y + 1) / 2, Padding::kZero);
  return crop(padded, center_crop_box(padded.width, padded.height, width, height));
}

Image resize_shorter_edge(const Image& image, int size, Interpolation interpolation) {
  const int shorter = std::min(image.width, image.height), longer = std::max(image.width, image.height);
  if (shorter < 1) bad_input("resize: the image is empty");
  const double exact = static_cast<double>(static_cast<int64_t>(size) * longer) / shorter;
  const bool upright = image.width <= image.height;
  if (exact * size > static_cast<double>(kMaxImagePixels)) {  // long and thin: gigabytes for a handful of pixels
    bad_input(
        "the picture of {} x {} pixels is too long and thin: with its shorter edge resized to {} it has {:.0f} million "
        "pixels, expected at most {}; crop it, or use augment.random_resized_crop",
        image.width, image.height, size, exact * size / 1e6, kMaxImagePixels / 1'000'000);
  }
  const int other = static_cast<int>(exact);
  return upright ? resize(image, size, other, interpolation) : resize(image, other, size, interpolation);
}

}  // namespace gfsa::data
