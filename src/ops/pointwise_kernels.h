// pointwise_kernels.h -- what ops/pointwise.h needs of a GPU.
#pragma once

#include <type_traits>

#include "core/strided_loop.h"

namespace gfsa {

// The type arithmetic is done in: f32 for bf16, all others as they are.
template <class T>
constexpr auto widen(T x) {
  if constexpr (std::is_same_v<T, bfloat16>) {
    return static_cast<float>(x);
  } else {
    return x;
  }
}

// y[i] = f(x[i]...), the operands of the loop in the order y, x...; `contiguous`: all of them are dense. Instantiated
// in the .cu of the op that maps f.
template <DeviceType D, class F, class Y, class... X>
struct PointwiseKernel {
  static void run(const char* op, const F& f, const StridedLoop& loop, bool contiguous, Y* y, const X*... x);
};

}  // namespace gfsa
