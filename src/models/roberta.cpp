// roberta.cpp -- RoBERTa (Liu et al. 2019, arXiv 1907.11692): BERT's layers, byte-level tokens, one segment, positions
// that start behind the padding token's id, and a classifier with dropout in front of its first product.
#include "models/bert.h"

namespace gfsa {
namespace {

class RobertaConfig final : public BertFamilyConfig {
 protected:
  const Family& family() const override {
    static const Family f{.model_type = "roberta",
                          .source = "arXiv 1907.11692, table 9",
                          .presets = {{"roberta_base", 768, 12, 12, 3072}, {"roberta_large", 1024, 24, 16, 4096}},
                          .own = {.eps = 1e-5},
                          .when_absent = {},
                          .tokenizer = "byte_bpe",
                          .special_tokens = "roberta",
                          .padding = 1,  // fairseq's id of <pad>
                          .assumed_tokens = {"pad", "bos", "eos"}};
    return f;
  }
  std::string architecture(TextHead head) const override {
    return head == TextHead::classification ? "RobertaForSequenceClassification" : "RobertaForMaskedLM";
  }
  Names names() const override {
    return {.base = "roberta",
            .dense = "classifier.dense",
            .classifier = "classifier.out_proj",
            .lm_dense = "lm_head.dense",
            .lm_norm = "lm_head.layer_norm",
            .lm_bias = "lm_head",
            .drop_before_dense = true,
            .other_heads = {"roberta.pooler.*", "pooler.*", "lm_head.decoder.*"}};
  }
  int64_t own_segments() const override { return 1; }
};

}  // namespace

void register_roberta(config::Registry<TextModelConfig>& registry) {
  registry.add<RobertaConfig>("roberta", "RoBERTa: BERT's layers on byte-level tokens.");
}

}  // namespace gfsa
