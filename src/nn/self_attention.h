// self_attention.h -- multi-head self-attention with a packed projection (timm's Attention and its names: qkv, proj)
// and the configured filter.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "nn/filtered_attention.h"
#include "nn/linear.h"

namespace gfsa {

struct SelfAttentionShape {
  int64_t width = 0, heads = 1;
  int64_t layer = 0, depth = 1;  // which of the model's layers this is: the config may filter only some
  double dropout = 0;            // after the output projection
};

class SelfAttention {
 public:
  SelfAttention(const Scope& s, const SelfAttentionShape& shape, const AttentionConfig& attention, const Init& init);

  // x [B, N, C] -> [B, N, C]. qkv_out, if given, receives the packed projection [B, N, 3 C].
  Tensor forward(const Tensor& x, const ForwardContext& c, std::vector<Tensor>* qkv_out = nullptr) const;

  std::vector<std::pair<std::string, Tensor>> learned_coefficients() const { return attention_.learned_coefficients(); }
  Tensor coefficients() const { return attention_.coefficients(); }
  double attention_flops(int64_t tokens) const { return attention_.flops(tokens); }

 private:
  Linear qkv_, proj_;
  FilteredAttention attention_;
  double dropout_;
  std::string path_;
};

}  // namespace gfsa
