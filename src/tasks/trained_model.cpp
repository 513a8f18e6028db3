#include "tasks/trained_model.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/strings.h"
#include "config/reader.h"
#include "formats/tensor_file.h"
#include "tasks/registry.h"
#include "train/checkpoint/reader.h"
#include "train/trainer.h"

namespace gfsa::tasks {
namespace {

namespace fs = std::filesystem;

std::string without_trailing_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string folder_of(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

std::string last_part(const std::string& path) { return fs::path(path).filename().string(); }

// "; did you mean 'X'?" from the names that stand where `path` should.
std::string near_in_folder(const std::string& path, Env& env) {
  const std::string folder = folder_of(path);
  if (!env.is_directory(folder)) return fmt::format("; there is no folder {} either", folder);
  return did_you_mean(last_part(path), env.list(folder));
}

// read(CheckpointReader); if that refuses, the message names the newest older checkpoint of the run that is whole.
template <class F>
auto read_checkpoint(const std::string& folder, Env& env, const F& read) {
  try {
    return read(train::CheckpointReader(env, folder));
  } catch (const Error& e) {
    if (e.exit_code() != kExitBadInput) throw;
    const train::CheckpointStore store(env, folder_of(folder_of(folder)));
    bad_input("{}{}", e.message(), store.advice_without(folder));
  }
}

}  // namespace

TrainedModel::TrainedModel(const ModelChoice& choice, Env& env)
    : name_(without_trailing_slash(choice.path)), config_(task_registry()) {
  locate(choice, env);
  const auto resolved = config::load(config_, config_file_, choice.overrides, env);
  train::apply_machine_settings(config_, resolved);

  averaged_ = choice.ema || (config_.eval.ema && !checkpoint_.empty());
  if (!checkpoint_.empty()) weights_ = checkpoint_ + (averaged_ ? "/ema.safetensors" : "/model.safetensors");
  if (averaged_ && !env.exists(weights_)) {
    bad_input("{}: there are no averaged weights: the run was trained without train.ema.decay; leave out {}", weights_,
              choice.ema ? "--ema" : "eval.ema");
  }
  const auto tensors =
      checkpoint_.empty()
          ? read_tensors(env, weights_)
          : read_checkpoint(checkpoint_, env, [&](const auto& reader) { return reader.tensors(last_part(weights_)); });
  task().use_companions(companions(env), checkpoint_.empty() ? folder_of(weights_) : checkpoint_);
  task().build_model(store_, {tensors, weights_});
  store_.materialize_values([&](const Parameter& p) { return tensors.contains(p.name); }, config_.placement());
  store_.load(tensors, weights_, task().load_options());
}

// Of a checkpoint by its checksums, of a bare file what stands beside it.
train::Companions TrainedModel::companions(Env& env) const {
  if (!checkpoint_.empty()) {
    return read_checkpoint(checkpoint_, env, [](const auto& reader) { return reader.companions(); });
  }
  train::Companions out;
  for (const auto& name : config_.task->companion_names()) {
    const std::string path = folder_of(weights_) + "/" + name;
    if (env.exists(path)) out[name] = env.read(path);
  }
  return out;
}

void TrainedModel::locate(const ModelChoice& choice, Env& env) {
  if (!env.exists(name_)) {
    bad_input("{}: does not exist, expected a run directory, a checkpoint folder or a .safetensors file{}", name_,
              near_in_folder(name_, env));
  }
  if (env.is_directory(name_)) return locate_folder(choice, env);

  if (!name_.ends_with(".safetensors")) {
    bad_input("{}: is a file, expected a run directory, a checkpoint folder or a .safetensors file", name_);
  }
  if (choice.ema || choice.best) {
    bad_input("{}: {} chooses within a run, and this is a file of weights", name_, choice.ema ? "--ema" : "--best");
  }
  weights_ = name_;
  config_file_ = choice.config;
  if (config_file_.empty()) {  // a file inside a checkpoint
    config_file_ = folder_of(name_) + "/config.yaml";
    if (!env.exists(config_file_)) {
      bad_input("{}: weights alone do not tell the model; give its YAML with --config", name_);
    }
  }
}

void TrainedModel::locate_folder(const ModelChoice& choice, Env& env) {
  if (!choice.config.empty()) {
    bad_input("{}: --config is for a bare .safetensors file; this folder has its own config.yaml", name_);
  }
  if (env.exists(name_ + "/state.json")) {
    if (choice.best) bad_input("{}: --best chooses among a run's checkpoints, and this is one checkpoint", name_);
    use_checkpoint(name_, env);
  } else {
    choose_checkpoint(choice, env);
  }
  const std::string above = folder_of(folder_of(checkpoint_));
  if (last_part(folder_of(checkpoint_)) == "checkpoints") run_directory_ = above;
  config_file_ = checkpoint_ + "/config.yaml";
  if (!env.exists(config_file_)) config_file_ = above + "/config.yaml";
  if (!env.exists(config_file_)) bad_input("{}: has no config.yaml", checkpoint_);
}

void TrainedModel::choose_checkpoint(const ModelChoice& choice, Env& env) {
  const train::CheckpointStore store(env, name_);
  const auto all = store.list();
  if (all.empty()) {
    if (env.exists(name_ + "/model.safetensors")) {
      bad_input("{}: is a checkpoint that was never finished: it has no state.json", name_);
    }
    if (env.exists(name_ + "/config.yaml")) bad_input("{}: the run has written no checkpoint yet", name_);
    bad_input(
        "{}: is no run: it has neither config.yaml nor checkpoints/; expected a run directory, a checkpoint "
        "folder or a .safetensors file",
        name_);
  }
  use_checkpoint(all.back(), env);
  if (!choice.best) return;
  const int64_t step = position_->best_step;
  if (step < 0) bad_input("{}: --best: the run has not been evaluated yet", name_);
  for (const auto& folder : all) {
    if (folder == store.path_of_step(step)) return use_checkpoint(folder, env);
  }
  std::vector<std::string> names;
  for (const auto& folder : all) names.push_back(last_part(folder));
  bad_input("{}: --best: step {} was the best, but its checkpoint is gone (checkpoint.keep_best keeps it); there is {}",
            name_, step, one_of(names));
}

void TrainedModel::use_checkpoint(const std::string& folder, Env& env) {
  checkpoint_ = folder;
  position_ = read_checkpoint(folder, env, [](const auto& reader) {
    reader.text("config.yaml");
    return reader.position();
  });
}

}  // namespace gfsa::tasks
