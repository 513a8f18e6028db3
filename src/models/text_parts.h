// text_parts.h -- what language models share: how attention reads their inputs, and the BERT family's embeddings and
// heads. Names below the scopes are transformers'.
#pragma once

#include <optional>
#include <string>

#include "models/text_config.h"
#include "nn/filtered_attention.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"

namespace gfsa {

// One layer's attention, qkv [B, N, 3 C] -> [B, N, C], with the padding and the packing of the model's inputs, or, in
// generation, with the tokens that came before. use: FilteredAttention::forward.
Tensor attend(const FilteredAttention& attention, const Tensor& qkv, const TextInputs& inputs, const ForwardContext& c,
              const std::string& use = "");
// x [B, N, C] -> the first token of every sequence, [B or S, C].
Tensor first_tokens(const Tensor& x, const TextInputs& inputs);
// x [B, N, C] -> its rows [B N, C], or those that inputs.rows names, [R, C].
Tensor wanted_rows(const Tensor& x, const TextInputs& inputs);
// Rows of the position table: [N, C] for positions 0 .. N - 1 of every sequence, or [B, N, C]. The table's first
// `offset` rows are not used. Fails for sequences that are too long.
Tensor position_rows(const Tensor& table, int64_t offset, const TextInputs& inputs, DType dtype);

struct TextEmbeddings {
  // segments: texts that an input may have. width: the layers' unless given.
  TextEmbeddings(const Scope& s, const FamilyConfig& config, int64_t segments, std::optional<int64_t> width = {});

  // LayerNorm(word + position + segment), dropout: [B, N, C] in c.residual(). With one segment, which one a token is
  // in makes no difference.
  Tensor forward(const TextInputs& inputs, const ForwardContext& c) const;

  int64_t vocabulary, width;
  Param words, positions, segments;
  LayerNorm norm;
  int64_t offset;  // rows of the position table in front of the first token's
  double rate;
  std::string path;
};

// Of a layer's products but the attention's own, for one sequence; first_only: behind the attention for one token
// alone.
double layer_flops(const TextSizes& sizes, int64_t tokens, bool first_only);

// One vector a sequence to logits: out(dropout(tanh(dense(x)))); RoBERTa drops before dense, too.
struct SequenceHead {
  SequenceHead(const Scope& dense, const Scope& out, int64_t width, int64_t classes, double dropout, bool drop_first,
               const Init& init);
  Tensor forward(const Tensor& first, const ForwardContext& c) const;  // first tokens [B or S, C] -> [B or S, classes]
  double flops() const;

  Linear dense, out;
  double rate;
  bool drop_first;
  std::string path;
};

// Logits of the vocabulary: words norm(activation(dense(x))) + bias, with the table of the embeddings.
struct MaskedLmHead {
  MaskedLmHead(const Scope& dense, const Scope& norm, const Scope& bias, int64_t width,
               const TextEmbeddings& embeddings, Activation activation, double eps, const Init& init);
  Tensor forward(const Tensor& hidden, const TextInputs& inputs, const ForwardContext& c) const;  // [R, V]
  double flops(int64_t logits_of) const;

  Linear dense;
  LayerNorm norm;
  Param bias, words;
  Activation activation;
};

}  // namespace gfsa
