// checkpoint.h -- what a run needs to go on, and nothing else, as a folder of files:
//
//   checkpoints/step-00001200/model.safetensors       weights by name (loads in timm or Python as it is)
//                             ema.safetensors         averaged weights by the same names, if the run keeps them
//                             optimizer.safetensors   the optimizer's state
//                             config.yaml             the run's configuration
//                             state.json              position, best figures, versions; written last
//
// The folder is filled under a name that begins with a dot, every file synced, then renamed; before it is removed it is
// renamed back. So a folder with the final name is complete, whenever the process was killed. Random numbers need no
// state (core/philox.h); the data's order is a function of (seed, epoch).
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
  int64_t step = 0;     // optimizer steps done
  int64_t epoch = 0;    // the epoch of the next batch
  int64_t batch = 0;    // the next batch within the epoch
  int64_t samples = 0;  // seen in training so far
  double train_seconds = 0;
  std::optional<double> best;  // of the primary metric
  int64_t best_step = -1;
  int64_t evaluated_step = -1;  // of last_eval
  Metrics last_eval;

  // Takes the primary metric (name, whether more is better) of this step's evaluation as the best, if it is finite and
  // better than that of every evaluation before; returns whether it is.
  bool note_if_best(const Metrics& metrics, const std::pair<std::string, bool>& primary);
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
  // Tidies up after a process that was killed: a checkpoint that was complete but not yet renamed gets its name,
  // half-written and half-removed ones go. Only for the process that goes on with the run.
  void recover();
  // Folders of complete checkpoints, oldest first.
  std::vector<std::string> list() const;
  // The newest; "" if there is none.
  std::string latest() const;

  // Bad input that names the file, and the tensor where there is one, if something is missing or damaged.
  static LoadedCheckpoint load(Env& env, const std::string& directory);
  // Position alone.
  static Position load_position(Env& env, const std::string& directory);

 private:
  void discard(const std::string& name);

  Env& env_;
  std::string folder_;
};

}  // namespace gfsa::train
