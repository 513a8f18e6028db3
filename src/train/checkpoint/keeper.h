// keeper.h -- a run's checkpoints as the training loop sees them: what is saved, what is kept, what is said
// about it, what the run can return to.
#pragma once

#include <string>

#include "base/env.h"
#include "train/checkpoint/store.h"
#include "train/checkpoint/writer.h"
#include "train/progress.h"
#include "train/session.h"

namespace gfsa::train {

class CheckpointKeeper {
 public:
  // saved: the newest checkpoint is that of the session's position. All must outlive it.
  CheckpointKeeper(Env& env, const Session& session, std::string config_yaml, Progress& progress, bool saved);

  // Whether a checkpoint of the session's position exists or is being written.
  bool saved() const { return saved_; }
  // The position has changed.
  void outdated() { saved_ = false; }

  // A warning if the file system has no room for what this run will keep.
  void warn_if_short_of_space();
  // Begins a checkpoint of the session as it is; the one before is waited for. What goes wrong with writing is told
  // later and ends no run, but a tensor that is not finite does: Error (exit code 1).
  void write();
  // Tells of a checkpoint that has come to its end since.
  void report() { collect(false); }
  // Waits for the one being written and tells of it. Whether the last one is durable; if not, problem() says why.
  bool settle();
  const std::string& problem() const { return problem_; }
  // What a rollback returns to: the checkpoint of the position's rollback_step, or the newest one that is whole.
  LoadedCheckpoint load_for_rollback();

 private:
  void collect(bool wait);

  Env& env_;
  const Session& session_;
  std::string config_yaml_;
  Progress& progress_;
  CheckpointStore store_;
  CheckpointWriter writer_;
  bool saved_;
  std::string problem_;  // of the last one; "": it is durable
};

}  // namespace gfsa::train
