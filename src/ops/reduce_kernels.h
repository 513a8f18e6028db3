// reduce_kernels.h -- what sums and maxima need of a device. Work is cut into blocks that depend on the shape alone,
// whose partial sums are added in order: the same bits in every run, for any number of threads.
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace gfsa {

// All tensors contiguous, on one device.
template <DeviceType D>
struct ReduceKernels {
  // y[o, c] = factor * sum_r x[o, r, c], each times with[o, r, c] where `with` is defined.
  // x [outer, reduced, inner]; y [outer, inner] in x's dtype, its accumulator's, or bf16 for f32. With `with`, which is
  // of x's dtype or bf16, y has the accumulator's dtype.
  static void sum(const char* op, const Tensor& x, const Tensor& with, int64_t outer, int64_t reduced, int64_t inner,
                  double factor, const Tensor& y);
  // sums[c] = sum over rows of x [..., C] (+ sums[c] if accumulate); sums [C] in the accumulator's dtype.
  static void column_sums(const Tensor& x, const Tensor& sums, bool accumulate);
  // Of each row of x [rows, n], n > 0: position (i64) of the first maximum, a NaN counting as the largest, and, where
  // `values` is defined, the maximum itself in x's dtype.
  static void maxima(const char* op, const Tensor& x, int64_t n, const Tensor& positions, const Tensor& values);
  // dx[o, positions[o]] = dy[o]; nothing else is written.
  static void put(const Tensor& dy, int64_t n, const Tensor& positions, const Tensor& dx);
};

}  // namespace gfsa
