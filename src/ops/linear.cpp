#include "ops/linear.h"

#include <algorithm>
#include <utility>

#include "autograd/autograd.h"
#include "core/dispatch.h"
#include "core/expect.h"
#include "core/on_device.h"
#include "core/profile.h"
#include "ops/gemm.h"
#include "ops/reduce_kernels.h"

namespace gfsa {
namespace {

using Kind = GemmEpilogue::Kind;

thread_local WeightCopies* copies_in_use = nullptr;

// One layer's operands as its products take them: detached, dense, the weight in x's type. The layer's input is
// activation_of_x(x).
struct Layer {
  Tensor x, w, bias;
  bool by_output;
  Activation activation_of_x;
  int64_t rows, inputs, outputs;

  Layer(const Tensor& x_in, const Tensor& weight, const Tensor& bias_in, WeightLayout layout,
        Activation of_x = Activation::none)
      : by_output(layout == WeightLayout::outputs_inputs), activation_of_x(of_x) {
    Expect e("linear");
    e.shape("x", x_in, "... I").shape("weight", weight, by_output ? "O I" : "I O").optional("bias", bias_in, "O");
    e.floating("x", x_in);
    const DType master = accumulator_of(x_in.dtype());
    e.dtype("weight", weight, {master, x_in.dtype()})
        .same_device("weight", weight, x_in)
        .same_device("bias", bias_in, x_in);
    if (bias_in.defined()) e.dtype("bias", bias_in, {master});
    rows = e["..."], inputs = e["I"], outputs = e["O"];
    x = x_in.detach().contiguous();
    w = WeightCopies::of(weight.detach().contiguous(), x.dtype());
    if (bias_in.defined()) bias = bias_in.detach().contiguous();
  }

  // z = x W^T + b and y = activation(z), which is z itself for none. z is undefined where nobody needs it: `keep`.
  struct Output {
    Tensor z, y;
  };
  Output forward(Activation activation, DType type, bool keep) const {
    Shape shape = x.shape();
    shape[-1] = outputs;
    const Tensor y = Tensor::empty(shape, type, x.device());
    Tensor z = y;
    const bool writes_z = activation != Activation::none && keep;
    if (writes_z) z = Tensor::empty(shape, type, x.device());
    const auto product = [&](const GemmEpilogue& epilogue, const Tensor& c) {
      return multiply({x, false, activation_of_x}, {w, by_output}, c, rows, outputs, inputs, false, epilogue, bias);
    };
    if (activation == Activation::gelu_tanh &&
        product({.kind = Kind::gelu_tanh, .z = writes_z ? z.raw() : nullptr}, y)) {
      return {z, y};
    }
    product({}, z);
    if (activation != Activation::none) activation_forward(activation, z, y);
    return {z, y};
  }

  // Each of them if it is wanted; dz in x's type.
  void parameter_gradients(const Tensor& dz, const std::optional<GradOut::Target>& dw,
                           const std::optional<GradOut::Target>& db) const {
    const auto product = [&](const GemmEpilogue& epilogue) {
      const Operand input{x, !by_output, activation_of_x}, slope{dz, by_output};
      if (by_output) return multiply(slope, input, dw->tensor, outputs, inputs, rows, dw->accumulate, epilogue);
      return multiply(input, slope, dw->tensor, inputs, outputs, rows, dw->accumulate, epilogue);
    };
    if (db && dw && !db->accumulate && db->tensor.dtype() == DType::f32 &&
        product({.kind = by_output ? Kind::sums_of_a : Kind::sums_of_b, .sums = db->tensor.data<float>()})) {
      return;
    }
    if (db) column_sums(dz, db->tensor, db->accumulate);
    if (dw) product({});
  }

  bool input_gradient(const Tensor& dz, const GradOut::Target& dx, const GemmEpilogue& epilogue = {}) const {
    return multiply({dz, false}, {w, !by_output}, dx.tensor, rows, inputs, outputs, dx.accumulate, epilogue);
  }

 private:
  struct Operand {
    const Tensor& matrix;  // dense; its leading dimensions are folded
    bool transposed;
    Activation activation = Activation::none;
  };
  // c = op(a) op(b). False: there is no such epilogue here.
  static bool multiply(const Operand& a, const Operand& b, const Tensor& c, int64_t m, int64_t n, int64_t k,
                       bool accumulate, const GemmEpilogue& epilogue, const Tensor& bias = {}) {
    Gemm g;
    g.a_type = a.matrix.dtype();
    g.c_type = c.dtype();
    g.transpose_a = a.transposed;
    g.transpose_b = b.transposed;
    g.activation_a = a.activation;
    g.activation_b = b.activation;
    g.m = m, g.n = n, g.k = k;
    g.accumulate = accumulate;
    g.bias = bias.defined();
    const void* const add = bias.defined() ? bias.raw() : nullptr;
    const void *const left = a.matrix.raw(), *const right = b.matrix.raw();
    if (epilogue.kind != Kind::none) return gemm(c.device(), g, epilogue, left, right, c.raw(), add);
    gemm(c.device(), g, left, right, c.raw(), add);
    return true;
  }
};

std::optional<GradOut::Target> wanted(GradOut& g, size_t input) {
  if (!g.wants(input)) return std::nullopt;
  return g.target(input);
}

bool any_requires_grad(std::initializer_list<Tensor> all) {
  return grad_enabled() && std::any_of(all.begin(), all.end(), [](const Tensor& t) { return requires_grad(t); });
}

// dz from dy, in dy's memory if nobody else holds it.
Tensor through_activation(Activation activation, const Tensor& z, Tensor dy) {
  const Tensor dz = dy.contiguous();
  dy = {};
  if (activation == Activation::none) return dz;
  const Tensor into = dz.is_unique() ? dz : Tensor::empty(dz.shape(), dz.dtype(), dz.device());
  activation_backward(activation, z, dz, into);
  return into;
}

}  // namespace

WeightCopies::Use::Use(WeightCopies& copies) {
  if (copies_in_use != nullptr) fail("linear: copies of weights are kept elsewhere already");
  copies_in_use = &copies;
}
WeightCopies::Use::~Use() { copies_in_use = nullptr; }

Tensor WeightCopies::of(const Tensor& weight, DType type) {
  if (copies_in_use == nullptr || weight.dtype() == type) return weight.to(type);
  Tensor& copy = copies_in_use->kept_[{weight.raw(), type}];
  if (!copy) copy = weight.to(type);
  return copy;
}

void column_sums(const Tensor& dz, const Tensor& sums, bool accumulate) {
  on_device("column_sums", dz, [&](auto d) { ReduceKernels<d>::column_sums(dz, sums, accumulate); });
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Activation activation,
              std::optional<DType> out, WeightLayout layout) {
  const OpRange range("linear");
  const Layer layer(x, weight, bias, layout);
  const DType type = out.value_or(x.dtype());
  Expect("linear").that(type == x.dtype() || (type == DType::f32 && x.dtype() == DType::bf16), "output {} from x {}",
                        name_of(type), name_of(x.dtype()));
  const Layer::Output made = layer.forward(activation, type, any_requires_grad({x, weight, bias}));
  return record("linear", made.y, {x, weight, bias},
                [layer, activation, z = activation == Activation::none ? Tensor() : made.z](Tensor dy, GradOut& g) {
                  Tensor dz = through_activation(activation, z, std::move(dy));
                  std::optional<GradOut::Target> db = wanted(g, 2);
                  if (db && dz.dtype() != layer.x.dtype()) {  // sums of what is not rounded yet
                    column_sums(dz, db->tensor, db->accumulate);
                    db.reset();
                  }
                  dz = dz.to(layer.x.dtype());
                  layer.parameter_gradients(dz, wanted(g, 1), db);
                  if (g.wants(0)) layer.input_gradient(dz, g.target(0));
                });
}

Tensor mlp(const Tensor& x, const Tensor& w1, const Tensor& b1, const Tensor& w2, const Tensor& b2,
           Activation activation, WeightLayout layout) {
  if (!any_requires_grad({x, w1, b1, w2, b2}) || (!is_on_cpu(x) && activation != Activation::gelu_tanh)) {
    return linear(linear(x, w1, b1, activation, {}, layout), w2, b2, Activation::none, {}, layout);
  }
  const OpRange range("mlp");
  const Layer first(x, w1, b1, layout);
  const bool makes_h = !is_on_cpu(x);
  const auto [z, h] = first.forward(makes_h ? activation : Activation::none, x.dtype(), true);
  const Layer second(h, w2, b2, layout, makes_h ? Activation::none : activation);
  const Tensor y = second.forward(Activation::none, x.dtype(), true).y;
  return record("mlp", y, {x, w1, b1, w2, b2}, [=, z = z](const Tensor& dy_in, GradOut& g) {
    const Tensor dy = dy_in.contiguous();
    second.parameter_gradients(dy, wanted(g, 3), wanted(g, 4));
    if (!g.wants(0) && !g.wants(1) && !g.wants(2)) return;
    const GradOut::Target dz{Tensor::empty(z.shape(), z.dtype(), z.device()), false};
    std::optional<GradOut::Target> db = wanted(g, 2);
    const bool tries_sums = db && !db->accumulate && db->tensor.dtype() == DType::f32;
    const GemmEpilogue slope{.kind = Kind::gelu_tanh_gradient, .z = z.raw()};
    GemmEpilogue slope_and_sums = slope;
    if (tries_sums) slope_and_sums.sums = db->tensor.data<float>();
    if (tries_sums && second.input_gradient(dy, dz, slope_and_sums)) {
      db.reset();
    } else if (!second.input_gradient(dy, dz, slope)) {
      second.input_gradient(dy, dz);
      activation_backward(activation, z, dz.tensor, dz.tensor);
    }
    first.parameter_gradients(dz.tensor, wanted(g, 1), db);
    if (g.wants(0)) first.input_gradient(dz.tensor, g.target(0));
  });
}

}  // namespace gfsa
