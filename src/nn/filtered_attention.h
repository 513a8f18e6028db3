// filtered_attention.h -- the attention between a model's projections, whatever these are called and packed like: the
// configured filter with its parameters, scale, mask and dropout.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "attention/attention_config.h"
#include "attention/decode.h"
#include "params/forward_context.h"

namespace gfsa {

struct FilteredAttentionShape {
  int64_t heads = 1, head_size = 0;
  int64_t layer = 0, depth = 1;  // which of the model's layers this is: the config may filter only some
  bool causal = false;
  std::optional<double> scale = {};  // 1 / sqrt(head size) unless given
};

class FilteredAttention {
 public:
  // Declares the filter's parameters below `s`, the attention layer's scope ("blocks.3.attn").
  FilteredAttention(const Scope& s, const FilteredAttentionShape& shape, const AttentionConfig& attention);

  // attention() of in.qkv, or of in.q, in.k and in.v, with masks, bias or offsets as they are in `in`; coefficients are
  // filled in. longest: AttentionOptions::longest. use: where several layers share this one, a name of each, so that
  // dropout differs. [B, N, C].
  Tensor forward(AttentionInputs in, const ForwardContext& c, int64_t longest = 0, const std::string& use = "") const;

  // attention_step(): the next tokens in generation. Causal layers only.
  Tensor step(AttentionInputs in, AttentionCache& cache, const std::vector<int64_t>& counts = {}) const;
  AttentionCache make_cache(int64_t sequences, DType dtype, Device device, int64_t capacity = 0) const;

  // The filter's learned parameters, by their names in the store.
  std::vector<std::pair<std::string, Tensor>> learned_coefficients() const;
  // [H, degree + 2], or undefined for plain softmax; see attention.h.
  Tensor coefficients() const { return filter_->coefficients(); }
  // Of one sample: the products with A, as many passes as the filter's degree; scores once.
  double flops(int64_t tokens) const;

 private:
  FilteredAttentionShape shape_;
  AttentionConfig config_;
  std::unique_ptr<Filter> filter_;
  std::vector<const Parameter*> learned_;
  int64_t degree_;  // 1 for softmax
  std::string path_;
};

}  // namespace gfsa
