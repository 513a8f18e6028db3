// update_rules.h -- the update rules on single elements, in vector loops of the CPU and in kernels alike. An object is
// the coefficients of one parameter group in one step; where they come from stands in the rule's own file (adam.cpp,
// ...). Called with a value, its gradient (scaled and clipped) and its kStates elements of state, an elementwise rule
// gives back the new value and writes the new state.
#pragma once

#include <cmath>

#include "optim/update_math.h"

namespace gfsa::update {

template <class T>
struct AdamRule {
  static constexpr int kStates = 2;
  T keep, decay;  // decoupled: 1 - lr weight_decay; coupled: weight_decay
  T weight1, beta2, weight2;
  T step_size, root_scale, eps;
  constexpr T operator()(T p, T gradient, T& first, T& second) const {
    const T g = gradient + decay * p;
    const T m = lerp(first, g, weight1);
    const T v = beta2 * second + weight2 * g * g;
    first = m;
    second = v;
    return keep * p - step_size * (m / (std::sqrt(v) * root_scale + eps));
  }
};

template <class T>
struct SgdRule {
  static constexpr int kStates = 0;
  T lr, decay;
  constexpr T operator()(T p, T gradient) const { return p - lr * (gradient + decay * p); }
};

template <class T>
struct MomentumRule {
  static constexpr int kStates = 1;
  T lr, decay, momentum, blend;
  bool nesterov;
  constexpr T operator()(T p, T gradient, T& buffer) const {
    const T g = gradient + decay * p;
    const T b = momentum * buffer + blend * g;
    buffer = b;
    return p - lr * (nesterov ? g + momentum * b : b);
  }
};

template <class T>
struct LionRule {
  static constexpr int kStates = 1;
  T keep, lr, weight1, weight2;
  constexpr T operator()(T p, T g, T& momentum) const {
    const T m = momentum;
    momentum = lerp(m, g, weight2);
    return keep * p - lr * sign(lerp(m, g, weight1));
  }
};

template <class T>
struct LambRule {
  T beta1, weight1, beta2, weight2, first_scale, root_scale, eps, decay;
  constexpr T direction(T p, T m, T v) const { return m * first_scale / (std::sqrt(v) * root_scale + eps) + decay * p; }
  // The new moments; gives back their direction.
  constexpr T move(T p, T g, T& first, T& second) const {
    const T m = beta1 * first + weight1 * g;
    const T v = beta2 * second + weight2 * g * g;
    first = m;
    second = v;
    return direction(p, m, v);
  }
};

// Adafactor's u: row and column state multiplied are the second moment (row 1 for a vector).
template <class T>
constexpr T adafactor_direction(T g, T row, T column, T least) {
  const T v = row * column;
  return g / std::sqrt(v < least ? least : v);
}

}  // namespace gfsa::update
