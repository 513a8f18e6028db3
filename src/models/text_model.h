// text_model.h -- what every language model offers, and the list that YAML's `model.name` of text tasks chooses from.
//
// Parameters have Hugging Face's names (transformers), the filter's stand below the attention they belong to
// (encoder.layer.3.attention.self.gfsa.wK).
#pragma once

#include <map>
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

class DecodeState;

// A batch of B sequences of up to N tokens, padded at their ends; or, with `offsets`, S sequences side by side in one
// row (B = 1) without padding.
struct TextInputs {
  Tensor ids;           // i64 [B, N]
  Tensor segments;      // i64 [B, N]: first or second text; undefined: all 0
  Tensor positions;     // i64 [B, N], from 0 in each sequence; undefined: 0 .. N - 1. Needed with `offsets`
  Tensor lengths;       // i64 [B]: real tokens, the others are padding; undefined: all are real
  Tensor offsets;       // i64 [S + 1], from 0 to N: sequence s is tokens offsets[s] .. offsets[s + 1] - 1
  int64_t longest = 0;  // no sequence is longer (with `offsets` GPUs work faster with it); 0: not known
  Tensor rows;          // i64 [R]: the tokens (of B N) whose logits a language model's head is to give; undefined: all
  DecodeState* past = nullptr;  // in generation: what came before these tokens, and where they go (decode_state.h)
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
  // What the head reads: the last layer's output, after the model's last norm, [B, N, C] in c.residual(). Rows of
  // padding hold anything.
  virtual Tensor hidden(const TextInputs& inputs, const ForwardContext& c) const = 0;

  // Generation: models whose attention is causal, with a causal_lm head. They write nothing for it: attend() of
  // text_parts.h keeps and finds what came before. `rows` empty sequences; room for `capacity` tokens each, which
  // grows. The state holds copies of weights: it serves as long as these do not change.
  virtual bool generates() const { return false; }
  std::unique_ptr<DecodeState> start_decoding(int64_t rows, int64_t capacity) const;
  // Appends ids [rows, M] to the sequences, of row b the first counts[b] <= M (empty: all M; 0: a text that has ended,
  // whose logits mean nothing). Logits [rows, V] of each row's last new token: what forward() on the whole sequences
  // gives. Records nothing. Errors: a sequence longer than the model's positions.
  Tensor decode(const Tensor& ids, const std::vector<int64_t>& counts, DecodeState& state,
                const ForwardContext& c) const;

  // For weights that others trained (train.init_from): parameters that may be missing in the file and keep their
  // initial values (the filter's; a model adds those of a new head), tensors of other heads that are passed over. Names
  // without the model's prefix (BertModel's instead of BertForMaskedLM's) and old names (gamma, beta) are understood by
  // every load.
  virtual ParameterStore::LoadOptions load_options() const;
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
  // The tokenizer's ids of "pad", "bos" and "eos", those that it has, as config.json is to name them. Bad input where
  // the model needs others.
  virtual void set_special_ids(const std::map<std::string, int64_t>& ids) = 0;
  virtual int64_t max_tokens() const = 0;  // that its position embeddings allow
  // What is trained where the YAML names no tokenizer: "wordpiece", "byte_bpe", ... (tokenizers/train.h).
  virtual std::string tokenizer_kind() const = 0;
  // Whose special tokens a trained tokenizer gets, and with them what stands around texts: "bert", "roberta", ...; "":
  // what running text needs (tokenizers/special_tokens.h).
  virtual std::string special_tokens() const = 0;

  // Hugging Face's config.json: what it says becomes this object's values, whatever the YAML said of the architecture
  // is checked against it (bad input names both; dropout is the YAML's if given). `source` is the file's name for
  // messages. attention_probs_dropout_prob is not looked at: `attention.dropout` is the run's.
  virtual void take_config_json(const std::string& json, const std::string& source) = 0;
  // What transformers needs beside model.safetensors to load the weights.
  virtual std::string config_json(TextHead head, int64_t classes, const AttentionConfig& attention) const = 0;
};

const config::Registry<TextModelConfig>& text_model_registry();

}  // namespace gfsa
