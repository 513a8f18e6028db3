// update_kernels.h -- what the elementwise rules of update_rules.h need of a GPU.
#pragma once

#include <array>
#include <cstdint>

#include "core/tensor.h"

namespace gfsa {

struct GradientScale;

// The optimizer's segments on a device: i64 [segments, 4], a row is begin, count, group, parameter.
inline constexpr int64_t kSegmentColumns = 4;

// Instantiated in the rule's .cu. rules: Optimizer::rules(), each a Rule.
template <DeviceType D, class Rule>
struct UpdateKernel {
  static void run(const char* op, const uint32_t* rules, const GradientScale& scale, const Tensor& segments,
                  const Tensor& values, const Tensor& grads, const std::array<Tensor, 2>& states);
};

}  // namespace gfsa
