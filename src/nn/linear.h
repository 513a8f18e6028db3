// linear.h -- nn.Linear: weight [O, I], bias [O].
#pragma once

#include <optional>

#include "ops/linear.h"
#include "params/parameters.h"

namespace gfsa {

struct Linear {
  Linear(const Scope& s, int64_t inputs, int64_t outputs, const Init& weight_init, bool with_bias = true)
      : weight(s.param("weight", {outputs, inputs}, weight_init)),
        bias(with_bias ? s.param("bias", {outputs}, zeros()) : Param()) {}

  // x [..., I] -> [..., O]
  Tensor forward(const Tensor& x, Activation activation = Activation::none, std::optional<DType> out = {}) const {
    return linear(x, *weight, *bias, activation, out);
  }

  Param weight, bias;
};

// second(activation(first(x))), as one op.
inline Tensor mlp(const Tensor& x, const Linear& first, const Linear& second, Activation activation) {
  return mlp(x, *first.weight, *first.bias, *second.weight, *second.bias, activation);
}

}  // namespace gfsa
