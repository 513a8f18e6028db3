// visible_mean.h -- U x and U^T x on a GPU, U being the uniform average over the keys that a row may see: prefix sums
// over chunks of rows, O(n D).
#pragma once

#include "attention/kernels/cuda/scores.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

struct VisibleMean {
  Tensor values;     // [B, H, rows, D] f32
  int64_t rows = 0;  // as many as the matrix has, or 1: the same for all
};

// x: [B, rows, H D]. `value_only`: heads whose coefficient cu is 0 are left out, their values are not to be read.
VisibleMean visible_mean(const kernels::Problem& p, const Tensor& x, bool transposed, bool value_only);

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
