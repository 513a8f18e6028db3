// rms_norm.h -- root mean square normalisation over the last dimension (Zhang, Sennrich 2019, arXiv:1910.07467).
//
//   y = x / sqrt(mean(x^2) + eps) * weight
//
//   x [..., C] f64, f32 or bf16; weight [C]: f32 (f64 for f64 x), or undefined (1).
//   y [..., C] in `out`, by default the dtype of x.
// Sums in f32 (f64 for f64). Saved: x and 1 / sqrt(mean(x^2) + eps) a row. dweight: see row_norm.h, the same bits for
// any number of threads. Errors: shapes; dtypes other than these.
#pragma once

#include <optional>

#include "core/tensor.h"

namespace gfsa {

Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps, std::optional<DType> out = {});

}  // namespace gfsa
