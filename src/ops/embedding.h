// embedding.h -- rows of a table: y[..., :] = weight[indices[...], :].
//
//   weight [V, C] f64, f32 or bf16; indices [...] i64 in [0, V)
//   y [..., C] in `out`, by default the dtype of weight (bf16 from f32 master weights in mixed precision)
// Saved: indices. dweight: each row is the sum of its dy in order of position, kept in f32 (f64 for f64) by one thread:
// the same bits for any number of threads. Errors: shapes, dtypes; an index outside the table, naming its position. On
// GPUs, where looking at indices would make the host wait, such an index gives a row of NaN and no gradient.
#pragma once

#include <optional>

#include "core/tensor.h"

namespace gfsa {

Tensor embedding(const Tensor& weight, const Tensor& indices, std::optional<DType> out = {});

}  // namespace gfsa
