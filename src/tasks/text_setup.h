// text_setup.h -- what the tasks of language models have in common: the sections model, attention and tokenizer, and
// how they come together from a YAML, from a folder of Hugging Face's and from what stands beside stored weights.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attention/attention_config.h"
#include "data/batch.h"
#include "models/text_model.h"
#include "tokenizers/tokenizer.h"
#include "train/task.h"

namespace gfsa::tasks {

// Section `tokenizer`: one that is given, else one that is trained from the training text.
struct TokenizerConfig {
  std::string path;
  std::string kind = "auto";
  int64_t vocabulary = 8192, min_frequency = 2;
  bool lowercase = true;
  void describe(config::Schema& s);
};

class TextSetup {
 public:
  // Calls its argument with every training text.
  using ForEachText = std::function<void(const std::function<void(std::string_view)>&)>;

  // model: the default of model.name.
  TextSetup(const std::string& model, TextHead head);

  void describe(config::Schema& s);
  void use_companions(const train::Companions& stored, const std::string& folder);
  // Finds or trains the tokenizer, and completes the model's numbers. Once, before everything else below.
  void prepare(const ForEachText& for_each_text);
  // For stored weights: the tokenizer must be given or stand beside them.
  void prepare_for_weights(const std::string& source);
  // Declares the parameters. classes: of a classification head.
  void build(ParameterStore& store, int64_t classes);

  const tokenizers::Tokenizer& tokenizer() const { return *tokenizer_; }
  const TextModel& model() const { return *model_; }
  const AttentionConfig& attention() const { return attention_; }
  int64_t positions() const { return model_section_.config->max_tokens(); }
  // Bad input unless the model has positions for so many tokens; key names who asks for them.
  void require_positions(const std::string& key, int64_t tokens) const;
  // The id of "mask", "cls", ...; bad input, saying what needs it, if the tokenizer has none.
  int32_t required_token(const std::string& role, const std::string& what) const;
  int32_t pad_token() const { return tokenizer_->special_id("pad").value_or(0); }

  const train::Companions& companions() const { return companions_; }
  std::optional<train::InitialWeights> initial_weights() const;
  std::string model_text() const;
  std::vector<std::string> report(Device device) const;

 private:
  struct ModelSection {
    std::unique_ptr<TextModelConfig> config;
    std::optional<std::string> pretrained;
    void describe(config::Schema& s);
  };
  std::shared_ptr<const tokenizers::Tokenizer> given_tokenizer() const;
  void complete_model();

  TextHead head_;
  ModelSection model_section_;
  AttentionConfig attention_;
  TokenizerConfig tokenizer_config_;
  std::shared_ptr<const tokenizers::Tokenizer> tokenizer_;
  std::unique_ptr<TextModel> model_;
  train::Companions companions_;  // made once: a checkpoint must not wait for them
  bool stored_ = false;           // what stands beside stored weights is used
};

// What the model sees of a batch of src/data/text.
TextInputs text_inputs(const data::Batch& batch);

}  // namespace gfsa::tasks
