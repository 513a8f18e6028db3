// mlp.h -- the feed-forward half of a block: fc2(activation(fc1(x))), dropout after each (timm's Mlp and its names).
#pragma once

#include "nn/linear.h"
#include "ops/dropout.h"
#include "params/forward_context.h"

namespace gfsa {

struct Mlp {
  Mlp(const Scope& s, int64_t width, int64_t hidden, Activation activation, double dropout, const Init& init)
      : fc1(s / "fc1", width, hidden, init),
        fc2(s / "fc2", hidden, width, init),
        activation(activation),
        rate(dropout),
        path(s.path()) {}

  // x [B, N, C] -> [B, N, C]
  Tensor forward(const Tensor& x, const ForwardContext& c) const {
    if (rate == 0 || !c.training) return mlp(x, fc1, fc2, activation);
    Tensor h = fc1.forward(x, activation);  // [B, N, hidden]
    h = dropout(h, rate, c.key(path + ".drop1"), c.sample0, c.training);
    return dropout(fc2.forward(h), rate, c.key(path + ".drop2"), c.sample0, c.training);
  }

  Linear fc1, fc2;
  Activation activation;
  double rate;
  std::string path;
};

}  // namespace gfsa
