// tiny_run.h -- run directories with seeded weights, as a short training run would leave them.
#pragma once

#include <filesystem>
#include <string>

#include "config/printer.h"
#include "config/reader.h"
#include "tasks/image_classification.h"
#include "tasks/registry.h"
#include "tasks/trained_model.h"
#include "train/checkpoint/store.h"
#include "train/run_config.h"

namespace gfsa::tasks {

// A folder that goes with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "gfsa_tasks_XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// 16 wide, 2 blocks of 2 heads, 17 tokens; GFSA; 70 generated pictures of 10 classes to evaluate on.
inline const std::string kTinyConfig = R"(
model: {name: vit, width: 16, heads: 2, depth: 2, patch: 8, image_size: 32}
attention: {variant: gfsa, K: 3, wK_init: 0.3}
data: {source: procedural, train_size: 64, val_size: 70}
train: {epochs: 1, batch_size: 32}
threads: 1
)";

struct TinyRun {
  int64_t step = 8;
  int64_t best_step = -1;
  bool ema = false;
  uint64_t seed = 1;
  std::string config = kTinyConfig;
};

// Writes a checkpoint; returns its folder. The weights are drawn four times as large as at the start of training, so
// that predictions differ from picture to picture.
inline std::string write_checkpoint(const std::string& run, const TinyRun& tiny = {}) {
  train::RunConfig config(task_registry());
  config::load_text(config, tiny.config);
  ParameterStore store;
  config.task->build(store, 0, config.train.batch_size);
  const auto weights = [&](uint64_t seed) {
    if (!store.materialized()) store.materialize(seed);
    NamedTensors out;
    for (const auto& p : store.parameters()) {
      auto values = p.value.to_vector<float>();
      const bool matrix = p.shape.rank() > 1;
      for (float& v : values) v *= matrix ? 4 : 1;
      if (matrix && seed != tiny.seed) values[0] += 1;
      out.emplace_back(p.name, Tensor::from(p.shape, values));
    }
    return out;
  };
  train::Snapshot s;
  s.position.step = tiny.step;
  s.position.epoch = 1;
  s.position.best_step = tiny.best_step;
  s.model = weights(tiny.seed);
  if (tiny.ema) s.ema = weights(tiny.seed + 1);
  s.config = config::print_config(config);
  Env::real().create_directories(run);
  Env::real().write(run + "/config.yaml", s.config);
  return train::CheckpointStore(Env::real(), run).write(s);
}

inline ImageClassification& image_task(TrainedModel& model) { return dynamic_cast<ImageClassification&>(model.task()); }

// What the call says when it refuses, or "" if it does not.
template <class Call>
std::string refusal(Call&& call) {
  try {
    call();
  } catch (const Error& e) {
    return e.exit_code() == kExitBadInput ? e.message() : "not bad input: " + e.message();
  }
  return "";
}

}  // namespace gfsa::tasks
