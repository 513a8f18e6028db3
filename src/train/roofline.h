// roofline.h -- what this machine can do at most, measured: FLOP/s of a matrix product, bytes a second of memory.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "core/device.h"
#include "core/dtype.h"
#include "ops/gemm.h"

namespace gfsa::train {

struct Roofline {
  double flops = 0;  // a second, of a large product
  double bytes = 0;  // a second, read and written, of arrays that no cache holds

  // The least time that so much work can take, whichever of the two limits it.
  double seconds(double work_flops, double work_bytes) const {
    return std::max(flops > 0 ? work_flops / flops : 0, bytes > 0 ? work_bytes / bytes : 0);
  }
};

// FLOP/s of y = x W^T, all three edge x edge, operands of `type`, sums in f32: the best of some runs.
double product_rate(Device device, DType type, int64_t edge);

// FLOP/s of oneDNN's own products on the CPU, of these shapes as often as each is there.
struct LibraryRate {
  // On operands that stay in the caches as far as they fit: the median of three calls a shape.
  double warm = 0;
  // On operands of its own for each call (of at most 32 a shape), as in a step: the median of three rounds.
  double cold = 0;
};
// Nothing if oneDNN refuses one of them. Takes as long as a few steps.
std::optional<LibraryRate> library_rate(const std::vector<ProductLog::Entry>& products);

// Takes about a second. On the CPU with the threads of base/threads.h, memory by arrays that are changed in place; on
// GPUs by a copy.
Roofline measure_roofline(Device device, DType type);

}  // namespace gfsa::train
