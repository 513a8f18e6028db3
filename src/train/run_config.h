// run_config.h -- the whole YAML of a run. The task adds its own sections (model, attention, data, augment) beside
// these.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "config/registry.h"
#include "config/schema.h"
#include "optim/clipping.h"
#include "optim/ema.h"
#include "optim/optimizer_config.h"
#include "optim/schedule.h"
#include "train/task.h"

namespace gfsa::train {

// Length of the run, batches, clipping, averaging.
struct TrainConfig {
  std::optional<int64_t> epochs, steps;
  int64_t batch_size = 64;
  int64_t accumulate = 1;
  int64_t log_every = 10;
  std::string on_non_finite = "stop";
  int64_t non_finite_limit = 10;
  ClipConfig clip;
  EmaConfig ema;
  void describe(config::Schema& s);
};

// When and on what the model is evaluated during the run.
struct EvalConfig {
  std::optional<int64_t> every_steps;
  int64_t every_epochs = 1;
  std::optional<int64_t> batch_size;
  std::string split = "val";
  bool ema = false;
  void describe(config::Schema& s);
};

// When checkpoints are written and which of them stay.
struct CheckpointConfig {
  std::optional<int64_t> every_steps;
  int64_t every_epochs = 1;
  int64_t keep_last = 2;
  bool keep_best = true;
  void describe(config::Schema& s);
};

struct RunConfig {
  explicit RunConfig(const config::Registry<Task>& tasks);

  const config::Registry<Task>& tasks;
  std::unique_ptr<Task> task;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  TrainConfig train;
  EvalConfig eval;
  CheckpointConfig checkpoint;
  std::optional<std::string> init_from;
  std::vector<std::string> init_optional;
  int64_t seed = 0;
  std::string precision = "f32";
  bool tf32 = false;
  std::string device = "cpu";
  std::string graph = "auto";
  int threads = 0;
  bool deterministic = true;
  std::string run_dir;  // "": default_run_dir() of the file, which the program sets

  void describe(config::Schema& s);

  DType compute() const { return precision == "bf16" ? DType::bf16 : DType::f32; }
  Device placement() const { return parse_device(device); }
  // A forward pass without dropout.
  ForwardContext evaluation_context() const;
};

}  // namespace gfsa::train
