#include "models/bert.h"

#include "nn/stack.h"
#include "ops/dropout.h"
#include "ops/elementwise.h"
#include "ops/view.h"

namespace gfsa {
namespace {

class Bert final : public TextModel {
 public:
  Bert(const Scope& s, const BertFamilyConfig& config, const AttentionConfig& attention, TextHead head, int64_t classes)
      : names_(config.names()),
        depth_(config.sizes().depth),
        encoder_(s / names_.base, config, config.resolved_segments(), attention) {
    const TextSizes n = config.sizes();
    if (head == TextHead::classification) {
      classifier_.emplace(s / names_.dense, s / names_.classifier, n.width, classes, config.resolved_head_dropout(),
                          names_.drop_before_dense, config.init());
    } else {
      lm_.emplace(s / names_.lm_dense, s / names_.lm_norm, s / names_.lm_bias, n.width, encoder_.embeddings(),
                  config.resolved_activation(), n.eps, config.init());
    }
    add_file_names(s, names_.base);
  }

  Tensor forward(const TextInputs& inputs, const ForwardContext& c) const override {
    if (classifier_) return classifier_->forward(encoder_.forward(inputs, c, true), c);
    return lm_->forward(encoder_.forward(inputs, c), inputs, c);
  }
  Tensor hidden(const TextInputs& inputs, const ForwardContext& c) const override {
    return encoder_.forward(inputs, c);
  }

  ParameterStore::LoadOptions load_options() const override {
    auto o = TextModel::load_options();
    const std::vector<std::string> classification{names_.dense, names_.classifier},
        lm{names_.lm_dense, names_.lm_norm, names_.lm_bias};
    for (const auto& part : classifier_ ? classification : lm) o.optional_patterns.push_back(part + ".*");
    for (const auto& part : classifier_ ? lm : classification) {
      o.ignored_patterns.push_back(part + ".*");
      // In a file of the base model, without its name.
      if (part.starts_with(names_.base + ".")) o.ignored_patterns.push_back(part.substr(names_.base.size() + 1) + ".*");
    }
    o.ignored_patterns.emplace_back("*embeddings.position_ids");
    o.ignored_patterns.insert(o.ignored_patterns.end(), names_.other_heads.begin(), names_.other_heads.end());
    return o;
  }
  std::vector<std::pair<std::string, Tensor>> coefficients() const override { return encoder_.coefficients(); }
  double forward_flops(int64_t tokens, int64_t logits_of) const override {
    if (classifier_) return encoder_.flops(tokens, true) + classifier_->flops();
    return encoder_.flops(tokens, false) + lm_->flops(logits_of);
  }
  int64_t depth() const override { return depth_; }

 private:
  BertFamilyConfig::Names names_;
  int64_t depth_;
  BertEncoder encoder_;
  std::optional<SequenceHead> classifier_;
  std::optional<MaskedLmHead> lm_;
};

// Turc et al. 2019 has the small ones, at four times the width in the feed-forward part and heads of 64.
constexpr const char* kSizes = "bert_base, bert_large: arXiv 1810.04805; the smaller ones: arXiv 1908.08962";

class BertConfig final : public BertFamilyConfig {
 protected:
  const Family& family() const override {
    static const Family f{.model_type = "bert",
                          .source = kSizes,
                          .presets = {{"bert_base", 768, 12, 12, 3072},
                                      {"bert_large", 1024, 24, 16, 4096},
                                      {"bert_medium", 512, 8, 8, 2048},
                                      {"bert_small", 512, 4, 8, 2048},
                                      {"bert_mini", 256, 4, 4, 1024},
                                      {"bert_tiny", 128, 2, 2, 512}},
                          .own = {},
                          .when_absent = {},
                          .assumed_tokens = {"pad"}};
    return f;
  }
  std::string architecture(TextHead head) const override {
    return head == TextHead::classification ? "BertForSequenceClassification" : "BertForMaskedLM";
  }
  Names names() const override {
    return {.base = "bert",
            .dense = "bert.pooler.dense",
            .classifier = "classifier",
            .lm_dense = "cls.predictions.transform.dense",
            .lm_norm = "cls.predictions.transform.LayerNorm",
            .lm_bias = "cls.predictions",
            .drop_before_dense = false,
            .other_heads = {"cls.seq_relationship.*", "cls.predictions.decoder.*"}};
  }
  int64_t own_segments() const override { return 2; }
};

}  // namespace

BertLayer::BertLayer(const Scope& s, const TextSizes& n, const Init& init, const AttentionConfig& config, int64_t layer)
    : qkv(s / "attention" / "self", n.width, init),
      attention(s / "attention" / "self",
                {.heads = n.heads, .head_size = n.width / n.heads, .layer = layer, .depth = n.depth}, config),
      attention_output(s / "attention" / "output" / "dense", n.width, n.width, init),
      attention_norm(s / "attention" / "output" / "LayerNorm", n.width, n.eps),
      intermediate(s / "intermediate" / "dense", n.width, n.mlp_width, init),
      output(s / "output" / "dense", n.mlp_width, n.width, init),
      norm(s / "output" / "LayerNorm", n.width, n.eps),
      activation(parse_activation(n.activation)),
      dropout_rate(n.dropout),
      path(s.path()) {}

Tensor BertLayer::forward(Tensor x, const TextInputs& inputs, const ForwardContext& c, bool first_only) const {
  const auto branch = [&](const Tensor& y, const char* place) {
    return dropout(y, dropout_rate, c.key(path + place), c.sample0, c.training);
  };
  Tensor y = attend(attention, qkv.forward(cast(x, c.compute)), inputs, c);  // [B, N, C]
  // Behind the attention each token is by itself.
  if (first_only) y = first_tokens(y, inputs), x = first_tokens(x, inputs);  // [B, C]
  y = attention_output.forward(y);
  const Tensor middle = attention_norm.forward_sum(x, branch(y, ".attention.dropout")).y;
  y = mlp(cast(middle, c.compute), intermediate, output, activation);
  return norm.forward_sum(middle, branch(y, ".dropout")).y;
}

BertEncoder::BertEncoder(const Scope& s, const FamilyConfig& config, int64_t segments, const AttentionConfig& attention)
    : sizes_(config.sizes()),
      checkpoint_(config.checkpoint_blocks),
      embeddings_(s / "embeddings", config, segments),
      layers_(make_stack<BertLayer>(s / "encoder" / "layer", sizes_.depth, sizes_, config.init(), attention)) {}

Tensor BertEncoder::forward(const TextInputs& inputs, const ForwardContext& c, bool first_only) const {
  Tensor x = embeddings_.forward(inputs, c);  // [B, N, C]
  for (const BertLayer& layer : layers_)
    x = run_block(checkpoint_ && c.training, layer, x, inputs, c, first_only && &layer == &layers_.back());
  return x;
}

std::vector<std::pair<std::string, Tensor>> BertEncoder::coefficients() const {
  return coefficients_of(layers_, &BertLayer::attention);
}

double BertEncoder::flops(int64_t tokens, bool first_only) const {
  double total = 0;
  for (const BertLayer& layer : layers_)
    total += layer_flops(sizes_, tokens, first_only && &layer == &layers_.back()) + layer.attention.flops(tokens);
  return total;
}

std::unique_ptr<TextModel> BertFamilyConfig::build(const Scope& scope, const AttentionConfig& attention, TextHead head,
                                                   int64_t classes) const {
  return std::make_unique<Bert>(scope, *this, attention, head, classes);
}

void BertFamilyConfig::describe_more(config::Schema& s) {
  s.field("segments", segments)
      .in(1, 1000)
      .doc(fmt::format("Texts that an input may have, with an embedding each; {} unless given.", own_segments()));
  s.field("head_dropout", head_dropout).at_least(0).below(1).doc("In front of the classifier; `dropout` unless given.");
}

void BertFamilyConfig::take_more(ConfigJson& json) {
  agree(json, "type_vocab_size", "segments", json.integer("type_vocab_size", 2, 1, 1000), segments);
  if (!head_dropout && json.has("classifier_dropout")) head_dropout = json.number("classifier_dropout", 0, 0, 0.999);
  if (json.text("position_embedding_type", "absolute") != "absolute")
    json.refuse("position_embedding_type", "\"absolute\"");
}

FamilyConfig::Written BertFamilyConfig::write_more() const {
  Written w;
  w.integers["type_vocab_size"] = resolved_segments();
  if (head_dropout) w.numbers["classifier_dropout"] = *head_dropout;
  return w;
}

void register_bert(config::Registry<TextModelConfig>& registry) {
  registry.add<BertConfig>("bert", "BERT: an encoder for classification and masked language modelling.");
}

}  // namespace gfsa
