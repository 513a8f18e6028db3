#include "attention/flops.h"

#include <algorithm>

#include "core/device.h"

namespace gfsa {
namespace {

// Of one sequence, whose keys at or beyond `width` are masked.
int64_t visible_pairs(const kernels::Problem& p, int64_t rows, int64_t width) {
  if (!p.causal) return rows * width;
  // Row i sees past + i + 1 keys, up to `width`.
  const int64_t growing = std::clamp<int64_t>(width - p.past, 0, rows);
  return growing * p.past + growing * (growing + 1) / 2 + (rows - growing) * width;
}

int64_t visible_pairs(const kernels::Problem& p) {
  int64_t pairs = 0;
  const std::vector<int64_t> starts = p.offsets ? p.offsets.to(Device{}).to_vector<int64_t>() : p.starts;
  if (!starts.empty()) {
    for (size_t s = 1; s < starts.size(); ++s) {
      const int64_t n = starts[s] - starts[s - 1];
      pairs += visible_pairs(p, n, n);
    }
    return pairs;
  }
  const std::vector<int64_t> widths = p.lengths ? p.lengths.to(Device{}).to_vector<int64_t>() : p.width;
  for (int64_t b = 0; b < p.batch; ++b) {
    pairs += visible_pairs(p, p.rows, widths.empty() ? p.keys : widths[static_cast<size_t>(b)]);
  }
  return pairs;
}

}  // namespace

int64_t forward_flops(const kernels::Problem& p) {
  int64_t products = 0;  // of all heads
  for (int64_t h = 0; h < p.heads; ++h) {
    products += 1 + (p.q.device().type == DeviceType::cpu ? p.value_degree(h) : p.degree);
  }
  return 2 * p.head_size * products * visible_pairs(p);
}

}  // namespace gfsa
