#include "data/image/pixel_ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "core/cpu/simd.h"

namespace gfsa::data {
namespace {

using Histogram = std::array<uint32_t, 256>;

std::array<Histogram, 3> histograms(const Image& image) {
  std::array<Histogram, 3> even{}, odd{};  // two of each, so that equal neighbours do not wait for each other
  const uint8_t* p = image.rgb.data();
  const size_t pixels = image.rgb.size() / 3;
  for (size_t i = 0; i + 1 < pixels; i += 2, p += 6) {
    for (int c = 0; c < 3; ++c) ++even[c][p[c]], ++odd[c][p[c + 3]];
  }
  if (pixels % 2 != 0) {
    for (int c = 0; c < 3; ++c) ++even[c][p[c]];
  }
  for (int c = 0; c < 3; ++c) {
    for (int v = 0; v < 256; ++v) even[c][v] += odd[c][v];
  }
  return even;
}

LookupTable identity_table() {
  LookupTable table;
  for (int v = 0; v < 256; ++v) table[v] = static_cast<uint8_t>(v);
  return table;
}

uint32_t luma(const uint8_t* p) { return (p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16; }

// ImagingBlend's value for one pixel: in float, truncated; clipped only outside [0, 1].
uint8_t blend(int degenerate, int value, float alpha) {
  const float v = static_cast<float>(degenerate) + alpha * static_cast<float>(value - degenerate);
  return v <= 0.0f ? 0 : v >= 255.0f ? 255 : static_cast<uint8_t>(v);
}

// image = blend(degenerate, image)
inline void blend_images(const uint8_t* __restrict degenerate, uint8_t* __restrict image, size_t n, float alpha) {
  for (size_t i = 0; i < n; ++i) {
    const float v =
        static_cast<float>(degenerate[i]) + alpha * static_cast<float>(static_cast<int>(image[i]) - degenerate[i]);
    image[i] = static_cast<uint8_t>(static_cast<int>(std::min(std::max(v, 0.0f), 255.0f)));
  }
}

void blend_with_level(Image& image, int level, float alpha) {
  LookupTable table;
  for (int v = 0; v < 256; ++v) table[v] = blend(level, v, alpha);
  apply_table(image, table);
}

// ImageFilter.SMOOTH: 3 x 3 of ones with 5 in the middle, / 13, rounded; the border stays. (2 s + 13) / 26 can never
// lie within float's error of an integer, so integers give the values of Pillow's float sums.
inline void smooth_row(const uint8_t* __restrict above, const uint8_t* __restrict row, const uint8_t* __restrict below,
                       uint8_t* __restrict out, int n) {
  for (int i = 3; i < n - 3; ++i) {
    const uint16_t s = static_cast<uint16_t>(above[i - 3] + above[i] + above[i + 3] + row[i - 3] + 5 * row[i] +
                                             row[i + 3] + below[i - 3] + below[i] + below[i + 3]);
    out[i] = static_cast<uint8_t>(static_cast<uint16_t>(2 * s + 13) / 26);
  }
}

}  // namespace

void apply_tables(Image& image, const std::array<LookupTable, 3>& tables) {
  uint8_t* p = image.rgb.data();
  for (size_t i = 0; i < image.rgb.size(); i += 3, p += 3) {
    p[0] = tables[0][p[0]], p[1] = tables[1][p[1]], p[2] = tables[2][p[2]];
  }
}

void apply_table(Image& image, const LookupTable& table) {
  for (uint8_t& v : image.rgb) v = table[v];
}

void auto_contrast(Image& image) {
  const auto counts = histograms(image);
  std::array<LookupTable, 3> tables;
  for (int c = 0; c < 3; ++c) {
    int low = 0, high = 255;
    while (low < 255 && counts[c][low] == 0) ++low;
    while (high > 0 && counts[c][high] == 0) --high;
    tables[c] = identity_table();
    if (high <= low) continue;
    const double scale = 255.0 / (high - low), offset = -low * scale;
    for (int v = 0; v < 256; ++v) {
      tables[c][v] = static_cast<uint8_t>(std::clamp(static_cast<int>(v * scale + offset), 0, 255));
    }
  }
  apply_tables(image, tables);
}

void equalize(Image& image) {
  const auto counts = histograms(image);
  std::array<LookupTable, 3> tables;
  for (int c = 0; c < 3; ++c) {
    tables[c] = identity_table();
    int64_t total = 0, last = 0;
    int used = 0;
    for (const uint32_t count : counts[c]) {
      if (count != 0) total += count, last = count, ++used;
    }
    const int64_t step = used <= 1 ? 0 : (total - last) / 255;
    if (step == 0) continue;
    int64_t n = step / 2;
    for (int v = 0; v < 256; ++v) {
      tables[c][v] = static_cast<uint8_t>(std::min<int64_t>(n / step, 255));
      n += counts[c][v];
    }
  }
  apply_tables(image, tables);
}

void invert(Image& image) {
  for (uint8_t& v : image.rgb) v = static_cast<uint8_t>(255 - v);
}

void posterize(Image& image, int bits) {
  if (bits >= 8) return;
  const uint8_t mask = static_cast<uint8_t>(~((1u << (8 - std::max(bits, 0))) - 1));
  for (uint8_t& v : image.rgb) v &= mask;
}

void solarize(Image& image, int threshold) {
  for (uint8_t& v : image.rgb) v = v < threshold ? v : static_cast<uint8_t>(255 - v);
}

void solarize_add(Image& image, int add, int threshold) {
  LookupTable table = identity_table();
  for (int v = 0; v < std::min(threshold, 256); ++v) table[v] = static_cast<uint8_t>(std::clamp(v + add, 0, 255));
  apply_table(image, table);
}

void grayscale(Image& image) {
  uint8_t* p = image.rgb.data();
  for (size_t i = 0; i < image.rgb.size(); i += 3, p += 3) p[0] = p[1] = p[2] = static_cast<uint8_t>(luma(p));
}

void adjust_color(Image& image, double factor) {
  const float alpha = static_cast<float>(factor);
  if (alpha == 1.0f) return;
  Image gray = image;
  grayscale(gray);
  if (alpha == 0.0f) {
    image = std::move(gray);
  } else {
    simd::run([&] { blend_images(gray.rgb.data(), image.rgb.data(), image.rgb.size(), alpha); });
  }
}

void adjust_contrast(Image& image, double factor) {
  uint64_t sum = 0;
  const size_t pixels = image.rgb.size() / 3;
  if (pixels == 0) return;
  for (size_t i = 0; i < pixels; ++i) sum += luma(image.rgb.data() + 3 * i);
  blend_with_level(image, static_cast<int>(static_cast<double>(sum) / static_cast<double>(pixels) + 0.5),
                   static_cast<float>(factor));
}

void adjust_brightness(Image& image, double factor) { blend_with_level(image, 0, static_cast<float>(factor)); }

void adjust_sharpness(Image& image, double factor) {
  const float alpha = static_cast<float>(factor);
  if (alpha == 1.0f || image.width < 3 || image.height < 3) return;
  std::vector<uint8_t> smooth = image.rgb;
  const size_t n = static_cast<size_t>(image.width) * 3;
  simd::run([&] {
    for (int y = 1; y < image.height - 1; ++y) {
      const uint8_t* row = image.rgb.data() + y * n;
      smooth_row(row - n, row, row + n, smooth.data() + y * n, static_cast<int>(n));
    }
  });
  if (alpha == 0.0f) {
    image.rgb = std::move(smooth);
  } else {
    simd::run([&] { blend_images(smooth.data(), image.rgb.data(), image.rgb.size(), alpha); });
  }
}

}  // namespace gfsa::data
