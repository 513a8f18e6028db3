// clip_kernels.h -- what optim/clipping.cpp needs of a device.
#pragma once

#include <limits>

#include "core/tensor.h"

namespace gfsa {

inline constexpr double kNoClipNorm = std::numeric_limits<double>::infinity();

template <DeviceType D>
struct ClipKernels {
  // figures f64 [2]: [0] becomes the L2 norm of `flat`. On a GPU [1] becomes clipped_factor() of it, or NaN where the
  // norm is not finite; on the CPU it is left alone.
  static void run(const Tensor& flat, double factor, double clip_norm, const Tensor& figures);
};

// What clipping by norm multiplies gradients of the given norm by, if it is below 1.
constexpr double shrink_of(double norm, double clip_norm) {
  constexpr double kEps = 1e-6;  // clip_grad_norm_'s
  return clip_norm / (norm + kEps);
}
// norm: of the gradients times `factor`.
constexpr double clipped_factor(double norm, double factor, double clip_norm) {
  const double shrink = shrink_of(norm, clip_norm);
  return factor * (shrink < 1 ? shrink : 1.0);
}

}  // namespace gfsa
