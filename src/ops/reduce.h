// reduce.h -- sums, means and maxima over dimensions.
//
// `dims`: which dimensions go (negative counts from the end); {} means all. keepdim leaves them as 1. f64, f32, bf16;
// sums of bf16 are kept in f32. The result has x's dtype (sum_squares: f32 for bf16, since a norm in bf16 is of no
// use). Order of summation: fixed blocks, see reduce_kernels.h; the same bits for any number of threads. Saved: nothing
// (sum, mean), x (sum_squares), positions (max). Traffic: x once; backward dx once. Errors: a dimension that x has not
// or that is named twice; max and argmax over no elements.
#pragma once

#include <vector>

#include "autograd/autograd.h"

namespace gfsa {

Tensor sum(const Tensor& x, const std::vector<int>& dims = {}, bool keepdim = false);
Tensor mean(const Tensor& x, const std::vector<int>& dims = {}, bool keepdim = false);  // NaN over no elements
Tensor sum_squares(const Tensor& x, const std::vector<int>& dims = {}, bool keepdim = false);
// NaN if any element is NaN. The gradient goes to the first maximum in row-major order of the reduced dimensions.
Tensor max(const Tensor& x, const std::vector<int>& dims = {}, bool keepdim = false);
// Position of the first maximum along one dimension, i64; a NaN counts as the largest. No gradient.
Tensor argmax(const Tensor& x, int dim, bool keepdim = false);

// Kernel, no record: x summed down to `shape`, which must broadcast to x's shape, as `dtype`. The backward of
// broadcasting.
Tensor sum_to(const Tensor& x, const Shape& shape, DType dtype);

}  // namespace gfsa
