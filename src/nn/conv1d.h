// conv1d.h -- GPT-2's Conv1D: a Linear whose weight is stored [I, O], bias [O].
#pragma once

#include "ops/linear.h"
#include "params/parameters.h"

namespace gfsa {

struct Conv1D {
  Conv1D(const Scope& s, int64_t inputs, int64_t outputs, const Init& weight_init)
      : weight(s.param("weight", {inputs, outputs}, weight_init)), bias(s.param("bias", {outputs}, zeros())) {}

  // x [..., I] -> [..., O]
  Tensor forward(const Tensor& x, Activation activation = Activation::none) const {
    return linear(x, *weight, *bias, activation, {}, WeightLayout::inputs_outputs);
  }

  Param weight, bias;
};

// second(activation(first(x))), as one op.
inline Tensor mlp(const Tensor& x, const Conv1D& first, const Conv1D& second, Activation activation) {
  return mlp(x, *first.weight, *first.bias, *second.weight, *second.bias, activation, WeightLayout::inputs_outputs);
}

}  // namespace gfsa
