#include "models/vit.h"

#include <map>

#include "models/position_embedding.h"
#include "nn/stack.h"
#include "ops/dropout.h"
#include "ops/elementwise.h"
#include "ops/patch_embed.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace gfsa {
namespace {

struct Preset {
  int64_t width, heads;
};
// DeiT, table 1.
const std::map<std::string, Preset> kPresets{
    {"deit_tiny", {192, 3}}, {"deit_small", {384, 6}}, {"deit_base", {768, 12}}};

const Init kLinearInit = truncated_normal(0.02);  // timm: every Linear, position embeddings; biases 0

}  // namespace

void VitConfig::describe(config::Schema& s) {
  s.field("preset", preset)
      .choices({"none", "deit_tiny", "deit_small", "deit_base"})
      .doc("Width and heads by name: deit_tiny 192/3, deit_small 384/6, deit_base 768/12.")
      .source("DeiT, arXiv 2012.12877, table 1");
  s.field("width", width).in(1, 1 << 20).doc("Channels of a token; the preset's unless given.");
  s.field("depth", depth).in(1, 10000).doc("Number of blocks.");
  s.field("heads", heads).in(1, 1 << 20).doc("Attention heads; the preset's unless given.");
  s.field("patch", patch).in(1, 16384).unit("pixels").doc("Edge of a square patch.");
  s.field("image_size", size).in(1, 16384).unit("pixels").doc("Edge of the square input image.");
  s.field("channels", in_channels).in(1, 64).doc("Colour channels of the input.");
  s.field("classes", class_count).in(0, 1'000'000).doc("Classes; 0: as many as the data has.");
  s.field("mlp_ratio", mlp_ratio).above(0).at_most(1000).doc("Hidden width of the MLP over the token width.");
  s.field("pool", pool)
      .choices({"class_token", "mean"})
      .doc("What the head reads: the class token or the mean of all patches.");
  s.field("drop_path", drop_path)
      .at_least(0)
      .below(1)
      .doc("Stochastic depth of the last block; grows linearly from 0.")
      .source("Huang et al. 2016, arXiv 1603.09382");
  s.field("dropout", dropout)
      .at_least(0)
      .below(1)
      .doc("Dropout after position embedding, attention projection and in the MLP.");
  s.field("layer_scale", layer_scale)
      .at_least(0)
      .doc("Initial value of the per-channel scale of each branch; 0: none.")
      .source("CaiT, arXiv 2103.17239");
  s.field("eps", eps).positive().doc("Added to the variance in layer norms.").source("timm: 1e-6");
  s.field("checkpoint_blocks", checkpoint_blocks)
      .resume_may_change()
      .doc("Recompute each block in backward: less memory, a third more time.");
  s.check(preset != "none" || (width && heads), "preset", "without a preset, width and heads must be given");
  s.check(size % patch == 0, "patch", fmt::format("must divide image_size (patch is {}, image_size {})", patch, size));
  if (preset != "none" || (width && heads)) {
    s.check(resolved_width() % resolved_heads() == 0, "heads",
            fmt::format("must divide width (heads is {}, width {})", resolved_heads(), resolved_width()));
  }
}

int64_t VitConfig::resolved_width() const { return width ? *width : kPresets.at(preset).width; }
int64_t VitConfig::resolved_heads() const { return heads ? *heads : kPresets.at(preset).heads; }

std::unique_ptr<ImageModel> VitConfig::build(const Scope& scope, const AttentionConfig& attention) const {
  return std::make_unique<Vit>(scope, *this, attention);
}

VitBlock::VitBlock(const Scope& s, const VitConfig& c, const AttentionConfig& attention, int64_t layer)
    : norm1(s / "norm1", c.resolved_width(), c.eps),
      attn(s / "attn",
           {.width = c.resolved_width(),
            .heads = c.resolved_heads(),
            .layer = layer,
            .depth = c.depth,
            .dropout = c.dropout},
           attention, kLinearInit),
      ls1(c.layer_scale > 0 ? (s / "ls1").param("gamma", {c.resolved_width()}, constant(c.layer_scale)) : Param()),
      norm2(s / "norm2", c.resolved_width(), c.eps),
      mlp(s / "mlp", c.resolved_width(), static_cast<int64_t>(static_cast<double>(c.resolved_width()) * c.mlp_ratio),
          Activation::gelu, c.dropout, kLinearInit),
      ls2(c.layer_scale > 0 ? (s / "ls2").param("gamma", {c.resolved_width()}, constant(c.layer_scale)) : Param()),
      drop_path_rate(c.depth == 1 ? c.drop_path
                                  : c.drop_path * static_cast<double>(layer) / static_cast<double>(c.depth - 1)),
      path(s.path()) {}

Tensor VitBlock::forward(Tensor x, const ForwardContext& c, Diagnostics* diagnostics) const {
  const auto branch = [&](const Tensor& y, const char* place) {
    return drop_path(y, drop_path_rate, c.key(path + place), c.sample0, c.training);
  };
  Tensor y = attn.forward(norm1.forward(x, c.compute), c, diagnostics ? &diagnostics->qkv : nullptr);  // [B, N, C]
  SumAndNorm middle;
  if (ls1) {
    middle.sum = residual_scale(x, branch(y, ".drop_path1"), *ls1);
    middle.y = norm2.forward(middle.sum, c.compute);
  } else {
    middle = norm2.forward_sum(x, branch(y, ".drop_path1"), c.compute);
  }
  y = mlp.forward(middle.y, c);
  return residual_scale(middle.sum, branch(y, ".drop_path2"), *ls2);
}

Vit::Vit(const Scope& s, const VitConfig& config, const AttentionConfig& attention)
    : config_(config),
      cls_token_(config.prefix() == 1 ? s.param("cls_token", {1, 1, config.resolved_width()}, normal(1e-6)) : Param()),
      pos_embed_(s.param("pos_embed", {1, config.tokens(), config.resolved_width()}, kLinearInit)),
      patch_weight_((s / "patch_embed" / "proj")
                        .param("weight", {config.resolved_width(), config.in_channels, config.patch, config.patch},
                               torch_default(config.in_channels * config.patch * config.patch))),
      patch_bias_((s / "patch_embed" / "proj")
                      .param("bias", {config.resolved_width()},
                             torch_default(config.in_channels * config.patch * config.patch))),
      blocks_(make_stack<VitBlock>(s / "blocks", config.depth, config, attention)),
      // timm: the final norm stands before the pool for the class token, after it (and is called fc_norm) for the mean.
      norm_(s / (config.pool == "mean" ? "fc_norm" : "norm"), config.resolved_width(), config.eps),
      head_(s / "head", config.resolved_width(), config.class_count, kLinearInit) {}

Tensor Vit::forward(const Tensor& images, const ForwardContext& c, Diagnostics* diagnostics) const {
  Tensor x = patch_embed(images, *patch_weight_, *patch_bias_, c.residual());  // [B, patches, C]
  const int64_t batch = x.dim(0), width = x.dim(2);
  if (cls_token_) x = concat({expand(*cls_token_, {batch, 1, width}), x}, 1);  // [B, N, C]
  x = add(x, *pos_embed_);
  x = dropout(x, config_.dropout, c.key("pos_drop"), c.sample0, c.training);
  for (const VitBlock& block : blocks_) {
    x = run_block(config_.checkpoint_blocks && c.training && !diagnostics, block, x, c, diagnostics);
    if (diagnostics) {
      diagnostics->block_outputs.push_back(x);
      diagnostics->coefficients.push_back(block.attn.coefficients());
      diagnostics->heads.push_back(config_.resolved_heads());
    }
  }
  // The norm works on each token by itself, so only the tokens that the head reads need it.
  const Tensor pooled = config_.pool == "mean" ? mean(x, {1}) : select(x, 1, 0);  // [B, C]
  return head_.forward(norm_.forward(pooled, c.compute), Activation::none, c.residual());
}

Tensor Vit::adapt(const Parameter& wanted, const Tensor& stored) const {
  if (wanted.name != "pos_embed" || stored.shape() == wanted.shape) return stored;
  if (stored.rank() != 3 || stored.dim(2) != wanted.shape[2]) return stored;
  return resize_position_embedding(stored, config_.grid(), config_.prefix());
}

std::vector<std::pair<std::string, Tensor>> Vit::coefficients() const {
  return coefficients_of(blocks_, &VitBlock::attn);
}

double Vit::forward_flops() const {
  const auto n = static_cast<double>(config_.tokens()), d = static_cast<double>(config_.resolved_width());
  const double patches = n - static_cast<double>(config_.prefix());
  double total = 2 * patches * d * static_cast<double>(config_.in_channels * config_.patch * config_.patch);
  for (const VitBlock& block : blocks_) {
    total += 2 * n * d * d * (4 + 2 * config_.mlp_ratio) + block.attn.attention_flops(config_.tokens());
  }
  return total + 2 * d * static_cast<double>(config_.class_count);
}

void register_vit(config::Registry<ImageModelConfig>& registry) {
  registry.add<VitConfig>("vit", "Vision Transformer, and DeiT by its presets.");
}

}  // namespace gfsa
