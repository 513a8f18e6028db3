#include "models/text_parts.h"

#include "models/decode_state.h"
#include "ops/dropout.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/view.h"

namespace gfsa {

Tensor attend(const FilteredAttention& attention, const Tensor& qkv, const TextInputs& inputs, const ForwardContext& c,
              const std::string& use) {
  if (inputs.past != nullptr) return inputs.past->attend(attention, qkv, use);
  AttentionInputs in;
  in.qkv = qkv;
  in.offsets = inputs.offsets;
  if (!inputs.offsets) in.key_lengths = inputs.lengths;
  return attention.forward(in, c, inputs.longest, use);
}

Tensor first_tokens(const Tensor& x, const TextInputs& inputs) {
  if (!inputs.offsets) return select(x, 1, 0);
  return index_select(select(x, 0, 0), 0, inputs.offsets.slice(0, 0, inputs.offsets.dim(0) - 1));
}

Tensor wanted_rows(const Tensor& x, const TextInputs& inputs) {
  const Tensor rows = reshape(x, {x.dim(0) * x.dim(1), x.dim(2)});
  return inputs.rows ? index_select(rows, 0, inputs.rows) : rows;
}

Tensor position_rows(const Tensor& table, int64_t offset, const TextInputs& inputs, DType dtype) {
  const int64_t known = table.dim(0) - offset;
  if (inputs.longest > known) bad_input("a text of {} tokens, but the model has {} positions", inputs.longest, known);
  if (inputs.positions)
    return embedding(offset == 0 ? table : slice(table, 0, offset, table.dim(0)), inputs.positions, dtype);
  const int64_t tokens = inputs.ids.dim(1);
  if (inputs.offsets) fail("packed sequences need positions");
  if (tokens > known) bad_input("a text of {} tokens, but the model has {} positions", tokens, known);
  return cast(slice(table, 0, offset, offset + tokens), dtype);
}

TextEmbeddings::TextEmbeddings(const Scope& s, const FamilyConfig& config, int64_t segment_count,
                               std::optional<int64_t> own_width)
    : vocabulary(config.vocabulary_size),
      width(own_width.value_or(config.sizes().width)),
      words((s / "word_embeddings").param("weight", {vocabulary, width}, config.init())),
      positions((s / "position_embeddings")
                    .param("weight", {config.position_offset() + config.sizes().positions, width}, config.init())),
      segments((s / "token_type_embeddings").param("weight", {segment_count, width}, config.init())),
      norm(s / "LayerNorm", width, config.sizes().eps),
      offset(config.position_offset()),
      rate(config.sizes().dropout),
      path(s.path()) {}

Tensor TextEmbeddings::forward(const TextInputs& inputs, const ForwardContext& c) const {
  const DType type = c.residual();
  Tensor x = embedding(*words, inputs.ids, type);  // [B, N, C]
  x = add(x, inputs.segments && segments->dim(0) > 1 ? embedding(*segments, inputs.segments, type)
                                                     : cast(select(*segments, 0, 0), type));
  x = add(x, position_rows(*positions, offset, inputs, type));
  return dropout(norm.forward(x), rate, c.key(path + ".dropout"), c.sample0, c.training);
}

double layer_flops(const TextSizes& sizes, int64_t tokens, bool first_only) {
  const auto n = static_cast<double>(tokens), d = static_cast<double>(sizes.width);
  return 2 * n * 3 * d * d + 2 * (first_only ? 1 : n) * d * (d + 2 * static_cast<double>(sizes.mlp_width));
}

SequenceHead::SequenceHead(const Scope& dense_scope, const Scope& out_scope, int64_t width, int64_t classes,
                           double dropout, bool drop_before_dense, const Init& init)
    : dense(dense_scope, width, width, init),
      out(out_scope, width, classes, init),
      rate(dropout),
      drop_first(drop_before_dense),
      path(out_scope.path()) {}

Tensor SequenceHead::forward(const Tensor& first, const ForwardContext& c) const {
  Tensor x = cast(first, c.compute);
  if (drop_first) x = dropout(x, rate, c.key(path + ".dropout0"), c.sample0, c.training);
  x = dense.forward(x, Activation::tanh);
  x = dropout(x, rate, c.key(path + ".dropout"), c.sample0, c.training);
  return out.forward(x, Activation::none, c.residual());
}

double SequenceHead::flops() const { return 2 * static_cast<double>(dense.weight->numel() + out.weight->numel()); }

MaskedLmHead::MaskedLmHead(const Scope& dense_scope, const Scope& norm_scope, const Scope& bias_scope, int64_t width,
                           const TextEmbeddings& embeddings, Activation act, double eps, const Init& init)
    : dense(dense_scope, width, embeddings.width, init),
      norm(norm_scope, embeddings.width, eps),
      bias(bias_scope.param("bias", {embeddings.vocabulary}, zeros())),
      words(embeddings.words),
      activation(act) {}

Tensor MaskedLmHead::forward(const Tensor& hidden, const TextInputs& inputs, const ForwardContext& c) const {
  Tensor x = cast(wanted_rows(hidden, inputs), c.compute);  // [R, C]
  x = norm.forward(dense.forward(x, activation), c.compute);
  return linear(x, *words, *bias, Activation::none, c.residual());  // [R, V]
}

double MaskedLmHead::flops(int64_t logits_of) const {
  return 2 * static_cast<double>(logits_of) * static_cast<double>(dense.weight->numel() + words->numel());
}

}  // namespace gfsa
