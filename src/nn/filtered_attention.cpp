#include "nn/filtered_attention.h"

#include <algorithm>

namespace gfsa {

FilteredAttention::FilteredAttention(const Scope& s, const FilteredAttentionShape& shape,
                                     const AttentionConfig& attention)
    : shape_(shape),
      config_(attention),
      degree_(attention.filters_layer(shape.layer, shape.depth) ? std::max<int64_t>(1, attention.filter->degree()) : 1),
      path_(s.path()) {
  const size_t before = s.store().parameters().size();
  filter_ = attention.build(s, shape.heads, shape.layer, shape.depth);
  const auto& all = s.store().parameters();
  for (size_t i = before; i < all.size(); ++i) learned_.push_back(&all[i]);
}

Tensor FilteredAttention::forward(AttentionInputs in, const ForwardContext& c, int64_t longest,
                                  const std::string& use) const {
  in.coefficients = filter_->coefficients();
  AttentionOptions options = config_.options(shape_.heads, c.training);
  options.scale = shape_.scale;
  options.causal = shape_.causal;
  options.longest = longest;
  options.dropout_key = c.key(path_ + ".attn_drop" + use);
  options.sample0 = c.sample0;
  return attention(in, options);
}

Tensor FilteredAttention::step(AttentionInputs in, AttentionCache& cache, const std::vector<int64_t>& counts) const {
  in.coefficients = filter_->coefficients();
  AttentionOptions options = config_.options(shape_.heads, false);
  options.scale = shape_.scale;
  options.causal = shape_.causal;
  return attention_step(in, options, cache, counts);
}

AttentionCache FilteredAttention::make_cache(int64_t sequences, DType dtype, Device device, int64_t capacity) const {
  return AttentionCache({.sequences = sequences,
                         .heads = shape_.heads,
                         .head_size = shape_.head_size,
                         .degree = degree_,
                         .dtype = dtype,
                         .device = device},
                        capacity);
}

std::vector<std::pair<std::string, Tensor>> FilteredAttention::learned_coefficients() const {
  std::vector<std::pair<std::string, Tensor>> out;
  for (const Parameter* p : learned_) out.emplace_back(p->name, p->value);
  return out;
}

double FilteredAttention::flops(int64_t tokens) const {
  const auto n = static_cast<double>(tokens), d = static_cast<double>(shape_.heads * shape_.head_size);
  const double pairs = shape_.causal ? n * (n + 1) / 2 : n * n;  // of a row and a key that it sees
  return 2 * pairs * d * static_cast<double>(1 + degree_);
}

}  // namespace gfsa
