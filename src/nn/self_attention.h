// self_attention.h -- multi-head self-attention with a packed projection (timm's Attention and its names: qkv, proj)
// and the configured filter.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "attention/attention_config.h"
#include "nn/linear.h"
#include "params/forward_context.h"

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

  // The filter's learned parameters, by their names in the store.
  std::vector<std::pair<std::string, Tensor>> learned_coefficients() const;
  // [H, degree + 2], or undefined for plain softmax; see attention.h.
  Tensor coefficients() const { return filter_->coefficients(); }
  // Of one sample: the products with A, as many passes as the filter's degree; scores once.
  double attention_flops(int64_t tokens) const;

 private:
  Linear qkv_, proj_;
  std::unique_ptr<Filter> filter_;
  std::vector<const Parameter*> learned_;
  AttentionConfig config_;
  SelfAttentionShape shape_;
  int64_t passes_;
  std::string path_;
};

}  // namespace gfsa
