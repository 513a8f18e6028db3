// bert.h -- BERT (Devlin et al. 2019, arXiv 1810.04805) and RoBERTa (Liu et al. 2019, arXiv 1907.11692): post-norm
// encoders with learned position embeddings, of the same layers. Heads: classification or regression, masked language
// model.
//
// Parameter names and shapes are those of transformers' BertForSequenceClassification and BertForMaskedLM (Roberta...);
// the filter's stand below encoder.layer.N.attention.self.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/text_config.h"
#include "models/text_parts.h"
#include "nn/filtered_attention.h"
#include "nn/separate_qkv.h"

namespace gfsa {

// x = norm(x + dropout(dense(attention(x)))), then x = norm(x + dropout(dense(activation(dense(x))))).
struct BertLayer {
  BertLayer(const Scope& s, const TextSizes& sizes, const Init& init, const AttentionConfig& attention, int64_t layer);
  // [B, N, C]; first_only: of the first token of every sequence, [B or S, C].
  Tensor forward(Tensor x, const TextInputs& inputs, const ForwardContext& c, bool first_only) const;

  SeparateQkv qkv;
  FilteredAttention attention;
  Linear attention_output;
  LayerNorm attention_norm;
  Linear intermediate, output;
  LayerNorm norm;
  Activation activation;
  double dropout_rate;
  std::string path;
};

class BertEncoder {
 public:
  BertEncoder(const Scope& s, const FamilyConfig& config, int64_t segments, const AttentionConfig& attention);
  // [B, N, C]; first_only: [B or S, C], for heads that read no other tokens.
  Tensor forward(const TextInputs& inputs, const ForwardContext& c, bool first_only = false) const;
  const TextEmbeddings& embeddings() const { return embeddings_; }
  std::vector<std::pair<std::string, Tensor>> coefficients() const;
  double flops(int64_t tokens, bool first_only) const;

 private:
  TextSizes sizes_;
  bool checkpoint_;
  TextEmbeddings embeddings_;
  std::vector<BertLayer> layers_;
};

// What is the same in BERT and RoBERTa.
class BertFamilyConfig : public FamilyConfig {
 public:
  std::optional<int64_t> segments;     // the family's unless given
  std::optional<double> head_dropout;  // `dropout` unless given

  std::unique_ptr<TextModel> build(const Scope& scope, const AttentionConfig& attention, TextHead head,
                                   int64_t classes) const override;
  bool has(TextHead head) const override { return head != TextHead::causal_lm; }
  int64_t resolved_segments() const { return segments.value_or(own_segments()); }
  double resolved_head_dropout() const { return head_dropout.value_or(sizes().dropout); }

  // Where the parts stand: BERT's "bert", "bert.pooler.dense", ...
  struct Names {
    std::string base, dense, classifier, lm_dense, lm_norm, lm_bias;
    bool drop_before_dense;
    std::vector<std::string> other_heads;  // patterns of tensors that no head here has
  };
  virtual Names names() const = 0;

 protected:
  virtual int64_t own_segments() const = 0;
  void describe_more(config::Schema& s) override;
  void take_more(ConfigJson& json) override;
  Written write_more() const override;
};

}  // namespace gfsa
