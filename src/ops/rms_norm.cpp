#include "ops/rms_norm.h"

#include "autograd/autograd.h"
#include "core/expect.h"
#include "core/on_device.h"
#include "core/profile.h"
#include "ops/row_norm.h"

namespace gfsa {

Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps, std::optional<DType> out) {
  const OpRange range("rms_norm");
  Expect e("rms_norm");
  e.shape("x", x, "... C").optional("weight", weight, "C").floating("x", x);
  const DType stat = accumulator_of(x.dtype());
  if (weight.defined()) e.dtype("weight", weight, {stat}).same_device("weight", weight, x);

  const Tensor xc = x.detach().contiguous();
  const Tensor w = weight ? weight.detach().contiguous() : Tensor::full({e["C"]}, 1, stat, x.device());
  const Tensor rstd = Tensor::empty({e["..."]}, stat, x.device());
  const Tensor y = Tensor::empty(x.shape(), out.value_or(x.dtype()), x.device());
  on_device("rms_norm", x,
            [&](auto d) { RowNormKernels<d>::forward("rms_norm", xc, {}, {}, w, {}, y, {}, rstd, eps); });

  return record("rms_norm", y, {x, weight}, [xc, w, rstd](const Tensor& dy, GradOut& grads) {
    const Tensor dyc = dy.contiguous();
    on_device("rms_norm", xc, [&](auto d) {
      RowNormKernels<d>::backward("rms_norm", xc, w, {}, rstd, dyc, target_if_wanted(grads, 0),
                                  target_if_wanted(grads, 1), {});
    });
  });
}

}  // namespace gfsa
