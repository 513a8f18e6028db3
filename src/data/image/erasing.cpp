#include "data/image/erasing.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace gfsa::data {
namespace {

// Standard normals by Box-Muller, two at a time, in float: an erased box of a 224-pixel image takes tens of thousands.
void fill_normal(RandomSequence& rng, float* out, int n) {
  for (int i = 0; i < n; i += 2) {
    const float radius = std::sqrt(-2.0f * std::log(1.0f - uniform_from_bits(rng.bits())));
    const float angle = 6.2831853f * uniform_from_bits(rng.bits());
    out[i] = radius * std::cos(angle);
    if (i + 1 < n) out[i + 1] = radius * std::sin(angle);
  }
}

}  // namespace

std::vector<CropBox> draw_erasing(RandomSequence& rng, const RandomErasing& erasing, int width, int height) {
  std::vector<CropBox> boxes;
  if (erasing.probability <= 0 || rng.uniform() > erasing.probability) return boxes;
  const int count = erasing.count <= 1 ? 1 : 1 + static_cast<int>(rng.below(static_cast<uint64_t>(erasing.count)));
  const double area = static_cast<double>(width) * height, log_aspect = std::log(erasing.min_aspect);
  for (int i = 0; i < count; ++i) {
    for (int attempt = 0; attempt < 10; ++attempt) {
      const double target = rng.uniform(erasing.min_area, erasing.max_area) * area / count;
      const double aspect = std::exp(rng.uniform(log_aspect, -log_aspect));
      const int h = static_cast<int>(std::nearbyint(std::sqrt(target * aspect)));
      const int w = static_cast<int>(std::nearbyint(std::sqrt(target / aspect)));
      if (w >= width || h >= height) continue;
      const int top = static_cast<int>(rng.below(static_cast<uint64_t>(height - h) + 1));
      const int left = static_cast<int>(rng.below(static_cast<uint64_t>(width - w) + 1));
      boxes.push_back({left, top, w, h});
      break;
    }
  }
  return boxes;
}

void apply_erasing(RandomSequence& rng, const std::vector<CropBox>& boxes, ErasingMode mode, std::span<float> pixels,
                   int channels, int height, int width) {
  if (pixels.size() != static_cast<size_t>(channels) * height * width) {
    fail("apply_erasing: {} values, expected {} x {} x {}", pixels.size(), channels, height, width);
  }
  for (const CropBox& box : boxes) {
    for (int c = 0; c < channels; ++c) {
      float color = 0;
      if (mode == ErasingMode::kRand) fill_normal(rng, &color, 1);
      for (int y = 0; y < box.height; ++y) {
        float* row = pixels.data() + (static_cast<size_t>(c) * height + box.top + y) * width + box.left;
        if (mode == ErasingMode::kPixel) {
          fill_normal(rng, row, box.width);
        } else {
          std::fill_n(row, box.width, color);
        }
      }
    }
  }
}

}  // namespace gfsa::data
