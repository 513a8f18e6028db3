// albert.cpp -- ALBERT (Lan et al. 2020, arXiv 1909.11942): BERT whose layers share their parameters, the filter's too,
// and whose embeddings are narrower than its layers. Heads: classification or regression, masked language model.
//
// Parameter names and shapes are those of transformers' AlbertForSequenceClassification and AlbertForMaskedLM; the
// filter's stand below encoder.albert_layer_groups.0.albert_layers.0.attention.
#include <optional>

#include "models/text_config.h"
#include "models/text_parts.h"
#include "nn/separate_qkv.h"
#include "nn/stack.h"
#include "ops/dropout.h"
#include "ops/elementwise.h"
#include "ops/view.h"

namespace gfsa {
namespace {

constexpr double kHeadDropout = 0.1;

class AlbertConfig final : public FamilyConfig {
 public:
  std::optional<int64_t> embedding_width, segments;  // 128 and 2 unless given
  std::optional<double> head_dropout;                // 0.1 unless given

  std::unique_ptr<TextModel> build(const Scope& scope, const AttentionConfig& attention, TextHead head,
                                   int64_t classes) const override;
  bool has(TextHead head) const override { return head != TextHead::causal_lm; }
  int64_t resolved_embedding_width() const { return embedding_width.value_or(128); }
  int64_t resolved_segments() const { return segments.value_or(2); }
  double resolved_head_dropout() const { return head_dropout.value_or(kHeadDropout); }

 protected:
  const Family& family() const override {
    static const Family f{
        .model_type = "albert",
        .source = "arXiv 1909.11942, table 1 (version 2)",
        .presets = {{"albert_base", 768, 12, 12, 3072},
                    {"albert_large", 1024, 24, 16, 4096},
                    {"albert_xlarge", 2048, 24, 16, 8192},
                    {"albert_xxlarge", 4096, 12, 64, 16384}},
        .own = {.activation = "gelu_tanh", .dropout = 0},
        .when_absent = {.width = 4096, .heads = 64, .mlp_width = 16384, .activation = "gelu_tanh", .dropout = 0},
        .special_tokens = "albert",
        .assumed_tokens = {"pad", "bos", "eos"}};
    return f;
  }
  std::string architecture(TextHead head) const override {
    return head == TextHead::classification ? "AlbertForSequenceClassification" : "AlbertForMaskedLM";
  }
  void describe_more(config::Schema& s) override {
    s.field("embedding_width", embedding_width)
        .in(1, 1 << 20)
        .doc("Channels of the token embeddings, which one product brings to `width`; 128 unless given.")
        .source("arXiv 1909.11942, table 1");
    s.field("segments", segments)
        .in(1, 1000)
        .doc("Texts that an input may have, with an embedding each; 2 unless given.");
    s.field("head_dropout", head_dropout)
        .at_least(0)
        .below(1)
        .doc("In front of the classifier; 0.1 unless given.")
        .source("transformers: 0.1");
  }
  void take_more(ConfigJson& json) override;
  Written write_more() const override {
    return {.integers = {{"embedding_size", resolved_embedding_width()},
                         {"type_vocab_size", resolved_segments()},
                         {"num_hidden_groups", 1},
                         {"inner_group_num", 1}},
            .numbers = {{"classifier_dropout_prob", resolved_head_dropout()}}};
  }
};

void AlbertConfig::take_more(ConfigJson& json) {
  agree(json, "embedding_size", "embedding_width", json.integer("embedding_size", 128, 1, 1 << 20), embedding_width);
  agree(json, "type_vocab_size", "segments", json.integer("type_vocab_size", 2, 1, 1000), segments);
  if (!head_dropout) head_dropout = json.number("classifier_dropout_prob", kHeadDropout, 0, 0.999);
  for (const char* key : {"num_hidden_groups", "inner_group_num"}) {
    if (json.integer(key, 1, 0, INT64_MAX) != 1) json.refuse(key, "1");
  }
  if (json.text("position_embedding_type", "absolute") != "absolute")
    json.refuse("position_embedding_type", "\"absolute\"");
}

// The one layer, used `depth` times.
struct SharedLayer {
  SharedLayer(const Scope& s, const TextSizes& n, const Init& init, const AttentionConfig& config)
      : qkv(s / "attention", n.width, init),
        dense(s / "attention" / "dense", n.width, n.width, init),
        attention_norm(s / "attention" / "LayerNorm", n.width, n.eps),
        ffn(s / "ffn", n.width, n.mlp_width, init),
        ffn_output(s / "ffn_output", n.mlp_width, n.width, init),
        norm(s / "full_layer_layer_norm", n.width, n.eps),
        activation(parse_activation(n.activation)),
        dropout_rate(n.dropout),
        path(s.path()) {
    // The config may filter some uses of the layer only; those that do have one filter, the others plain softmax.
    AttentionConfig softmax = config;
    softmax.filter = filter_registry().make("softmax");
    softmax.layers = {"all"};
    AttentionConfig all = config;
    all.layers = {"all"};
    const FilteredAttentionShape shape{.heads = n.heads, .head_size = n.width / n.heads};
    for (int64_t i = 0; i < n.depth; ++i) {
      std::optional<FilteredAttention>& which = config.filters_layer(i, n.depth) ? filtered : plain;
      if (!which) which.emplace(s / "attention", shape, &which == &filtered ? all : softmax);
      uses.push_back(config.filters_layer(i, n.depth));
    }
  }

  const FilteredAttention& attention(int64_t use) const { return *(uses[static_cast<size_t>(use)] ? filtered : plain); }

  // x [B, N, C] -> [B, N, C]; first_only: of the first tokens, [B or S, C]. use: which of the model's layers this is.
  Tensor forward(Tensor x, const TextInputs& inputs, const ForwardContext& c, int64_t use, bool first_only) const {
    const std::string here = "." + std::to_string(use);
    Tensor y = attend(attention(use), qkv.forward(cast(x, c.compute)), inputs, c, here);  // [B, N, C]
    if (first_only) y = first_tokens(y, inputs), x = first_tokens(x, inputs);
    y = dropout(dense.forward(y), dropout_rate, c.key(path + ".output_dropout" + here), c.sample0, c.training);
    const Tensor middle = attention_norm.forward_sum(x, y).y;
    y = mlp(cast(middle, c.compute), ffn, ffn_output, activation);
    return norm.forward_sum(middle, y).y;
  }

  SeparateQkv qkv;
  std::optional<FilteredAttention> filtered, plain;
  Linear dense;
  LayerNorm attention_norm;
  Linear ffn, ffn_output;
  LayerNorm norm;
  Activation activation;
  double dropout_rate;
  std::string path;
  std::vector<bool> uses;  // whether the filter acts in that layer
};

class Albert final : public TextModel {
 public:
  Albert(const Scope& s, const AlbertConfig& config, const AttentionConfig& attention, TextHead head, int64_t classes)
      : sizes_(config.sizes()),
        checkpoint_(config.checkpoint_blocks),
        embeddings_(s / "albert" / "embeddings", config, config.resolved_segments(), config.resolved_embedding_width()),
        to_width_(s / "albert" / "encoder" / "embedding_hidden_mapping_in", config.resolved_embedding_width(),
                  sizes_.width, config.init()),
        layer_(s / "albert" / "encoder" / "albert_layer_groups" / 0 / "albert_layers" / 0, sizes_, config.init(),
               attention) {
    if (head == TextHead::classification) {
      classifier_.emplace(s / "albert" / "pooler", s / "classifier", sizes_.width, classes,
                          config.resolved_head_dropout(), false, config.init());
    } else {
      lm_.emplace(s / "predictions" / "dense", s / "predictions" / "LayerNorm", s / "predictions", sizes_.width,
                  embeddings_, config.resolved_activation(), sizes_.eps, config.init());
    }
    add_file_names(s, "albert");
  }

  Tensor forward(const TextInputs& inputs, const ForwardContext& c) const override {
    return classifier_ ? classifier_->forward(encode(inputs, c, true), c)
                       : lm_->forward(encode(inputs, c, false), inputs, c);
  }
  Tensor hidden(const TextInputs& inputs, const ForwardContext& c) const override { return encode(inputs, c, false); }

  ParameterStore::LoadOptions load_options() const override {
    auto o = TextModel::load_options();
    const std::vector<std::string> classification{"albert.pooler.*", "classifier.*"}, lm{"predictions.*"};
    for (const auto& part : classifier_ ? classification : lm) o.optional_patterns.push_back(part);
    for (const auto& part : classifier_ ? lm : classification) o.ignored_patterns.push_back(part);
    for (const char* part : {"*embeddings.position_ids", "sop_classifier.*", "predictions.decoder.*"})
      o.ignored_patterns.emplace_back(part);
    if (lm_) o.ignored_patterns.emplace_back("pooler.*");
    return o;
  }
  std::vector<std::pair<std::string, Tensor>> coefficients() const override {
    if (!layer_.filtered) return {};
    return layer_.filtered->learned_coefficients();
  }
  double forward_flops(int64_t tokens, int64_t logits_of) const override {
    double total = 2 * static_cast<double>(tokens) * static_cast<double>(to_width_.weight->numel());
    for (int64_t i = 0; i < sizes_.depth; ++i) {
      const bool first_only = classifier_ && i + 1 == sizes_.depth;
      total += layer_flops(sizes_, tokens, first_only) + layer_.attention(i).flops(tokens);
    }
    return total + (classifier_ ? classifier_->flops() : lm_->flops(logits_of));
  }
  int64_t depth() const override { return sizes_.depth; }

 private:
  // [B, N, C]; first_only: [B or S, C].
  Tensor encode(const TextInputs& inputs, const ForwardContext& c, bool first_only) const {
    Tensor x = embeddings_.forward(inputs, c);                                  // [B, N, E]
    x = to_width_.forward(cast(x, c.compute), Activation::none, c.residual());  // [B, N, C]
    for (int64_t i = 0; i < sizes_.depth; ++i)
      x = run_block(checkpoint_ && c.training, layer_, x, inputs, c, i, first_only && i + 1 == sizes_.depth);
    return x;
  }

  TextSizes sizes_;
  bool checkpoint_;
  TextEmbeddings embeddings_;
  Linear to_width_;
  SharedLayer layer_;
  std::optional<SequenceHead> classifier_;
  std::optional<MaskedLmHead> lm_;
};

std::unique_ptr<TextModel> AlbertConfig::build(const Scope& scope, const AttentionConfig& attention, TextHead head,
                                               int64_t classes) const {
  return std::make_unique<Albert>(scope, *this, attention, head, classes);
}

}  // namespace

void register_albert(config::Registry<TextModelConfig>& registry) {
  registry.add<AlbertConfig>("albert", "ALBERT: BERT with one set of parameters for all layers.");
}

}  // namespace gfsa
