// squared_relu.h -- y = max(x, 0)^2, the activation of Primer (So et al. 2021, arXiv 2109.08668).
//
// Any shape; f64, f32, bf16 (computed in f32). Saved for backward: x. Gradient: dx = 2 max(x, 0) dy. Traffic: x and y
// once; backward x, dy and dx once. NaN stays NaN. Errors: integer dtypes.
#pragma once

#include "core/tensor.h"

namespace gfsa {

Tensor squared_relu(const Tensor& x);

}  // namespace gfsa
