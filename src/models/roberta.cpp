// roberta.cpp -- RoBERTa (Liu et al. 2019, arXiv 1907.11692): BERT's layers, byte-level tokens, one segment, positions
// that start behind the padding token's id, and a classifier with dropout in front of its first product.
#include "models/bert.h"

namespace gfsa {
namespace {

constexpr int64_t kPadding = 1;  // fairseq's id of <pad>, after which positions are counted

class RobertaConfig final : public BertFamilyConfig {
 protected:
  const Family& family() const override {
    static const Family f{.model_type = "roberta",
                          .source = "arXiv 1907.11692, table 9",
                          .presets = {{"roberta_base", 768, 12, 12, 3072}, {"roberta_large", 1024, 24, 16, 4096}},
                          .own = {.eps = 1e-5},
                          .when_absent = {},
                          .tokenizer = "byte_bpe",
                          .position_offset = kPadding + 1,
                          .special = {{"pad_token_id", kPadding}, {"bos_token_id", 0}, {"eos_token_id", 2}}};
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
  void take_more(ConfigJson& json) override {
    BertFamilyConfig::take_more(json);
    if (json.integer("pad_token_id", kPadding, 0, INT64_MAX) != kPadding)
      json.refuse("pad_token_id", fmt::format("{}, after which RoBERTa counts positions", kPadding));
  }
};

}  // namespace

void register_roberta(config::Registry<TextModelConfig>& registry) {
  registry.add<RobertaConfig>("roberta", "RoBERTa: BERT's layers on byte-level tokens.");
}

}  // namespace gfsa
