#include "nn/self_attention.h"

#include "ops/dropout.h"

namespace gfsa {

SelfAttention::SelfAttention(const Scope& s, const SelfAttentionShape& shape, const AttentionConfig& attention,
                             const Init& init)
    : qkv_(s / "qkv", shape.width, 3 * shape.width, init),
      proj_(s / "proj", shape.width, shape.width, init),
      attention_(
          s, {.heads = shape.heads, .head_size = shape.width / shape.heads, .layer = shape.layer, .depth = shape.depth},
          attention),
      dropout_(shape.dropout),
      path_(s.path()) {}

Tensor SelfAttention::forward(const Tensor& x, const ForwardContext& c, std::vector<Tensor>* qkv_out) const {
  AttentionInputs in;
  in.qkv = qkv_.forward(x);  // [B, N, 3 C]
  if (qkv_out) qkv_out->push_back(in.qkv);
  const Tensor y = proj_.forward(attention_.forward(in, c));  // [B, N, C]
  return dropout(y, dropout_, c.key(path_ + ".proj_drop"), c.sample0, c.training);
}

}  // namespace gfsa
