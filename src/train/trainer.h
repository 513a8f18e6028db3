// trainer.h -- the training loop: batches, forward, backward, update; evaluations, checkpoints, resume, signals. It knows no
// model and no data.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/env.h"
#include "train/checkpoint.h"
#include "train/progress.h"
#include "train/run_config.h"
#include "train/run_directory.h"
#include "train/signals.h"

namespace gfsa::train {

struct StepFigures {
  double loss = 0;       // of the whole step, before the update
  double grad_norm = 0;  // before clipping
  double learning_rate = 0;
  int64_t samples = 0;
};

// Sets threads, checks device and precision against this machine. Call before anything is built.
void apply_machine_settings(const RunConfig& config);

// A task with its model, optimizer and position: everything a step needs. Dry runs and benchmarks use it too.
class Session {
 public:
  // config must outlive it. Builds the task, draws the initial weights or loads init_from.
  explicit Session(RunConfig& config);

  // Continues from a checkpoint. Bad input if it does not fit.
  void restore(const LoadedCheckpoint& checkpoint);
  Snapshot snapshot(const std::string& config_yaml) const;

  // One optimizer step on the next batches. Throws if loss or gradient is not finite, naming the parameter; the weights are then
  // as before the step.
  StepFigures step();
  // The same on batches that are given, at the same position each time (benchmarks).
  StepFigures step_on(const std::vector<data::Batch>& batches);

  int64_t steps_per_epoch() const { return steps_per_epoch_; }
  int64_t total_steps() const { return total_steps_; }
  bool finished() const { return position.step >= total_steps_; }
  double epochs_done() const { return static_cast<double>(position.step) / static_cast<double>(steps_per_epoch_); }

  RunConfig& config;
  ParameterStore store;
  Optimizer* optimizer = nullptr;
  std::unique_ptr<Ema> ema;
  Position position;
  data::LoaderFigures loader_figures() const { return loader_ ? loader_->figures() : data::LoaderFigures{}; }
  std::vector<data::SkippedSample> skipped() const { return loader_ ? loader_->skipped() : std::vector<data::SkippedSample>{}; }
  // The next step's batches; moves the position on.
  std::vector<data::Batch> next_batches();

 private:
  ForwardContext context() const;
  [[noreturn]] void report_not_finite(double loss, const std::vector<data::Batch>& batches) const;

  std::unique_ptr<data::BatchOrder> order_;
  std::unique_ptr<data::Loader> loader_;
  int64_t steps_per_epoch_ = 1, total_steps_ = 1;
};

// Trains to the end, or until a signal asks to stop. Returns the process's exit code.
// resume_from: a checkpoint folder, or "" for a fresh run.
int run_training(RunConfig& config, const std::string& config_yaml, const std::string& resume_from, Env& env = Env::real());

}  // namespace gfsa::train
