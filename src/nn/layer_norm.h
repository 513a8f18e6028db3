// layer_norm.h -- nn.LayerNorm over the last dimension: weight [C] from 1, bias [C] from 0.
#pragma once

#include <optional>

#include "ops/layer_norm.h"
#include "params/parameters.h"

namespace gfsa {

struct LayerNorm {
  LayerNorm(const Scope& s, int64_t width, double epsilon)
      : weight(s.param("weight", {width}, ones())), bias(s.param("bias", {width}, zeros())), eps(epsilon) {}

  // x [..., C] -> [..., C] in `out` (the residual stream is f32, what follows a norm is in the compute dtype)
  Tensor forward(const Tensor& x, std::optional<DType> out = {}) const {
    return layer_norm(x, *weight, *bias, eps, out);
  }

  // x + branch [..., C], the stream that goes on, and its norm.
  SumAndNorm forward_sum(const Tensor& x, const Tensor& branch, std::optional<DType> out = {}) const {
    return add_layer_norm(x, branch, *weight, *bias, eps, out);
  }

  Param weight, bias;
  double eps;
};

}  // namespace gfsa
