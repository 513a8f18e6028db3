#include "ops/layer_norm.h"

#include "autograd/autograd.h"
#include "core/expect.h"
#include "core/on_device.h"
#include "core/profile.h"
#include "ops/row_norm.h"

namespace gfsa {

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps, std::optional<DType> out) {
  const OpRange range("layer_norm");
  Expect e("layer_norm");
  e.shape("x", x, "... C").optional("weight", weight, "C").optional("bias", bias, "C").floating("x", x);
  const DType stat = accumulator_of(x.dtype());
  if (weight.defined()) e.dtype("weight", weight, {stat}).same_device("weight", weight, x);
  if (bias.defined()) e.dtype("bias", bias, {stat}).same_device("bias", bias, x);

  const Tensor xc = x.detach().contiguous();
  const Tensor w = weight ? weight.detach().contiguous() : Tensor::full({e["C"]}, 1, stat, x.device());
  const Tensor b = bias ? bias.detach().contiguous() : Tensor();
  const Tensor mean = Tensor::empty({e["..."]}, stat, x.device()), rstd = Tensor::empty({e["..."]}, stat, x.device());
  const Tensor y = Tensor::empty(x.shape(), out.value_or(x.dtype()), x.device());
  on_device("layer_norm", x, [&](auto d) { RowNormKernels<d>::forward("layer_norm", xc, w, b, y, mean, rstd, eps); });

  return record("layer_norm", y, {x, weight, bias}, [xc, w, mean, rstd](const Tensor& dy, GradOut& grads) {
    const Tensor dyc = dy.contiguous();
    on_device("layer_norm", xc, [&](auto d) {
      RowNormKernels<d>::backward("layer_norm", xc, w, mean, rstd, dyc, target_if_wanted(grads, 0),
                                  target_if_wanted(grads, 1), target_if_wanted(grads, 2));
    });
  });
}

}  // namespace gfsa
