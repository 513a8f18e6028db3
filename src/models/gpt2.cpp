// gpt2.cpp -- GPT-2 (Radford et al. 2019): pre-norm decoder with learned position embeddings; the head's table is the
// token embeddings.
//
// Parameter names and shapes are those of transformers' GPT2LMHeadModel (weights of its Conv1D are stored [I, O]); the
// filter's stand below transformer.h.N.attn.
#include <cmath>

#include "models/text_config.h"
#include "models/text_parts.h"
#include "nn/conv1d.h"
#include "nn/stack.h"
#include "ops/dropout.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/view.h"

namespace gfsa {
namespace {

class Gpt2Config final : public FamilyConfig {
 public:
  std::unique_ptr<TextModel> build(const Scope& scope, const AttentionConfig& attention, TextHead head,
                                   int64_t classes) const override;
  bool has(TextHead head) const override { return head == TextHead::causal_lm; }

 protected:
  const Family& family() const override {
    static const Family f{.model_type = "gpt2",
                          .source = "Radford et al. 2019, table 2; heads of 64",
                          .presets = {{"gpt2", 768, 12, 12, 3072},
                                      {"gpt2_medium", 1024, 24, 16, 4096},
                                      {"gpt2_large", 1280, 36, 20, 5120},
                                      {"gpt2_xl", 1600, 48, 25, 6400}},
                          .own = {.positions = 1024, .eps = 1e-5, .activation = "gelu_tanh"},
                          .when_absent = {.mlp_width = 0, .positions = 1024, .eps = 1e-5, .activation = "gelu_tanh"},
                          .tokenizer = "byte_bpe",
                          .special_tokens = "",
                          .width = "n_embd",
                          .depth = "n_layer",
                          .heads = "n_head",
                          .mlp_width = "n_inner",
                          .positions = "n_positions",
                          .eps = "layer_norm_epsilon",
                          .activation = "activation_function",
                          .dropout = "resid_pdrop",
                          .attention_dropout = "attn_pdrop",
                          .assumed_tokens = {"bos", "eos"}};
    return f;
  }
  std::string architecture(TextHead) const override { return "GPT2LMHeadModel"; }
  void take_more(ConfigJson& json) override {
    if (!json.flag("scale_attn_weights", true)) json.refuse("scale_attn_weights", "true");
    if (json.flag("scale_attn_by_inverse_layer_idx", false)) json.refuse("scale_attn_by_inverse_layer_idx", "false");
  }
  Written write_more() const override { return {.numbers = {{"embd_pdrop", sizes().dropout}}}; }
};

// x + dropout(c_proj(attention(ln_1(x)))), then x + dropout(c_proj(activation(c_fc(ln_2(x))))).
struct Block {
  Block(const Scope& s, const TextSizes& n, const Init& init, const AttentionConfig& config, int64_t layer)
      : ln_1(s / "ln_1", n.width, n.eps),
        c_attn(s / "attn" / "c_attn", n.width, 3 * n.width, init),
        attention(s / "attn",
                  {.heads = n.heads, .head_size = n.width / n.heads, .layer = layer, .depth = n.depth, .causal = true},
                  config),
        attn_proj(s / "attn" / "c_proj", n.width, n.width, into_residual(init, n)),
        ln_2(s / "ln_2", n.width, n.eps),
        c_fc(s / "mlp" / "c_fc", n.width, n.mlp_width, init),
        mlp_proj(s / "mlp" / "c_proj", n.mlp_width, n.width, into_residual(init, n)),
        activation(parse_activation(n.activation)),
        dropout_rate(n.dropout),
        path(s.path()) {}

  // What is added to the residual stream, 2 depth times, starts smaller (section 2.3 of the paper).
  static Init into_residual(const Init& init, const TextSizes& n) {
    Init smaller = init;
    smaller.a /= std::sqrt(2.0 * static_cast<double>(n.depth));
    return smaller;
  }

  Tensor forward(Tensor x, const TextInputs& inputs, const ForwardContext& c) const {
    const auto branch = [&](const Tensor& y, const char* place) {
      return dropout(y, dropout_rate, c.key(path + place), c.sample0, c.training);
    };
    const Tensor y = attend(attention, c_attn.forward(ln_1.forward(x, c.compute)), inputs, c);
    const auto [sum, middle] = ln_2.forward_sum(x, branch(attn_proj.forward(y), ".attn.resid_dropout"), c.compute);
    return add(sum, branch(mlp(middle, c_fc, mlp_proj, activation), ".mlp.dropout"));
  }

  LayerNorm ln_1;
  Conv1D c_attn;
  FilteredAttention attention;
  Conv1D attn_proj;
  LayerNorm ln_2;
  Conv1D c_fc, mlp_proj;
  Activation activation;
  double dropout_rate;
  std::string path;
};

class Gpt2 final : public TextModel {
 public:
  Gpt2(const Scope& s, const Gpt2Config& config, const AttentionConfig& attention)
      : sizes_(config.sizes()),
        checkpoint_(config.checkpoint_blocks),
        wte_((s / "transformer" / "wte").param("weight", {config.vocabulary_size, sizes_.width}, config.init())),
        wpe_((s / "transformer" / "wpe").param("weight", {sizes_.positions, sizes_.width}, config.init())),
        blocks_(make_stack<Block>(s / "transformer" / "h", sizes_.depth, sizes_, config.init(), attention)),
        ln_f_(s / "transformer" / "ln_f", sizes_.width, sizes_.eps) {
    add_file_names(s, "transformer");
  }

  Tensor forward(const TextInputs& inputs, const ForwardContext& c) const override {
    // The norm works on each token by itself, so only the rows that are wanted need it.
    const Tensor x = ln_f_.forward(wanted_rows(blocks(inputs, c), inputs), c.compute);
    return linear(x, *wte_, {}, Activation::none, c.residual());  // [R, V]
  }
  Tensor hidden(const TextInputs& inputs, const ForwardContext& c) const override {
    return ln_f_.forward(blocks(inputs, c));
  }

  bool generates() const override { return true; }

  ParameterStore::LoadOptions load_options() const override {
    auto o = TextModel::load_options();
    // The tied head, and the causal mask that older files hold.
    o.ignored_patterns = {"lm_head.weight", "*.attn.bias", "*.attn.masked_bias"};
    return o;
  }
  std::vector<std::pair<std::string, Tensor>> coefficients() const override {
    return coefficients_of(blocks_, &Block::attention);
  }
  double forward_flops(int64_t tokens, int64_t logits_of) const override {
    double total = 2 * static_cast<double>(logits_of) * static_cast<double>(wte_->numel());
    for (const Block& block : blocks_) total += layer_flops(sizes_, tokens, false) + block.attention.flops(tokens);
    return total;
  }
  int64_t depth() const override { return sizes_.depth; }

 private:
  // The residual stream behind the last block, [B, N, C].
  Tensor blocks(const TextInputs& inputs, const ForwardContext& c) const {
    Tensor x = add(embedding(*wte_, inputs.ids, c.residual()), position_rows(*wpe_, 0, inputs, c.residual()));
    x = dropout(x, sizes_.dropout, c.key("transformer.drop"), c.sample0, c.training);
    for (const Block& block : blocks_) x = run_block(checkpoint_ && c.training, block, x, inputs, c);
    return x;
  }
  TextSizes sizes_;
  bool checkpoint_;
  Param wte_, wpe_;
  std::vector<Block> blocks_;
  LayerNorm ln_f_;
};

std::unique_ptr<TextModel> Gpt2Config::build(const Scope& scope, const AttentionConfig& attention, TextHead,
                                             int64_t) const {
  return std::make_unique<Gpt2>(scope, *this, attention);
}

}  // namespace

void register_gpt2(config::Registry<TextModelConfig>& registry) {
  registry.add<Gpt2Config>("gpt2", "GPT-2: a decoder for language modelling and generation.");
}

}  // namespace gfsa
