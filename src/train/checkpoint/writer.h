// writer.h -- checkpoints beside the training: the snapshot is copied on the training's thread, everything
// slow (hashing, writing, fsync) happens on another, one checkpoint at a time.
#pragma once

#include <cstdint>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "base/env.h"
#include "train/checkpoint/store.h"

namespace gfsa::train {

// How the writing of one checkpoint ended.
struct CheckpointOutcome {
  int64_t step = 0;
  std::string path;  // the folder, durable; "" if it was not written
  std::string
      problem;  // what went wrong: no checkpoint if path is "", else older ones could not be removed; "": nothing
};

class CheckpointWriter {
 public:
  // The store must outlive it, and is the writer's while a checkpoint is in flight.
  CheckpointWriter(Env& env, CheckpointStore& store, int64_t keep_last);
  // Waits.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // Copies the snapshot, whose tensors may change from then on, and begins to write it; afterwards older checkpoints
  // are pruned but for keep_steps. Nothing may be in flight: take(true) first.
  void begin(const Snapshot& snapshot, std::vector<int64_t> keep_steps);
  // The outcome of the one in flight once it has ended; with `wait`, its end is waited for. Nothing if none was begun.
  // Never throws for what went wrong with the checkpoint.
  std::optional<CheckpointOutcome> take(bool wait);

 private:
  CheckpointOutcome write(const std::vector<int64_t>& keep_steps);
  void require_space() const;

  Env& env_;
  CheckpointStore& store_;
  int64_t keep_last_;
  Snapshot copy_;  // its tensors' memory is used again
  std::future<CheckpointOutcome> in_flight_;
};

// "": there is room for the checkpoints that exist at once (`folders` of `bytes` each, some of them there already).
// Else what to warn of before the first step.
std::string space_warning(Env& env, const CheckpointStore& store, uint64_t bytes, int64_t folders);

}  // namespace gfsa::train
