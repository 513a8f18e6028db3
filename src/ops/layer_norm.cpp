#include "ops/layer_norm.h"

#include "autograd/autograd.h"
#include "core/dispatch.h"
#include "core/expect.h"
#include "ops/row_norm.h"

namespace gfsa {

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps, std::optional<DType> out) {
  Expect e("layer_norm");
  e.shape("x", x, "... C").optional("weight", weight, "C").optional("bias", bias, "C").floating("x", x);
  const DType stat = accumulator_of(x.dtype());
  if (weight.defined()) e.dtype("weight", weight, {stat}).same_device("weight", weight, x);
  if (bias.defined()) e.dtype("bias", bias, {stat}).same_device("bias", bias, x);
  require_cpu("layer_norm", x);
  const int64_t rows = e["..."], columns = e["C"];

  const Tensor xc = x.detach().contiguous();
  const Tensor w = weight.defined() ? weight.detach().contiguous() : Tensor::full({columns}, 1, stat);
  const Tensor b = bias.defined() ? bias.detach().contiguous() : Tensor();
  const Tensor mean = Tensor::empty({rows}, stat), rstd = Tensor::empty({rows}, stat);
  const Tensor y = Tensor::empty(x.shape(), out.value_or(x.dtype()));
  dispatch_floating_pair("layer_norm", x.dtype(), y.dtype(), [&](auto in, auto to) {
    using In = decltype(in);
    using Out = decltype(to);
    using A = acc_t<In>;
    row_norm::forward<true, In, Out, A>(xc.data<In>(), w.data<A>(), b.defined() ? b.data<A>() : nullptr, y.data<Out>(),
                                        mean.data<A>(), rstd.data<A>(), rows, columns, eps);
  });

  return record(
      "layer_norm", y, {x, weight, bias}, [xc, w, mean, rstd, rows, columns](const Tensor& dy, GradOut& grads) {
        const Tensor dyc = dy.contiguous();
        dispatch_floating_pair("layer_norm", xc.dtype(), dy.dtype(), [&](auto in, auto to) {
          using In = decltype(in);
          using Out = decltype(to);
          using A = acc_t<In>;
          const int64_t blocks = (rows + row_norm::kBlockRows - 1) / row_norm::kBlockRows;
          const bool sums = grads.wants(1) || grads.wants(2);
          const Tensor partial = sums ? Tensor::empty({blocks, 2, columns}, w.dtype()) : Tensor();
          const auto dx = grads.wants(0) ? grads.target(0) : GradOut::Target{};
          row_norm::backward<true, In, Out, A>(xc.data<In>(), w.data<A>(), mean.data<A>(), rstd.data<A>(),
                                               dyc.data<Out>(),
                                               dx.tensor.defined() ? dx.tensor.template data<In>() : nullptr,
                                               dx.accumulate, sums ? partial.data<A>() : nullptr, rows, columns);
          for (int which : {0, 1}) {
            const size_t input = static_cast<size_t>(which) + 1;
            if (!grads.wants(input)) continue;
            const auto [tensor, accumulate] = grads.target(input);
            row_norm::add_blocks<A>(partial.data<A>(), which, blocks, columns, tensor.template data<A>(), accumulate);
          }
        });
      });
}

}  // namespace gfsa
