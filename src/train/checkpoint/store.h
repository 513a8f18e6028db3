// store.h -- what a run needs to go on, and nothing else, as a folder of files:
//
//   checkpoints/step-00001200/model.safetensors       weights by name (loads in timm or Python as it is)
//                             ema.safetensors         averaged weights by the same names, if the run keeps them
//                             optimizer.safetensors   the optimizer's state
//                             config.yaml             the run's configuration
//                             state.json              position, best figures
//                             config.json, tokenizer.json   of language models: with them, other programs can load it
//                             manifest.json           checksums of all of these (manifest.h); written last
//
// The folder is filled under a name that begins with a dot, every file synced, then renamed; before it is removed it is
// renamed back. So a folder with the final name is complete, whenever the process was killed. Random numbers need no
// state (core/philox.h); the data's order is a function of (seed, epoch).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/env.h"
#include "formats/tensor_file.h"
#include "train/checkpoint/state.h"

namespace gfsa::train {

struct Snapshot {
  Position position;
  NamedTensors model, optimizer, ema;  // ema may be empty
  std::string config;                  // resolved YAML
  Companions companions = {};          // files of the task's (a tokenizer)
};

// Bytes that a checkpoint of it takes, a little more rather than less.
uint64_t bytes_on_disk(const Snapshot& snapshot);

// Tensors read back, by name.
struct LoadedCheckpoint {
  std::string directory;
  Position position;
  std::map<std::string, Tensor> model, optimizer, ema;
  Companions companions;
};

class CheckpointStore {
 public:
  // run_dir/checkpoints.
  CheckpointStore(Env& env, std::string run_dir);

  // Writes it so that it is durable when this returns; gives the folder's path. When it throws, what it had written is
  // removed (as far as the file system lets it) and what was there before is as it was.
  std::string write(const Snapshot& snapshot);
  // Forgets all but the newest keep_last and those of the steps named.
  void prune(int64_t keep_last, const std::vector<int64_t>& keep_steps);

  // Tidies up after a process that was killed: a checkpoint that was complete but not yet renamed gets its name,
  // half-written and half-removed ones go. Only for the process that holds the run.
  void recover();
  // The newest that is whole. Newer ones that are damaged are renamed to damaged-step-XXXXXXXX, and said in a warning.
  // Nothing is renamed if none is whole: bad input that lists each; nor if one is of another version (OtherFormat).
  // Only for the process that holds the run, after recover(). There must be a checkpoint.
  LoadedCheckpoint load_newest();

  // The folder of that step, whether it exists or not.
  std::string path_of_step(int64_t step) const;
  // Folders with the names of complete checkpoints, oldest first.
  std::vector<std::string> list() const;
  // The newest; "" if there is none.
  std::string latest() const;
  // "; step-00001100 is whole" of the newest that is whole among those older than `directory`, or "".
  std::string advice_without(const std::string& directory) const;
  const std::string& folder() const { return folder_; }

  // Bad input that names the file, and the tensor where there is one, if something is missing or damaged.
  static LoadedCheckpoint load(Env& env, const std::string& directory);
  // Position alone.
  static Position load_position(Env& env, const std::string& directory);

 private:
  void fill(const std::string& folder, const Snapshot& snapshot);
  void give_name(const std::string& temporary, const std::string& name);
  void discard(const std::string& name);
  void set_aside(const std::string& path, const std::string& why);
  bool is_complete(const std::string& path) const;

  Env& env_;
  std::string folder_;
};

}  // namespace gfsa::train
