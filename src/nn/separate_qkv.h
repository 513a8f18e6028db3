// separate_qkv.h -- queries, keys and values of parameters that files hold apart (Hugging Face's BERT family:
// query.weight [C, C], query.bias [C], key..., value...), in one product.
#pragma once

#include "nn/linear.h"
#include "ops/view.h"

namespace gfsa {

struct SeparateQkv {
  SeparateQkv(const Scope& s, int64_t width, const Init& init)
      : query(s / "query", width, width, init),
        key(s / "key", width, width, init),
        value(s / "value", width, width, init) {}

  // x [B, N, C] -> [B, N, 3 C]. The joined weight is 3 C^2 numbers copied, next to 3 C^2 B N multiply-adds.
  Tensor forward(const Tensor& x) const {
    return linear(x, concat({*query.weight, *key.weight, *value.weight}, 0),
                  concat({*query.bias, *key.bias, *value.bias}, 0));
  }

  Linear query, key, value;
};

}  // namespace gfsa
