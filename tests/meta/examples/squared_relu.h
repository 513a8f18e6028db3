// squared_relu.h -- y = max(x, 0)^2, the activation of Primer (So et al. 2021, arXiv 2109.08668).
//
// Any shape; f64, f32, bf16 (computed in f32). Saved for backward: x. Gradient: dx = 2 max(x, 0) dy. Traffic: x and y
// once; backward x, dy and dx once. NaN stays NaN. Errors: integer dtypes.
#pragma once

#include "core/tensor.h"

namespace gfsa {

Tensor squared_relu(const Tensor& x);

// What it does to one element, on the CPU and in kernels. A is float or double. NaN is not smaller than 0: it stays.
struct SquaredRelu {
  template <class A>
  constexpr A operator()(A x) const {
    return x < A(0) ? A(0) : x * x;
  }
};
struct SquaredReluBackward {
  template <class A>
  constexpr A operator()(A x, A dy) const {
    return x < A(0) ? A(0) : A(2) * x * dy;
  }
};

}  // namespace gfsa
