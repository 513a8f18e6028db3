// checkpoint.h -- what a run needs to go on, and nothing else, as a folder of files:
//
//   checkpoints/step-00001200/model.safetensors       weights by name (loads in timm or Python as it is)
//                             ema.safetensors         averaged weights by the same names, if the run keeps them
//                             optimizer.safetensors   the optimizer's state
//                             state.json              position, best figures, versions; written last
//
// The folder is filled under a temporary name, every file synced, then renamed: a folder with the final name is complete.
// Random numbers need no state (core/philox.h); the data's order is a function of (seed, epoch).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/env.h"
#include "formats/tensor_file.h"
#include "train/task.h"

namespace gfsa::train {

// Where a run stands, between two optimizer steps.
struct Position {
  int64_t step = 0;   // optimizer steps done
  int64_t epoch = 0;  // the epoch of the next batch
  int64_t batch = 0;  // the next batch within the epoch
  int64_t samples = 0;  // seen in training so far
  double train_seconds = 0;
  std::optional<double> best;  // of the primary metric
  int64_t best_step = -1;
  Metrics last_eval;
};

struct Snapshot {
  Position position;
  NamedTensors model, optimizer, ema;  // ema may be empty
  std::string config;                  // resolved YAML
};

// Tensors read back, by name.
struct LoadedCheckpoint {
  std::string directory;
  Position position;
  std::map<std::string, Tensor> model, optimizer, ema;
};

class CheckpointStore {
 public:
  // run_dir/checkpoints.
  CheckpointStore(Env& env, std::string run_dir);

  // Writes, then forgets all but the newest keep_last (and the best, if keep_best). Returns the folder's path.
  std::string save(const Snapshot& snapshot, int64_t keep_last, bool keep_best);
  // Folders of complete checkpoints, oldest first.
  std::vector<std::string> list() const;
  // The newest; "" if there is none.
  std::string latest() const;

  static LoadedCheckpoint load(Env& env, const std::string& directory);
  // Position alone.
  static Position load_position(Env& env, const std::string& directory);

 private:
  Env& env_;
  std::string folder_;
};

}  // namespace gfsa::train
