#include "ops/rms_norm.h"

#include "autograd/autograd.h"
#include "core/dispatch.h"
#include "core/expect.h"
#include "ops/row_norm.h"

namespace gfsa {

Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps, std::optional<DType> out) {
  Expect e("rms_norm");
  e.shape("x", x, "... C").optional("weight", weight, "C").floating("x", x);
  const DType stat = accumulator_of(x.dtype());
  if (weight.defined()) e.dtype("weight", weight, {stat}).same_device("weight", weight, x);
  require_cpu("rms_norm", x);
  const int64_t rows = e["..."], columns = e["C"];

  const Tensor xc = x.detach().contiguous();
  const Tensor w = weight.defined() ? weight.detach().contiguous() : Tensor::full({columns}, 1, stat);
  const Tensor rstd = Tensor::empty({rows}, stat);
  const Tensor y = Tensor::empty(x.shape(), out.value_or(x.dtype()));
  dispatch_floating_pair("rms_norm", x.dtype(), y.dtype(), [&](auto in, auto to) {
    using In = decltype(in);
    using Out = decltype(to);
    using A = acc_t<In>;
    row_norm::forward<false, In, Out, A>(xc.data<In>(), w.data<A>(), nullptr, y.data<Out>(), nullptr, rstd.data<A>(),
                                         rows, columns, eps);
  });

  return record("rms_norm", y, {x, weight}, [xc, w, rstd, rows, columns](const Tensor& dy, GradOut& grads) {
    const Tensor dyc = dy.contiguous();
    dispatch_floating_pair("rms_norm", xc.dtype(), dy.dtype(), [&](auto in, auto to) {
      using In = decltype(in);
      using Out = decltype(to);
      using A = acc_t<In>;
      const int64_t blocks = (rows + row_norm::kBlockRows - 1) / row_norm::kBlockRows;
      const Tensor partial = grads.wants(1) ? Tensor::empty({blocks, 2, columns}, w.dtype()) : Tensor();
      const auto dx = grads.wants(0) ? grads.target(0) : GradOut::Target{};
      row_norm::backward<false, In, Out, A>(xc.data<In>(), w.data<A>(), nullptr, rstd.data<A>(), dyc.data<Out>(),
                                            dx.tensor.defined() ? dx.tensor.template data<In>() : nullptr,
                                            dx.accumulate, partial.defined() ? partial.data<A>() : nullptr, rows,
                                            columns);
      if (!grads.wants(1)) return;
      const auto [tensor, accumulate] = grads.target(1);
      row_norm::add_blocks<A>(partial.data<A>(), 0, blocks, columns, tensor.template data<A>(), accumulate);
    });
  });
}

}  // namespace gfsa
