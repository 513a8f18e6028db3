// Gaussian blur as libImaging's BoxBlur.c: three box filters whose edge pixels have fractional weight, first along x,
// then along y, each to 8 bits.
#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "core/cpu/simd.h"
#include "data/image/pixel_ops.h"

namespace gfsa::data {
namespace {

constexpr int kPasses = 3;

// [7], [11], [14] of Gwosdek et al. 2011, "Theoretical foundations of Gaussian convolution by extended box filtering".
float box_radius(float radius) {
  const float sigma2 = radius * radius / kPasses;
  const float length = static_cast<float>(std::sqrt(12.0 * sigma2 + 1.0));
  const float l = static_cast<float>(std::floor((length - 1.0) / 2.0));
  float a = (2 * l + 1) * (l * (l + 1) - 3 * sigma2);
  a /= 6 * (sigma2 - (l + 1) * (l + 1));
  return l + a;
}

struct Box {
  int radius;                    // whole pixels on each side
  uint32_t weight, edge_weight;  // of a whole pixel and of the fractional one, 24 bits

  explicit Box(float r) : radius(static_cast<int>(r)) {
    weight = static_cast<uint32_t>(static_cast<float>(1u << 24) / (r * 2 + 1));
    edge_weight = ((1u << 24) - static_cast<uint32_t>(radius * 2 + 1) * weight) / 2;
  }
};

// One pass over `count` vectors of n bytes, vector i at in + i * n; out must be another buffer. Vectors beyond the
// ends repeat the first and the last.
inline void box_pass(const uint8_t* __restrict in, uint8_t* __restrict out, int count, int n, const Box& box) {
  const int last = count - 1, r = box.radius;
  const uint32_t weight = box.weight, edge_weight = box.edge_weight;
  std::vector<uint32_t> storage(n);
  uint32_t* __restrict sum = storage.data();
  for (int k = -r - 1; k < r; ++k) {  // the window around -1
    const uint8_t* v = in + static_cast<size_t>(std::clamp(k, 0, last)) * n;
    for (int i = 0; i < n; ++i) sum[i] += v[i];
  }
  for (int y = 0; y < count; ++y) {
    const uint8_t* leaving = in + static_cast<size_t>(std::clamp(y - r - 1, 0, last)) * n;
    const uint8_t* entering = in + static_cast<size_t>(std::clamp(y + r, 0, last)) * n;
    const uint8_t* edge = in + static_cast<size_t>(std::clamp(y + r + 1, 0, last)) * n;
    uint8_t* to = out + static_cast<size_t>(y) * n;
    for (int i = 0; i < n; ++i) {
      sum[i] += static_cast<uint32_t>(entering[i]) - leaving[i];
      const uint32_t v = sum[i] * weight + (static_cast<uint32_t>(leaving[i]) + edge[i]) * edge_weight;
      to[i] = static_cast<uint8_t>((v + (1u << 23)) >> 24);
    }
  }
}

void transpose(const uint8_t* in, uint8_t* out, int width, int height) {
  for (int y = 0; y < height; ++y) {
    const uint8_t* from = in + static_cast<size_t>(y) * width * 3;
    for (int x = 0; x < width; ++x, from += 3) {
      uint8_t* to = out + (static_cast<size_t>(x) * height + y) * 3;
      to[0] = from[0], to[1] = from[1], to[2] = from[2];
    }
  }
}

}  // namespace

void gaussian_blur(Image& image, double radius) {
  if (!(radius >= 0)) bad_input("gaussian_blur: the radius is {}, expected 0 or more", radius);
  const float r = box_radius(static_cast<float>(radius));
  if (r == 0.0f || image.rgb.empty()) return;
  const Box box(r);
  std::vector<uint8_t> a(image.rgb.size()), b(image.rgb.size());
  transpose(image.rgb.data(), a.data(), image.width, image.height);
  for (int i = 0; i < kPasses; ++i) {
    simd::run([&] { box_pass(a.data(), b.data(), image.width, image.height * 3, box); });
    a.swap(b);
  }
  transpose(a.data(), image.rgb.data(), image.height, image.width);
  for (int i = 0; i < kPasses; ++i) {
    simd::run([&] { box_pass(image.rgb.data(), a.data(), image.height, image.width * 3, box); });
    image.rgb.swap(a);
  }
}

}  // namespace gfsa::data
