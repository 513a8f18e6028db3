// update_math.h -- arithmetic on single elements that the update rules share, in vector loops and in kernels.
#pragma once

#include "core/dispatch.h"

namespace gfsa::update {

// On the CPU: f(T{}) with the type of master weights and optimizer state: float, or double for exact comparisons.
template <class F>
void dispatch_master(const char* what, const Tensor& x, F&& f) {
  require_cpu(what, x);
  switch (x.dtype()) {
    case DType::f32:
      f(float{});
      return;
    case DType::f64:
      f(double{});
      return;
    default:
      fail("{}: takes f32 or f64 master weights, not {}", what, name_of(x.dtype()));
  }
}

// The gradient as a rule sees it: factor first (clipping by norm, loss scale), then the limit (clipping by value).
template <class T>
constexpr T scaled_gradient(T g, T factor, T limit) {
  const T x = g * factor;
  const T low = x < -limit ? -limit : x;
  return low > limit ? limit : low;
}

// a + weight * (b - a), in torch.lerp's two forms, which are exact at weight 0 and 1.
template <class T>
constexpr T lerp(T a, T b, T weight) {
  return weight < T(0.5) ? a + weight * (b - a) : b - (b - a) * (T(1) - weight);
}

template <class T>
constexpr T sign(T x) {
  return T(x > T(0)) - T(x < T(0));
}

}  // namespace gfsa::update
