// text_model.h -- what every language model offers, and the list that YAML's `model.name` of text tasks chooses from.
//
// Parameters have Hugging Face's names (transformers), the filter's stand below the attention they belong to
// (encoder.layer.3.attention.self.gfsa.wK).
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "attention/attention_config.h"
#include "config/registry.h"
#include "config/schema.h"
#include "params/forward_context.h"
#include "params/parameters.h"

namespace gfsa {

// A batch of B sequences of up to N tokens, padded at their ends; or, with `offsets`, S sequences side by side in one
// row (B = 1) without padding.
struct TextInputs {
  Tensor ids;        // i64 [B, N]
  Tensor segments;   // i64 [B, N]: first or second text; undefined: all 0
  Tensor positions;  // i64 [B, N], from 0 in each sequence; undefined: 0 .. N - 1. Needed with `offsets`
  Tensor lengths;    // i64 [B]: real tokens, the others are padding; undefined: all are real
  Tensor offsets;    // i64 [S + 1], from 0 to N: sequence s is tokens offsets[s] .. offsets[s + 1] - 1
  Tensor rows;       // i64 [R]: the tokens (of B N) whose logits a language model's head is to give; undefined: all
};

enum class TextHead {
  classification,  // one vector a sequence: logits [B or S, classes]; regression is one class
  masked_lm,       // logits [R, V]
  causal_lm,       // logits [R, V]
};

class TextModel {
 public:
  virtual ~TextModel() = default;
  // Logits in c.residual(), of the head that the model was built with.
  virtual Tensor forward(const TextInputs& inputs, const ForwardContext& c) const = 0;
  // Learned filter coefficients by layer and head, for curves and diagnosis: names and [H] tensors.
  virtual std::vector<std::pair<std::string, Tensor>> coefficients() const { return {}; }
  // Multiply-adds times two of one sequence's forward pass, matrix products only; logits_of: tokens that the head sees.
  virtual double forward_flops(int64_t tokens, int64_t logits_of) const = 0;
  virtual int64_t depth() const = 0;
};

// A model's YAML keys; builds the model. The object is the value of section `model`.
class TextModelConfig {
 public:
  virtual ~TextModelConfig() = default;
  virtual void describe(config::Schema& s) = 0;
  virtual std::unique_ptr<TextModel> build(const Scope& scope, const AttentionConfig& attention, TextHead head,
                                           int64_t classes) const = 0;
  // Bad input, before anything is built, where the model has no such head (an encoder and causal_lm).
  virtual bool has(TextHead head) const = 0;
  virtual int64_t vocabulary() const = 0;
  // Called with the tokenizer's size where the YAML left it open (0). A model may have more ids than its tokenizer.
  virtual void set_vocabulary(int64_t size) = 0;
  virtual int64_t max_tokens() const = 0;  // that its position embeddings allow

  // Hugging Face's config.json: what it says becomes this object's values, whatever the YAML said is checked against it
  // (bad input names both). `source` is the file's name for messages.
  virtual void take_config_json(const std::string& json, const std::string& source) = 0;
  // What transformers needs beside model.safetensors to load the weights.
  virtual std::string config_json(TextHead head, int64_t classes) const = 0;
};

const config::Registry<TextModelConfig>& text_model_registry();

}  // namespace gfsa
