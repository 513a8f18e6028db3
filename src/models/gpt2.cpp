// gpt2.cpp -- GPT-2 (Radford et al. 2019): pre-norm decoder with learned position embeddings; the head's table is the
// token embeddings. Generation with a cache: attention/decode.h.
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

// A block's weights in the type that products are computed in.
struct BlockWeights {
  Tensor c_attn, attn_proj, c_fc, mlp_proj;
};

struct Cache final : DecodeState {
  std::vector<AttentionCache> layers;  // one a layer
  // Each token is multiplied with all weights: in bf16 making copies would take several times as long as using them.
  std::vector<BlockWeights> weights;
  Tensor head;
  const std::vector<int64_t>& lengths() const override { return layers.front().lengths(); }
  void select(const std::vector<int64_t>& from) override {
    for (AttentionCache& layer : layers) layer.select(from);
  }
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

  BlockWeights weights(DType type) const {
    return {c_attn.weight->to(type), attn_proj.weight->to(type), c_fc.weight->to(type), mlp_proj.weight->to(type)};
  }

  // attend: from [B, N, 3 C] to [B, N, C], with or without a cache. w: weights(c.compute), or nothing.
  template <class Attend>
  Tensor forward(Tensor x, const ForwardContext& c, Attend attend, const BlockWeights& w = {}) const {
    const auto branch = [&](const Tensor& y, const char* place) {
      return dropout(y, dropout_rate, c.key(path + place), c.sample0, c.training);
    };
    const Tensor qkv = c_attn.forward(ln_1.forward(x, c.compute), Activation::none, w.c_attn);
    x = add(x, branch(attn_proj.forward(attend(qkv), Activation::none, w.attn_proj), ".attn.resid_dropout"));
    const Tensor hidden = c_fc.forward(ln_2.forward(x, c.compute), activation, w.c_fc);
    const Tensor y = mlp_proj.forward(hidden, Activation::none, w.mlp_proj);
    return add(x, branch(y, ".mlp.dropout"));
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
    return logits(wanted_rows(blocks(inputs, c), inputs), *wte_, c);  // [R, V]
  }
  Tensor hidden(const TextInputs& inputs, const ForwardContext& c) const override {
    return ln_f_.forward(blocks(inputs, c));
  }

  std::unique_ptr<DecodeState> start_decoding(int64_t rows, int64_t capacity, const ForwardContext& c) const override {
    auto state = std::make_unique<Cache>();
    for (const Block& block : blocks_) {
      state->layers.push_back(block.attention.make_cache(rows, c.compute, c.device, capacity));
      state->weights.push_back(block.weights(c.compute));
    }
    state->head = wte_->to(c.compute);
    return state;
  }
  Tensor decode(const Tensor& ids, const std::vector<int64_t>& counts, DecodeState& state,
                const ForwardContext& context) const override {
    const NoGrad guard;
    ForwardContext c = context;
    c.training = false;
    auto& cache = dynamic_cast<Cache&>(state);
    const int64_t batch = ids.dim(0), tokens = ids.dim(1);
    std::vector<int64_t> positions, last;
    for (int64_t b = 0; b < batch; ++b) {
      const int64_t before = cache.lengths()[static_cast<size_t>(b)];
      const int64_t count = counts.empty() ? tokens : counts[static_cast<size_t>(b)];
      if (before + count > sizes_.positions)
        bad_input("a text of {} tokens, but the model has {} positions", before + count, sizes_.positions);
      // Padding takes any position that exists.
      for (int64_t i = 0; i < tokens; ++i) positions.push_back(std::min(before + i, sizes_.positions - 1));
      last.push_back(b * tokens + std::max<int64_t>(count, 1) - 1);
    }
    const Tensor at = Tensor::from<int64_t>({batch, tokens}, positions).to(c.device);
    Tensor x = add(embedding(*wte_, ids, c.residual()), embedding(*wpe_, at, c.residual()));  // [B, M, C]
    for (size_t i = 0; i < blocks_.size(); ++i) {
      const auto attend = [&](const Tensor& qkv) {
        AttentionInputs in;
        in.qkv = qkv;
        return blocks_[i].attention.step(in, cache.layers[i], counts);
      };
      x = blocks_[i].forward(x, c, attend, cache.weights[i]);
    }
    TextInputs wanted;
    wanted.rows = Tensor::from<int64_t>({batch}, last).to(c.device);
    return logits(wanted_rows(x, wanted), cache.head, c);
  }

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
    for (const Block& block : blocks_) {
      const auto run = [&block, inputs, c](const Tensor& y) {
        return block.forward(y, c, [&](const Tensor& qkv) { return attend(block.attention, qkv, inputs, c); });
      };
      x = checkpoint_ && c.training ? checkpoint([run](const auto& in) { return run(in[0]); }, {x}) : run(x);
    }
    return x;
  }
  // rows [R, C] of the residual stream -> [R, V]; head: wte_ or its copy in the compute type
  Tensor logits(const Tensor& rows, const Tensor& head, const ForwardContext& c) const {
    return linear(ln_f_.forward(rows, c.compute), head, {}, Activation::none, c.residual());
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
