// visible_mean.h -- U x and U^T x on a GPU, U being the uniform average over the keys that a row may see: prefix sums
// over chunks of rows, O(n D).
#pragma once

#include "attention/kernels/cuda/scores.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

struct VisibleMean {
  Tensor values;     // f32: a vector of D numbers a head and row (Scores::head_row), or [B, H, D]:
  bool one = false;  // the same for all rows
};

// x: [B, rows, H D], packed [1, N, H D]. `value_only`: heads whose coefficient cu is 0 are left out, their values are
// not to be read.
VisibleMean visible_mean(const kernels::Problem& p, const Tensor& x, bool transposed, bool value_only);

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
