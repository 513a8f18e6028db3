// session.h -- a task with its model, optimizer and position: everything one optimizer step needs. Training, dry runs
// and benchmarks share it. It knows no model and no data, and writes nothing.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/reader.h"
#include "core/step_table.h"
#include "train/checkpoint/store.h"
#include "train/device_feed.h"
#include "train/non_finite.h"
#include "train/run_config.h"
#include "train/step_graph.h"

namespace gfsa::train {

struct StepFigures {
  double loss = 0;       // of the whole step, before the update
  double grad_norm = 0;  // before clipping
  double learning_rate = 0;
  int64_t samples = 0;
};

// Sets the number of threads; bad input, with the place where `resolved` has the device from, if this machine or build
// lacks it. Call before anything is built.
void apply_machine_settings(const RunConfig& config, const config::Resolved& resolved = {});

class Session {
 public:
  // config must outlive it. Builds the task; the weights then come from the checkpoint, if one is given, else from
  // init_from, else they are drawn.
  explicit Session(RunConfig& config, const LoadedCheckpoint* checkpoint = nullptr);

  // Goes on from a checkpoint. Bad input that lists everything that does not fit.
  void restore(const LoadedCheckpoint& checkpoint);
  // Its tensors are live, on the run's device: they are those of the next step once that is made.
  Snapshot snapshot(const std::string& config_yaml) const;

  // One optimizer step on the next batches. Throws NonFiniteStep if loss or gradient is not finite: weights, optimizer
  // and EMA are then as before the step. Or if the update made weights, optimizer state or EMA not finite (phase
  // "optimizer"): then they are of no use any more. The position is that before the step in both cases.
  StepFigures step();
  // Goes on behind a step that step() has thrown for, without its update. Not in phase "optimizer".
  void skip(const NonFinite& bad);
  // The same with weights, optimizer and EMA of a checkpoint, also in phase "optimizer". The position goes on behind
  // the bad step, not behind the checkpoint's.
  void roll_back(const LoadedCheckpoint& checkpoint, const NonFinite& bad);
  // Whether train.on_non_finite ends the run now: it says stop, skipping cannot help (phase "optimizer"), or this is
  // the train.non_finite_limit-th such step in a row.
  bool must_stop(const NonFinite& bad) const;
  // The checkpoint of this position is the one to roll back to from now on. Kept in the position, so that checkpoints
  // that signals ask for change nothing about a run that rolls back.
  void mark_rollback_point();
  // The same on batches that are given, on the CPU; the position stays (benchmarks). meanwhile: called when all of the
  // step is queued, before the host waits for it.
  StepFigures step_on(const std::vector<data::Batch>& batches, const std::function<void()>& meanwhile = {});
  // The batches of the next step: train.accumulate of them, or the epoch's rest where that is less. The position stays,
  // so that a second call gives the same.
  std::vector<data::Batch> next_batches();

  int64_t steps_per_epoch() const { return steps_per_epoch_; }
  int64_t total_steps() const { return total_steps_; }
  bool finished() const { return position.step >= total_steps_; }
  double epochs_done() const { return static_cast<double>(position.step) / static_cast<double>(steps_per_epoch_); }
  data::LoaderFigures loader_figures() const { return loader_ ? loader_->figures() : data::LoaderFigures{}; }
  std::vector<data::SkippedSample> skipped() const;
  // The next step takes it again. Before an evaluation: otherwise it would have to find room beside a step's memory.
  void free_graph();
  int64_t replayed_steps() const { return graph_.replayed_steps(); }
  // Name of the first tensor with an element that is not finite among optimizer state, values and EMA, or "".
  std::string first_not_finite_tensor() const;

  RunConfig& config;
  ParameterStore store;
  Optimizer* optimizer = nullptr;
  std::unique_ptr<Ema> ema;
  Position position;

 private:
  void load(const LoadedCheckpoint& checkpoint);
  // Of the batch that begins with this sample of the step; on a GPU, what is queued from now on sees its numbers.
  ForwardContext begin_batch(uint32_t sample0);
  // Forward and backward of one of the step's batches, which lies on the device: its loss in losses_, gradients in the
  // store. None of update, queue_step and this waits for the device.
  void accumulate(const data::Batch& batch, const ForwardContext& c, bool first, double normalizer);
  void update();
  void queue_step(const std::vector<data::Batch>& batches);
  double normalizer_of(const std::vector<data::Batch>& batches) const;
  // Every floating tensor of the update's phase, state first, as values are made from it; and flags of those that are
  // not finite, still on the device. The optimizer may have looked already: then averages are left.
  struct StateFlags {
    std::vector<std::pair<std::string, Tensor>> tensors;
    Tensor flags;
  };
  // What the host reads of a step when it is done. Its tensors are a graph's where there is one: the same each time.
  struct Outcome {
    ClipResult clipped;
    StateFlags flags;
  };
  StateFlags flag_state(bool only_averages) const;
  // The first that is not finite, and its parameter. Waits for the device.
  std::optional<std::pair<NotFiniteTensor, std::string>> first_not_finite_state(const StateFlags& state) const;
  // The next step's first batch, on its way to a GPU.
  void look_ahead();
  NonFinite begin_report(const StepFigures& figures, const std::vector<data::Batch>& batches) const;
  void go_behind(int64_t batches, int64_t samples);
  void pass_over(const NonFinite& bad);

  std::unique_ptr<data::BatchOrder> order_;
  std::unique_ptr<data::Loader> loader_;
  std::optional<data::Batch> ahead_;  // has left the loader for a step to come
  DeviceFeed feed_;
  StepTable draws_;  // RandomKey::on_device
  std::optional<LossSum> losses_;
  Outcome outcome_;
  StepGraph graph_;
  int64_t steps_per_epoch_ = 1, total_steps_ = 1;
};

}  // namespace gfsa::train
