// row_norm.h -- the row kernels that layer_norm (centred) and rms_norm (not centred) share:
//
//   xhat = (x - mean) rstd,  y = xhat w + b         mean = 0 where not centred
//   g = dy w,  dx = rstd (g - sum(g) / C - xhat sum(g xhat) / C)     the second term only where centred
//   dw = sum over rows of dy xhat,  db = sum over rows of dy
//
// Sums over rows run in blocks of kBlockRows rows, whose partial sums are then added in an order that depends on the
// shape alone: the same bits for any number of threads.
#pragma once

#include <cstdint>

#include "autograd/autograd.h"
#include "core/tensor.h"

namespace gfsa {

inline constexpr int64_t kNormBlockRows = 64;

// Contiguous tensors of one device: x and y [rows, columns] of any rank, weight and bias [columns], mean and rstd
// [rows]. mean is undefined where not centred, bias where there is none.
template <DeviceType D>
struct RowNormKernels {
  // mean and rstd are results.
  static void forward(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& y,
                      const Tensor& mean, const Tensor& rstd, double eps);
  // Targets with an undefined tensor are not wanted.
  static void backward(const char* op, const Tensor& x, const Tensor& weight, const Tensor& mean, const Tensor& rstd,
                       const Tensor& dy, const GradOut::Target& dx, const GradOut::Target& dweight,
                       const GradOut::Target& dbias);
};

// The gradients that input i of an op wants, or an undefined target.
inline GradOut::Target target_if_wanted(GradOut& grads, size_t i) {
  return grads.wants(i) ? grads.target(i) : GradOut::Target{};
}

}  // namespace gfsa
