// linear.h -- y = activation(x W^T + b), one op so that bias and activation cost no extra trip through memory.
//
//   x [..., I] f64|f32|bf16; weight [O, I] or, as `layout` says, [I, O] (y = x W + b, GPT-2's files); bias [O] or
//   undefined: f32 master weights (f64 for f64). With bf16 x the product runs on a bf16 copy of the weight, sums in
//   f32; the weight's gradient is f32.
//   y [..., O], dtype of x, or `out` (f32 for a bf16 x: logits).
// Saved: x; with an activation also z = x W^T + b. With bf16: the bf16 weight.
// On GPUs gelu_tanh, its gradient (mlp) and the bias's gradient come out of the products where cuBLASLt has them so.
// Gradients: dz = activation'(z) dy; dx = dz W; dW = dz^T x; db = column sums of dz in row order, beside dW's product
// where that can be. Repeatable bit for bit. Errors: shapes; dtypes other than these.
#pragma once

#include <map>
#include <optional>
#include <utility>

#include "core/tensor.h"
#include "ops/activation.h"

namespace gfsa {

// Copies of weights in the type of products, for many small products with the same weights, where making a copy takes
// several times as long as using it (generation). They serve as long as the weights do not change.
class WeightCopies {
 public:
  // While it lives, linear() on this thread takes and keeps its copies there; one at a time.
  class Use {
   public:
    explicit Use(WeightCopies& copies);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
  };
  // The weight in `type`: itself, or a copy that is kept while a Use lives.
  static Tensor of(const Tensor& weight, DType type);

 private:
  std::map<std::pair<const void*, DType>, Tensor> kept_;
};

enum class WeightLayout { outputs_inputs, inputs_outputs };

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Activation activation = Activation::none,
              std::optional<DType> out = {}, WeightLayout layout = WeightLayout::outputs_inputs);

// linear(linear(x, w1, b1, activation), w2, b2), for the two halves of a feed-forward layer with nothing between them.
// `layout` is of both weights. On the CPU what lies between them is never stored, but made from z = x W1^T + b1 as the
// products with w2 read it; on GPUs the gradient of gelu_tanh is part of the second one's product.
// Saved: x, z, on GPUs activation(z) too.
Tensor mlp(const Tensor& x, const Tensor& w1, const Tensor& b1, const Tensor& w2, const Tensor& b2,
           Activation activation, WeightLayout layout = WeightLayout::outputs_inputs);

// Sums of the columns of dz [M, O] into `sums` [O] (accumulator type of dz), rows added in order; for other matrix ops.
void column_sums(const Tensor& dz, const Tensor& sums, bool accumulate);

}  // namespace gfsa
