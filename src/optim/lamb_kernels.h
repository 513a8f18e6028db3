// lamb_kernels.h -- what optim/lamb.cpp needs of a GPU.
#pragma once

#include <cstdint>

#include "optim/optimizer.h"
#include "optim/update_rules.h"

namespace gfsa {

struct LambGroup {
  update::LambRule<float> rule;
  double lr;
  bool adapts;
};

// On the optimizer's device.
struct LambBuffers {
  Tensor segments;  // update_kernels.h
  Tensor spans;     // i64 [parameters, 2]: first segment and their number
  Tensor values, grads, first, second;
  Tensor sums;    // f64 [segments, 2], scratch: sums of p^2 and u^2
  Tensor ratios;  // f64 [parameters], scratch
};

// groups: Optimizer::rules(), each a LambGroup.
template <DeviceType D>
struct LambKernels {
  static void update(const LambBuffers& b, const uint32_t* groups, bool trust_clip, const GradientScale& scale);
};

// From a parameter's sums of p^2 and u^2.
constexpr double lamb_ratio(double values, double directions, bool trust_clip) {
  const double ratio = values > 0 && directions > 0 ? std::sqrt(values) / std::sqrt(directions) : 1;
  return trust_clip && ratio > 1 ? 1 : ratio;
}

}  // namespace gfsa
