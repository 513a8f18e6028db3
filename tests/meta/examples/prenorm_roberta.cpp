// prenorm_roberta.cpp -- RoBERTa with the norms in front (fairseq's encoder_normalize_before; Wettig et al. 2022, arXiv
// 2202.08005):  x + attention(norm(x)), then x + mlp(norm(x)), and a norm behind the last layer. Heads: classification
// or regression, masked language model.
//
// Parameter names and shapes are those of transformers' RobertaPreLayerNormForSequenceClassification and
// ...ForMaskedLM.
#include <optional>

#include "models/text_config.h"
#include "models/text_parts.h"
#include "nn/separate_qkv.h"
#include "nn/stack.h"
#include "ops/dropout.h"
#include "ops/elementwise.h"

namespace gfsa {
namespace {

constexpr const char* kBase = "roberta_prelayernorm";

// FamilyConfig has the keys of every language model and their names in config.json; `segments` is one more.
class PrenormRobertaConfig final : public FamilyConfig {
 public:
  std::optional<int64_t> segments;

  std::unique_ptr<TextModel> build(const Scope& scope, const AttentionConfig& attention, TextHead head,
                                   int64_t classes) const override;
  bool has(TextHead head) const override { return head != TextHead::causal_lm; }
  int64_t resolved_segments() const { return segments.value_or(1); }

 protected:
  const Family& family() const override {
    static const Family f{.model_type = "roberta-prelayernorm",
                          .source = "arXiv 2202.08005",
                          .presets = {{"base", 768, 12, 12, 3072}, {"large", 1024, 24, 16, 4096}},
                          .own = {.eps = 1e-5},
                          .when_absent = {},
                          .tokenizer = "byte_bpe",
                          .special_tokens = "roberta",
                          .padding = 1,  // RoBERTa's id of <pad>, behind which positions are counted
                          .assumed_tokens = {"pad", "bos", "eos"}};
    return f;
  }
  std::string architecture(TextHead head) const override {
    return head == TextHead::classification ? "RobertaPreLayerNormForSequenceClassification"
                                            : "RobertaPreLayerNormForMaskedLM";
  }
  void describe_more(config::Schema& s) override {
    s.field("segments", segments)
        .in(1, 1000)
        .doc("Texts that an input may have, with an embedding each; 1 unless given.");
  }
  void take_more(ConfigJson& json) override {
    agree(json, "type_vocab_size", "segments", json.integer("type_vocab_size", 2, 1, 1000), segments);
  }
  Written write_more() const override { return {.integers = {{"type_vocab_size", resolved_segments()}}}; }
};

struct Layer {
  Layer(const Scope& s, const TextSizes& n, const Init& init, const AttentionConfig& config, int64_t layer)
      : norm1(s / "attention" / "LayerNorm", n.width, n.eps),
        qkv(s / "attention" / "self", n.width, init),
        attention(s / "attention" / "self",
                  {.heads = n.heads, .head_size = n.width / n.heads, .layer = layer, .depth = n.depth}, config),
        proj(s / "attention" / "output" / "dense", n.width, n.width, init),
        norm2(s / "intermediate" / "LayerNorm", n.width, n.eps),
        fc1(s / "intermediate" / "dense", n.width, n.mlp_width, init),
        fc2(s / "output" / "dense", n.mlp_width, n.width, init),
        activation(parse_activation(n.activation)),
        rate(n.dropout),
        path(s.path()) {}

  Tensor forward(Tensor x, const TextInputs& inputs, const ForwardContext& c) const {  // [B, N, C] -> [B, N, C]
    const auto drop = [&](const Tensor& y, const char* place) {
      return dropout(y, rate, c.key(path + place), c.sample0, c.training);
    };
    Tensor y = attend(attention, qkv.forward(norm1.forward(x, c.compute)), inputs, c);
    x = add(x, drop(proj.forward(y), ".attention.dropout"));
    y = fc2.forward(fc1.forward(norm2.forward(x, c.compute), activation));
    return add(x, drop(y, ".dropout"));
  }

  LayerNorm norm1;
  SeparateQkv qkv;
  FilteredAttention attention;
  Linear proj;
  LayerNorm norm2;
  Linear fc1, fc2;
  Activation activation;
  double rate;
  std::string path;
};

class PrenormRoberta final : public TextModel {
 public:
  PrenormRoberta(const Scope& s, const PrenormRobertaConfig& config, const AttentionConfig& attention, TextHead head,
                 int64_t classes)
      : sizes_(config.sizes()),
        recompute_(config.checkpoint_blocks),
        embeddings_(s / kBase / "embeddings", config, config.resolved_segments()),
        layers_(make_stack<Layer>(s / kBase / "encoder" / "layer", sizes_.depth, sizes_, config.init(), attention)),
        norm_(s / kBase / "LayerNorm", sizes_.width, sizes_.eps) {
    if (head == TextHead::classification) {
      classifier_.emplace(s / "classifier" / "dense", s / "classifier" / "out_proj", sizes_.width, classes,
                          sizes_.dropout, true, config.init());
    } else {
      lm_.emplace(s / "lm_head" / "dense", s / "lm_head" / "layer_norm", s / "lm_head", sizes_.width, embeddings_,
                  config.resolved_activation(), sizes_.eps, config.init());
    }
    add_file_names(s, kBase);
  }

  Tensor forward(const TextInputs& inputs, const ForwardContext& c) const override {
    const Tensor x = hidden(inputs, c);
    return classifier_ ? classifier_->forward(first_tokens(x, inputs), c)  // [B or S, classes]
                       : lm_->forward(x, inputs, c);                       // [R, V]
  }
  Tensor hidden(const TextInputs& inputs, const ForwardContext& c) const override {
    Tensor x = embeddings_.forward(inputs, c);  // [B, N, C]
    for (const Layer& layer : layers_) x = run_block(recompute_ && c.training, layer, x, inputs, c);
    return norm_.forward(x);
  }

  ParameterStore::LoadOptions load_options() const override {
    auto o = TextModel::load_options();
    o.optional_patterns.push_back(classifier_ ? "classifier.*" : "lm_head.*");
    o.ignored_patterns = {classifier_ ? "lm_head.*" : "classifier.*", "*pooler.*", "lm_head.decoder.*",
                          "*embeddings.position_ids"};
    return o;
  }
  std::vector<std::pair<std::string, Tensor>> coefficients() const override {
    return coefficients_of(layers_, &Layer::attention);
  }
  double forward_flops(int64_t tokens, int64_t logits_of) const override {
    double total = classifier_ ? classifier_->flops() : lm_->flops(logits_of);
    for (const Layer& layer : layers_) total += layer_flops(sizes_, tokens, false) + layer.attention.flops(tokens);
    return total;
  }
  int64_t depth() const override { return sizes_.depth; }

 private:
  TextSizes sizes_;
  bool recompute_;
  TextEmbeddings embeddings_;
  std::vector<Layer> layers_;
  LayerNorm norm_;
  std::optional<SequenceHead> classifier_;
  std::optional<MaskedLmHead> lm_;
};

std::unique_ptr<TextModel> PrenormRobertaConfig::build(const Scope& scope, const AttentionConfig& attention,
                                                       TextHead head, int64_t classes) const {
  return std::make_unique<PrenormRoberta>(scope, *this, attention, head, classes);
}

}  // namespace

void register_prenorm_roberta(config::Registry<TextModelConfig>& registry) {
  registry.add<PrenormRobertaConfig>("prenorm_roberta", "RoBERTa with its norms in front.");
}

}  // namespace gfsa
