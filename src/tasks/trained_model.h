// trained_model.h -- from what a user names on the command line to a model with its weights.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/env.h"
#include "params/parameters.h"
#include "train/checkpoint/store.h"
#include "train/run_config.h"

namespace gfsa::tasks {

// What to load.
struct ModelChoice {
  // A run directory (its newest checkpoint), a checkpoint folder, or a .safetensors file.
  std::string path = {};
  // The YAML of a .safetensors file that has none beside it; "" otherwise.
  std::string config = {};
  std::vector<std::string> overrides = {};  // "key.path=value"
  bool ema = false;                         // averaged weights (also if the config says eval.ema)
  bool best = false;                        // of a run directory: the checkpoint with the best evaluation
};

// A model ready for evaluation; no data has been opened. Everything that does not fit is bad input: a path that is
// neither of the three, a run without checkpoint, weights that are missing, unexpected or misshapen (all of them in one
// error), a tokenizer that the weights were not trained with.
class TrainedModel {
 public:
  explicit TrainedModel(const ModelChoice& choice, Env& env = Env::real());
  TrainedModel(const TrainedModel&) = delete;
  TrainedModel& operator=(const TrainedModel&) = delete;

  const std::string& name() const { return name_; }                             // as the user named it
  const std::string& weights() const { return weights_; }                       // the file that was loaded
  const std::string& run_directory() const { return run_directory_; }           // "" for a bare file
  const std::optional<train::Position>& position() const { return position_; }  // none for a bare file
  bool averaged() const { return averaged_; }

  train::RunConfig& config() { return config_; }
  train::Task& task() { return *config_.task; }
  int64_t parameters() const { return store_.count(); }
  // What evaluation runs at unless the user says otherwise.
  int64_t batch_size() const { return config_.eval.batch_size.value_or(config_.train.batch_size); }

 private:
  void locate(const ModelChoice& choice, Env& env);
  void locate_folder(const ModelChoice& choice, Env& env);
  void choose_checkpoint(const ModelChoice& choice, Env& env);
  void use_checkpoint(const std::string& folder, Env& env);
  train::Companions companions(Env& env) const;

  std::string name_, weights_, run_directory_, checkpoint_, config_file_;
  std::optional<train::Position> position_;
  bool averaged_ = false;
  ParameterStore store_;  // outlives the task
  train::RunConfig config_;
};

}  // namespace gfsa::tasks
