// clip_kernels.h -- what optim/clipping.cpp needs of a device.
#pragma once

#include <limits>

#include "core/tensor.h"

namespace gfsa {

inline constexpr double kNoClipNorm = std::numeric_limits<double>::infinity();

template <DeviceType D>
struct ClipKernels {
  // figures f64 [3]: [0] becomes the L2 norm of `flat`, [2] the loss (f64 [1], undefined: 0). On a GPU [1] becomes
  // clipped_factor() of the norm, or NaN where norm or loss are not finite; on the CPU it is left alone.
  static void run(const Tensor& flat, double factor, double clip_norm, const Tensor& loss, const Tensor& figures);
  static void add_loss(const Tensor& loss, const Tensor& sum);  // scalar f32 or f64, f64 [1]
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
