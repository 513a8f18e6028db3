// image_model.h -- what every image classifier offers, and the list that YAML's `model.name` chooses from.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "attention/attention_config.h"
#include "config/schema.h"
#include "params/forward_context.h"
#include "params/parameters.h"

namespace gfsa {

// Tensors that --diagnose looks at, filled by forward() when asked.
struct Diagnostics {
  std::vector<Tensor> block_outputs;  // after each block: [B, N, C]
  std::vector<Tensor> qkv;            // packed queries, keys and values of each block: [B, N, 3 C]
  std::vector<Tensor> coefficients;   // each block's filter, [H, degree + 2] (attention.h); undefined: plain softmax
  std::vector<int64_t> heads;         // of each block
};

class ImageModel {
 public:
  virtual ~ImageModel() = default;
  // images [B, Cin, H, W], normalised -> logits [B, classes] in c.residual(). diagnostics may be null.
  virtual Tensor forward(const Tensor& images, const ForwardContext& c, Diagnostics* diagnostics = nullptr) const = 0;
  // Replaces a stored tensor by one that fits this model (position embeddings of another image size); else gives it
  // back.
  virtual Tensor adapt(const Parameter& wanted, const Tensor& stored) const {
    (void)wanted;
    return stored;
  }
  // Learned filter coefficients by layer and head, for curves and diagnosis: names and [H] tensors.
  virtual std::vector<std::pair<std::string, Tensor>> coefficients() const { return {}; }
  // Multiply-adds times two of one sample's forward pass: matrix products only.
  virtual double forward_flops() const = 0;
  virtual int64_t depth() const = 0;
};

// A model's YAML keys; builds the model. The object is the value of section `model`.
class ImageModelConfig {
 public:
  virtual ~ImageModelConfig() = default;
  virtual void describe(config::Schema& s) = 0;
  virtual std::unique_ptr<ImageModel> build(const Scope& scope, const AttentionConfig& attention) const = 0;
  // Whether the model has the attention that section `attention` configures. Where it has none, a section that asks for
  // anything but the default is refused: it would be ignored.
  virtual bool has_attention() const { return true; }
  virtual int64_t image_size() const = 0;
  virtual int64_t channels() const = 0;
  virtual int64_t classes() const = 0;
  // Called once the data is known, where the YAML left it open (0). Of explicit values the task takes the data's number
  // of classes and more; fewer are bad input.
  virtual void set_classes(int64_t classes) = 0;
};

const config::Registry<ImageModelConfig>& image_model_registry();

}  // namespace gfsa
