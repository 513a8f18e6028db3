// vit.h -- the Vision Transformer (Dosovitskiy et al. 2021, arXiv 2010.11929) as timm and DeiT (Touvron et al. 2021,
// arXiv 2012.12877) build and name it: pre-norm blocks, learned position embeddings, class token or mean pooling.
//
// Parameter names and shapes are timm's VisionTransformer's; the filter's stand below blocks.N.attn
// (blocks.N.attn.gfsa.wK; the reference code's blocks.N.attn.lamb is read as that).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "models/image_model.h"
#include "nn/layer_norm.h"
#include "nn/mlp.h"
#include "nn/self_attention.h"

namespace gfsa {

class VitConfig : public ImageModelConfig {
 public:
  std::string preset = "none";
  std::optional<int64_t> width, heads;  // the preset's unless given
  int64_t depth = 12;
  int64_t patch = 16;
  int64_t size = 224;  // `image_size`
  int64_t in_channels = 3;
  int64_t class_count = 0;
  double mlp_ratio = 4;
  std::string pool = "class_token";
  double drop_path = 0;
  double dropout = 0;
  double layer_scale = 0;
  double eps = 1e-6;
  bool checkpoint_blocks = false;

  void describe(config::Schema& s) override;
  std::unique_ptr<ImageModel> build(const Scope& scope, const AttentionConfig& attention) const override;
  int64_t image_size() const override { return size; }
  int64_t channels() const override { return in_channels; }
  int64_t classes() const override { return class_count; }
  void set_classes(int64_t classes) override { class_count = classes; }

  int64_t resolved_width() const;
  int64_t resolved_heads() const;
  int64_t grid() const { return size / patch; }
  int64_t prefix() const { return pool == "class_token" ? 1 : 0; }
  int64_t tokens() const { return grid() * grid() + prefix(); }
};

// x + drop_path(ls1(attn(norm1(x)))), then x + drop_path(ls2(mlp(norm2(x)))).
struct VitBlock {
  VitBlock(const Scope& s, const VitConfig& c, const AttentionConfig& attention, int64_t layer);
  Tensor forward(Tensor x, const ForwardContext& c, Diagnostics* diagnostics) const;

  LayerNorm norm1;
  SelfAttention attn;
  Param ls1;  // [C], absent without layer scale
  LayerNorm norm2;
  Mlp mlp;
  Param ls2;
  double drop_path_rate;
  std::string path;
};

class Vit : public ImageModel {
 public:
  Vit(const Scope& s, const VitConfig& config, const AttentionConfig& attention);

  Tensor forward(const Tensor& images, const ForwardContext& c, Diagnostics* diagnostics) const override;
  Tensor adapt(const Parameter& wanted, const Tensor& stored) const override;
  std::vector<std::pair<std::string, Tensor>> coefficients() const override;
  double forward_flops() const override;
  int64_t depth() const override { return config_.depth; }

 private:
  VitConfig config_;
  Param cls_token_, pos_embed_;
  Param patch_weight_, patch_bias_;
  std::vector<VitBlock> blocks_;
  LayerNorm norm_;
  Linear head_;
};

}  // namespace gfsa
