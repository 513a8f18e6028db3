#include "models/position_embedding.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"

namespace gfsa {
namespace {

double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

// [to, from]: row i holds the weights of output i.
std::vector<double> resampling_matrix(int64_t from, int64_t to) {
  std::vector<double> weights(static_cast<size_t>(from * to));
  const double scale = static_cast<double>(from) / static_cast<double>(to), stretch = std::max(scale, 1.0);
  const double support = 2 * stretch;
  for (int64_t i = 0; i < to; ++i) {
    const double center = scale * (static_cast<double>(i) + 0.5);
    const auto first = std::max<int64_t>(0, static_cast<int64_t>(center - support + 0.5));
    const auto last = std::min<int64_t>(from, static_cast<int64_t>(center + support + 0.5));
    double total = 0;
    for (int64_t j = first; j < last; ++j) {
      const double w = cubic((static_cast<double>(j) - center + 0.5) / stretch);
      weights[static_cast<size_t>(i * from + j)] = w;
      total += w;
    }
    for (int64_t j = first; j < last; ++j) weights[static_cast<size_t>(i * from + j)] /= total;
  }
  return weights;
}

}  // namespace

Tensor resize_position_embedding(const Tensor& stored, int64_t grid, int64_t prefix) {
  const int64_t width = stored.dim(-1), patches = stored.dim(1) - prefix;
  const auto old = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(std::max<int64_t>(0, patches)))));
  if (stored.rank() != 3 || stored.dim(0) != 1 || old < 1 || old * old != patches) {
    bad_input("position embedding {} has no square grid after {} prefix tokens, it cannot be resized",
              stored.shape().text(), prefix);
  }
  const auto in = stored.to_vector<double>();
  const auto weights = resampling_matrix(old, grid);
  const auto weight = [&](int64_t to, int64_t from) { return weights[static_cast<size_t>(to * old + from)]; };
  std::vector<double> rows(static_cast<size_t>(grid * old * width));  // resampled along y
  for (int64_t y = 0; y < grid; ++y) {
    for (int64_t s = 0; s < old; ++s) {
      for (int64_t k = 0; k < old * width; ++k) {
        rows[static_cast<size_t>(y * old * width + k)] +=
            weight(y, s) * in[static_cast<size_t>((prefix + s * old) * width + k)];
      }
    }
  }
  std::vector<float> out(static_cast<size_t>((prefix + grid * grid) * width));
  for (int64_t k = 0; k < prefix * width; ++k)
    out[static_cast<size_t>(k)] = static_cast<float>(in[static_cast<size_t>(k)]);
  for (int64_t y = 0; y < grid; ++y) {
    for (int64_t x = 0; x < grid; ++x) {
      for (int64_t c = 0; c < width; ++c) {
        double sum = 0;
        for (int64_t s = 0; s < old; ++s) sum += weight(x, s) * rows[static_cast<size_t>((y * old + s) * width + c)];
        out[static_cast<size_t>((prefix + y * grid + x) * width + c)] = static_cast<float>(sum);
      }
    }
  }
  return Tensor::from({1, prefix + grid * grid, width}, out);
}

}  // namespace gfsa
