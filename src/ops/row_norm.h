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
  // y, mean and rstd are results. With a branch (of x's shape; its dtype, or bf16 beside f32) the rows are those of
  // `sum` = x + branch, a result too.
  static void forward(const char* op, const Tensor& x, const Tensor& branch, const Tensor& sum, const Tensor& weight,
                      const Tensor& bias, const Tensor& y, const Tensor& mean, const Tensor& rstd, double eps);
  // Targets with an undefined tensor are not wanted.
  static void backward(const char* op, const Tensor& x, const Tensor& weight, const Tensor& mean, const Tensor& rstd,
                       const Tensor& dy, const GradOut::Target& dx, const GradOut::Target& dweight,
                       const GradOut::Target& dbias);
};

// f(B{}) with the dtype of the branch beside rows of In; In where there is none.
template <class In, class F>
void dispatch_branch(const Tensor& branch, F&& f) {
  if constexpr (std::is_same_v<In, float>) {
    if (branch && branch.dtype() == DType::bf16) return f(bfloat16{});
  }
  f(In{});
}

// The gradients that input i of an op wants, or an undefined target.
inline GradOut::Target target_if_wanted(GradOut& grads, size_t i) {
  return grads.wants(i) ? grads.target(i) : GradOut::Target{};
}

}  // namespace gfsa
