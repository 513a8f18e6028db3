#include "ops/layer_norm.h"

#include "autograd/autograd.h"
#include "core/expect.h"
#include "core/on_device.h"
#include "core/profile.h"
#include "ops/elementwise.h"
#include "ops/row_norm.h"

namespace gfsa {
namespace {

struct Prepared {
  Tensor x, branch, sum, weight, bias, mean, rstd, y;  // branch and sum: undefined where nothing is added
};

Prepared forward(const char* op, const Tensor& x, const Tensor& branch, const Tensor& weight, const Tensor& bias,
                 double eps, std::optional<DType> out) {
  Expect e(op);
  e.shape("x", x, "... C").optional("branch", branch, "... C").optional("weight", weight, "C");
  e.optional("bias", bias, "C").floating("x", x);
  const DType stat = accumulator_of(x.dtype());
  if (weight.defined()) e.dtype("weight", weight, {stat}).same_device("weight", weight, x);
  if (bias.defined()) e.dtype("bias", bias, {stat}).same_device("bias", bias, x);

  Prepared p;
  p.x = x.detach().contiguous();
  if (branch.defined()) {
    if (x.dtype() == DType::f32) {
      e.dtype("branch", branch, {DType::f32, DType::bf16});
    } else {
      e.dtype("branch", branch, {x.dtype()});
    }
    e.same_device("branch", branch, x);
    p.branch = branch.detach().contiguous();
    p.sum = Tensor::empty(x.shape(), x.dtype(), x.device());
  }
  p.weight = weight ? weight.detach().contiguous() : Tensor::full({e["C"]}, 1, stat, x.device());
  if (bias) p.bias = bias.detach().contiguous();
  p.mean = Tensor::empty({e["..."]}, stat, x.device());
  p.rstd = Tensor::empty({e["..."]}, stat, x.device());
  p.y = Tensor::empty(x.shape(), out.value_or(x.dtype()), x.device());
  on_device(op, x, [&](auto d) {
    RowNormKernels<d>::forward(op, p.x, p.branch, p.sum, p.weight, p.bias, p.y, p.mean, p.rstd, eps);
  });
  return p;
}

Tensor record_norm(const char* op, const Prepared& p, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return record(
      op, p.y, {x, weight, bias},
      [xc = p.sum ? p.sum : p.x, w = p.weight, mean = p.mean, rstd = p.rstd](const Tensor& dy, GradOut& grads) {
        const Tensor dyc = dy.contiguous();
        on_device("layer_norm", xc, [&](auto d) {
          RowNormKernels<d>::backward("layer_norm", xc, w, mean, rstd, dyc, target_if_wanted(grads, 0),
                                      target_if_wanted(grads, 1), target_if_wanted(grads, 2));
        });
      });
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps, std::optional<DType> out) {
  const OpRange range("layer_norm");
  return record_norm("layer_norm", forward("layer_norm", x, {}, weight, bias, eps, out), x, weight, bias);
}

SumAndNorm add_layer_norm(const Tensor& x, const Tensor& branch, const Tensor& weight, const Tensor& bias, double eps,
                          std::optional<DType> out) {
  const OpRange range("add_layer_norm");
  Expect("add_layer_norm").that(branch.defined(), "branch is missing");
  const Prepared p = forward("add_layer_norm", x, branch, weight, bias, eps, out);
  const Tensor sum = record_sum("add_layer_norm", p.sum, x, branch);
  return {sum, record_norm("add_layer_norm", p, sum, weight, bias)};
}

}  // namespace gfsa
