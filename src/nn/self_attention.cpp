#include "nn/self_attention.h"

#include "ops/dropout.h"

namespace gfsa {

SelfAttention::SelfAttention(const Scope& s, const SelfAttentionShape& shape, const AttentionConfig& attention,
                             const Init& init)
    : qkv_(s / "qkv", shape.width, 3 * shape.width, init),
      proj_(s / "proj", shape.width, shape.width, init),
      config_(attention),
      shape_(shape),
      passes_(attention.filters_layer(shape.layer, shape.depth) ? std::max<int64_t>(1, attention.filter->degree()) : 1),
      path_(s.path()) {
  const size_t before = s.store().parameters().size();
  filter_ = attention.build(s, shape.heads, shape.layer, shape.depth);
  const auto& all = s.store().parameters();
  for (size_t i = before; i < all.size(); ++i) learned_.push_back(&all[i]);
}

Tensor SelfAttention::forward(const Tensor& x, const ForwardContext& c, std::vector<Tensor>* qkv_out) const {
  AttentionInputs in;
  in.qkv = qkv_.forward(x);  // [B, N, 3 C]
  in.coefficients = filter_->coefficients();
  AttentionOptions options = config_.options(shape_.heads, c.training);
  options.dropout_key = c.key(path_ + ".attn_drop");
  options.sample0 = c.sample0;
  if (qkv_out) qkv_out->push_back(in.qkv);
  const Tensor y = proj_.forward(attention(in, options));  // [B, N, C]
  return dropout(y, shape_.dropout, c.key(path_ + ".proj_drop"), c.sample0, c.training);
}

std::vector<std::pair<std::string, Tensor>> SelfAttention::learned_coefficients() const {
  std::vector<std::pair<std::string, Tensor>> out;
  for (const Parameter* p : learned_) out.emplace_back(p->name, p->value);
  return out;
}

double SelfAttention::attention_flops(int64_t tokens) const {
  const auto n = static_cast<double>(tokens), d = static_cast<double>(shape_.width);
  return 2 * n * n * d * static_cast<double>(1 + passes_);
}

}  // namespace gfsa
