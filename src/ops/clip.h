// clip.h -- values limited to a range.
#pragma once

#include "autograd/autograd.h"

namespace gfsa {

// min(max(x, low), high), any shape; f64, f32, bf16. The gradient passes where low <= x <= high, bounds included, as
// for torch.clamp; NaN stays NaN. Saved: x. Traffic: x and the result once. Errors: low > high.
Tensor clip(const Tensor& x, double low, double high);

}  // namespace gfsa
