// layer_norm.h -- layer normalisation over the last dimension (Ba, Kiros, Hinton 2016, arXiv:1607.06450).
//
//   y = (x - mean) / sqrt(variance + eps) * weight + bias      mean and (biased) variance over C
//
//   x [..., C] f64, f32 or bf16; weight, bias [C]: f32 (f64 for f64 x), each may be undefined (1 and 0).
//   y [..., C] in `out`, by default the dtype of x: a residual stream in f32 gives bf16 to the products behind it.
// Statistics and sums in f32 (f64 for f64). The variance is the mean of (x - mean)^2, not of squares.
// Saved: x, mean and 1 / sqrt(variance + eps) a row. dweight and dbias: see row_norm.h, the same bits for any number of
// threads. Memory traffic: x once in, y once out; backward x and dy in, dx out. Errors: shapes; dtypes other than
// these.
#pragma once

#include <optional>

#include "core/tensor.h"

namespace gfsa {

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps, std::optional<DType> out = {});

// A residual stream and the norm of it: sum = x + branch, y = layer_norm(sum). branch: of x's shape and dtype, or bf16
// beside f32. The bits and gradients of add() and layer_norm() one after the other; the sum is read from the cache.
struct SumAndNorm {
  Tensor sum, y;
};
SumAndNorm add_layer_norm(const Tensor& x, const Tensor& branch, const Tensor& weight, const Tensor& bias, double eps,
                          std::optional<DType> out = {});

}  // namespace gfsa
