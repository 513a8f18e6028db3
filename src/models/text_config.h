// text_config.h -- the YAML keys that all language models have, their presets, and the way between them and
// transformers' config.json. A family adds its own keys and the model.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/config_json.h"
#include "models/text_model.h"
#include "ops/activation.h"

namespace gfsa {

// A model's numbers, all known.
struct TextSizes {
  int64_t width = 768, depth = 12, heads = 12, mlp_width = 3072;
  int64_t positions = 512;  // longest text, in tokens
  double eps = 1e-12;       // of layer norms
  std::string activation = "gelu";
  double dropout = 0.1;
};

class FamilyConfig : public TextModelConfig {
 public:
  // The preset's, or the family's, unless given.
  std::optional<std::string> preset, activation;
  std::optional<int64_t> width, depth, heads, mlp_width, positions;
  std::optional<double> eps, dropout;
  int64_t vocabulary_size = 0;
  double init_deviation = 0.02;
  bool checkpoint_blocks = false;

  void describe(config::Schema& s) final;
  int64_t vocabulary() const final { return vocabulary_size; }
  void set_vocabulary(int64_t size) final { vocabulary_size = size; }
  void set_special_ids(const std::map<std::string, int64_t>& ids) final;
  int64_t max_tokens() const final { return sizes().positions; }
  std::string tokenizer_kind() const final { return family().tokenizer; }
  std::string special_tokens() const final { return family().special_tokens; }
  void take_config_json(const std::string& json, const std::string& source) final;
  std::string config_json(TextHead head, int64_t classes, const AttentionConfig& attention) const final;

  TextSizes sizes() const;
  // Rows of the position table in front of the first token's.
  int64_t position_offset() const { return family().padding ? *family().padding + 1 : 0; }
  Activation resolved_activation() const { return parse_activation(sizes().activation); }
  Init init() const { return init_deviation > 0 ? normal(init_deviation) : zeros(); }

 protected:
  struct Preset {
    const char* name;
    int64_t width, depth, heads, mlp_width;
  };
  // What differs between families. Names of keys are those of config.json.
  struct Family {
    std::string model_type;       // "bert"
    std::string source;           // of the presets
    std::vector<Preset> presets;  // the first is the default
    TextSizes own;                // everything but the preset's four numbers
    TextSizes when_absent;        // what transformers takes where config.json says nothing
    // Of a tokenizer that is trained for it (text_model.h).
    const char* tokenizer = "wordpiece";
    const char* special_tokens = "bert";
    // config.json's keys: what encoders call them; a decoder has others.
    const char* width = "hidden_size";
    const char* depth = "num_hidden_layers";
    const char* heads = "num_attention_heads";
    const char* mlp_width = "intermediate_size";
    const char* positions = "max_position_embeddings";
    const char* eps = "layer_norm_eps";
    const char* activation = "hidden_act";
    const char* dropout = "hidden_dropout_prob";
    const char* attention_dropout = "attention_probs_dropout_prob";
    // Id of the padding token, if positions are counted from behind it.
    std::optional<int64_t> padding = {};
    // "pad", "bos", "eos": those for which transformers has ids of its own where config.json says nothing.
    std::vector<const char*> assumed_tokens = {};
  };
  virtual const Family& family() const = 0;
  virtual std::string architecture(TextHead head) const = 0;
  virtual void describe_more(config::Schema& s) { (void)s; }
  // More of config.json than the keys above: values that are taken, refused or written.
  virtual void take_more(ConfigJson& json) { (void)json; }
  struct Written {
    std::map<std::string, int64_t> integers = {};
    std::map<std::string, double> numbers = {};
  };
  virtual Written write_more() const { return {}; }

  // Sets `value` to what the file says, or notes that the YAML says something else: by the value's own key, or by a
  // preset that was asked for (whose value is `of_preset`).
  template <class T>
  void agree(ConfigJson& json, const char* key, const char* name, const T& found, std::optional<T>& value,
             const T* of_preset = nullptr) const {
    if (value && *value != found) return json.differs(key, fmt::format("model.{} is {}", name, *value));
    if (!value && preset && of_preset != nullptr && *of_preset != found)
      return json.differs(key, fmt::format("model.preset {} has {} {}", *preset, name, *of_preset));
    value = found;
  }

 private:
  const Preset& chosen_preset() const;

  std::map<std::string, int64_t> special_;  // ids of "pad", "bos", "eos": the tokenizer's, else config.json's
};

// Makes other programs' names of the parameters below `prefix` ("bert") readable: without the prefix, and with gamma
// and beta for the weight and bias of layer norms. Called at the end of a model's construction.
void add_file_names(const Scope& scope, const std::string& prefix);

}  // namespace gfsa
