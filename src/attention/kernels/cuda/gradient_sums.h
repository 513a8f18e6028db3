// gradient_sums.h -- gradients that many blocks made parts of, added up in a fixed order.
#pragma once

#include "core/cuda/device.h"
#include "core/tensor.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

// [B, H, k + 2, chunks] -> [H, k + 2], all f32.
void sum_coefficient_parts(const Tensor& parts, const Tensor& to);

// [slices, groups, rows keys] -> a bias of that many slices, f32, contiguous; added to it if `accumulate`.
void sum_bias_groups(const Tensor& copies, const Tensor& to, bool accumulate);

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
