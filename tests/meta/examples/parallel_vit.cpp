// parallel_vit.cpp -- a Vision Transformer whose attention and MLP stand side by side on one norm (Dehghani et al.
// 2023, arXiv 2302.05442, "ViT-22B"):  x + attn(norm(x)) + mlp(norm(x)). Mean pooling, no class token.
#include "meta/examples/squared_relu.h"
#include "models/image_model.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"
#include "nn/self_attention.h"
#include "nn/stack.h"
#include "ops/elementwise.h"
#include "ops/patch_embed.h"
#include "ops/reduce.h"

namespace gfsa {
namespace {

constexpr double kEps = 1e-6;
const Init kInit = truncated_normal(0.02);

struct ParallelVitConfig final : ImageModelConfig {
  int64_t width = 64, depth = 2, heads = 2, patch = 4, size = 32, class_count = 0;

  void describe(config::Schema& s) override {
    s.field("width", width).positive().doc("Channels of a token.");
    s.field("depth", depth).positive().doc("Number of blocks.");
    s.field("heads", heads).positive().doc("Attention heads.");
    s.field("patch", patch).positive().unit("pixels").doc("Edge of a square patch.");
    s.field("image_size", size).positive().unit("pixels").doc("Edge of the square input image.");
    s.field("classes", class_count).at_least(0).doc("Classes; 0: as many as the data has.");
    s.check(size % patch == 0, "patch", "must divide image_size");
    s.check(width % heads == 0, "heads", "must divide width");
  }
  std::unique_ptr<ImageModel> build(const Scope& scope, const AttentionConfig& attention) const override;
  int64_t image_size() const override { return size; }
  int64_t channels() const override { return 3; }
  int64_t classes() const override { return class_count; }
  void set_classes(int64_t classes) override { class_count = classes; }
  int64_t tokens() const { return (size / patch) * (size / patch); }
};

struct Block {
  Block(const Scope& s, const ParallelVitConfig& c, const AttentionConfig& attention, int64_t layer)
      : norm(s / "norm", c.width, kEps),
        attn(s / "attn", {.width = c.width, .heads = c.heads, .layer = layer, .depth = c.depth}, attention, kInit),
        fc1(s / "mlp" / "fc1", c.width, 4 * c.width, kInit),
        fc2(s / "mlp" / "fc2", 4 * c.width, c.width, kInit) {}

  Tensor forward(const Tensor& x, const ForwardContext& c) const {  // [B, N, C] -> [B, N, C]
    const Tensor y = norm.forward(x, c.compute);
    return add(add(x, attn.forward(y, c)), fc2.forward(squared_relu(fc1.forward(y))));
  }

  LayerNorm norm;
  SelfAttention attn;
  Linear fc1, fc2;
};

class ParallelVit final : public ImageModel {
 public:
  // Member name = path part = the parameter's name in files: "blocks.0.attn.qkv.weight".
  ParallelVit(const Scope& s, const ParallelVitConfig& c, const AttentionConfig& attention)
      : config_(c),
        patch_weight_((s / "patch_embed").param("weight", {c.width, 3, c.patch, c.patch}, kInit)),
        patch_bias_((s / "patch_embed").param("bias", {c.width}, zeros())),
        pos_embed_(s.param("pos_embed", {1, c.tokens(), c.width}, kInit)),
        blocks_(make_stack<Block>(s / "blocks", c.depth, c, attention)),
        norm_(s / "norm", c.width, kEps),
        head_(s / "head", c.width, c.class_count, kInit) {}

  Tensor forward(const Tensor& images, const ForwardContext& c, Diagnostics*) const override {
    Tensor x = add(patch_embed(images, *patch_weight_, *patch_bias_, c.residual()), *pos_embed_);  // [B, N, C]
    for (const Block& block : blocks_) x = block.forward(x, c);
    return head_.forward(norm_.forward(mean(x, {1}), c.compute), Activation::none, c.residual());  // [B, classes]
  }

  std::vector<std::pair<std::string, Tensor>> coefficients() const override {
    return coefficients_of(blocks_, &Block::attn);
  }
  double forward_flops() const override {
    const auto n = static_cast<double>(config_.tokens()), w = static_cast<double>(config_.width);
    double total = 2 * n * w * 3 * static_cast<double>(config_.patch * config_.patch);
    for (const Block& block : blocks_) total += 2 * n * w * w * 12 + block.attn.attention_flops(config_.tokens());
    return total + 2 * w * static_cast<double>(config_.class_count);
  }
  int64_t depth() const override { return config_.depth; }

 private:
  ParallelVitConfig config_;
  Param patch_weight_, patch_bias_, pos_embed_;
  std::vector<Block> blocks_;
  LayerNorm norm_;
  Linear head_;
};

std::unique_ptr<ImageModel> ParallelVitConfig::build(const Scope& scope, const AttentionConfig& attention) const {
  return std::make_unique<ParallelVit>(scope, *this, attention);
}

}  // namespace

void register_parallel_vit(config::Registry<ImageModelConfig>& registry) {
  registry.add<ParallelVitConfig>("parallel_vit", "Attention and MLP side by side (ViT-22B).");
}

}  // namespace gfsa
