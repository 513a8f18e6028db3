#include "ops/linear.h"

#include "autograd/autograd.h"
#include "core/dispatch.h"
#include "core/expect.h"
#include "ops/gemm.h"
#include "ops/reduce_kernels.h"

namespace gfsa {
namespace {

// c = op(a) op(b), both dense matrices given as tensors whose leading dimensions are folded.
void product(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, const Tensor& c, int64_t m,
             int64_t n, int64_t k, bool accumulate, const Tensor& bias = {}) {
  Gemm g;
  g.a_type = a.dtype();
  g.c_type = c.dtype();
  g.transpose_a = transpose_a;
  g.transpose_b = transpose_b;
  g.m = m, g.n = n, g.k = k;
  g.accumulate = accumulate;
  g.bias = bias.defined();
  gemm(a.device(), g, a.raw(), b.raw(), c.raw(), bias.defined() ? bias.raw() : nullptr);
}

}  // namespace

void column_sums(const Tensor& dz, const Tensor& sums, bool accumulate) {
  on_device("column_sums", dz, [&](auto d) { ReduceKernels<d>::column_sums(dz, sums, accumulate); });
}

Tensor linear(const Tensor& x_in, const Tensor& weight, const Tensor& bias, Activation activation,
              std::optional<DType> out, WeightLayout layout) {
  const bool by_output = layout == WeightLayout::outputs_inputs;
  Expect e("linear");
  e.shape("x", x_in, "... I").shape("weight", weight, by_output ? "O I" : "I O").optional("bias", bias, "O");
  e.floating("x", x_in);
  e.dtype("weight", weight, {accumulator_of(x_in.dtype())})
      .same_device("weight", weight, x_in)
      .same_device("bias", bias, x_in);
  if (bias.defined()) e.dtype("bias", bias, {weight.dtype()});
  const int64_t rows = e["..."], inputs = e["I"], outputs = e["O"];
  const DType type = out.value_or(x_in.dtype());
  e.that(type == x_in.dtype() || (type == DType::f32 && x_in.dtype() == DType::bf16), "output {} from x {}",
         name_of(type), name_of(x_in.dtype()));

  const Tensor x = x_in.detach().contiguous();
  const Tensor w = weight.detach().contiguous().to(x.dtype());
  Shape shape = x.shape();
  shape[-1] = outputs;
  const Tensor z = Tensor::empty(shape, type, x.device());
  product(x, false, w, by_output, z, rows, outputs, inputs, false,
          bias.defined() ? bias.detach().contiguous() : Tensor());
  Tensor y = z;
  if (activation != Activation::none) {
    // Without a backward to come nobody needs z again.
    const bool keep = grad_enabled() && (requires_grad(x_in) || requires_grad(weight) || requires_grad(bias));
    if (keep) y = Tensor::empty(shape, type, x.device());
    activation_forward(activation, z, y);
  }
  return record("linear", y, {x_in, weight, bias},
                [=, z = activation == Activation::none ? Tensor() : z](Tensor dy, GradOut& g) {
                  Tensor dz = dy.contiguous();
                  dy = {};
                  if (activation != Activation::none) {
                    const Tensor into = dz.is_unique() ? dz : Tensor::empty(dz.shape(), dz.dtype(), dz.device());
                    activation_backward(activation, z, dz, into);
                    dz = into;
                  }
                  if (g.wants(2)) {
                    const auto db = g.target(2);
                    column_sums(dz, db.tensor, db.accumulate);
                  }
                  dz = dz.to(x.dtype());
                  if (g.wants(1)) {
                    const auto dw = g.target(1);
                    if (by_output) {
                      product(dz, true, x, false, dw.tensor, outputs, inputs, rows, dw.accumulate);
                    } else {
                      product(x, true, dz, false, dw.tensor, inputs, outputs, rows, dw.accumulate);
                    }
                  }
                  if (g.wants(0)) {
                    const auto dx = g.target(0);
                    product(dz, false, w, !by_output, dx.tensor, rows, inputs, outputs, dx.accumulate);
                  }
                });
}

}  // namespace gfsa
