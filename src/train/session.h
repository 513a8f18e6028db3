// session.h -- a task with its model, optimizer and position: everything one optimizer step needs. Training, dry runs
// and benchmarks share it. It knows no model and no data, and writes nothing.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "train/checkpoint.h"
#include "train/run_config.h"

namespace gfsa::train {

struct StepFigures {
  double loss = 0;       // of the whole step, before the update
  double grad_norm = 0;  // before clipping
  double learning_rate = 0;
  int64_t samples = 0;
};

// Sets the number of threads; bad input if this machine or build lacks the device. Call before anything is built.
void apply_machine_settings(const RunConfig& config);

class Session {
 public:
  // config must outlive it. Builds the task; the weights then come from the checkpoint, if one is given, else from
  // init_from, else they are drawn.
  explicit Session(RunConfig& config, const LoadedCheckpoint* checkpoint = nullptr);

  // Goes on from a checkpoint. Bad input that lists everything that does not fit.
  void restore(const LoadedCheckpoint& checkpoint);
  // Its tensors are live: they are those of the next step once that is made.
  Snapshot snapshot(const std::string& config_yaml) const;

  // One optimizer step on the next batches. Throws (exit code 1) if loss or gradient is not finite, naming the first
  // such parameter and the samples; weights, optimizer and position are then as before the step.
  StepFigures step();
  // The same on batches that are given; the position stays (benchmarks).
  StepFigures step_on(const std::vector<data::Batch>& batches);
  // The batches of the next step: train.accumulate of them, or the epoch's rest where that is less. The position stays,
  // so that a second call gives the same.
  std::vector<data::Batch> next_batches();

  int64_t steps_per_epoch() const { return steps_per_epoch_; }
  int64_t total_steps() const { return total_steps_; }
  bool finished() const { return position.step >= total_steps_; }
  double epochs_done() const { return static_cast<double>(position.step) / static_cast<double>(steps_per_epoch_); }
  data::LoaderFigures loader_figures() const { return loader_ ? loader_->figures() : data::LoaderFigures{}; }
  std::vector<data::SkippedSample> skipped() const;
  // Name of the first parameter whose value is not finite, or "".
  std::string first_not_finite_parameter() const;

  RunConfig& config;
  ParameterStore store;
  Optimizer* optimizer = nullptr;
  std::unique_ptr<Ema> ema;
  Position position;

 private:
  ForwardContext context() const;
  [[noreturn]] void report_not_finite(double loss, const std::vector<data::Batch>& batches) const;

  std::unique_ptr<data::BatchOrder> order_;
  std::unique_ptr<data::Loader> loader_;
  int64_t steps_per_epoch_ = 1, total_steps_ = 1;
};

}  // namespace gfsa::train
