// run_directory.h -- what a run leaves behind:
//
//   config.yaml         every key with its value; loads to the same run
//   config.json, tokenizer.json   of language models
//   environment.json    versions, processor, commit, data fingerprint, when
//   metrics.jsonl       training figures, evaluations, learned coefficients (metrics.h)
//   tensorboard/        the same as TensorBoard events
//   lock                while a process is at work on it (run_lock.h)
//   checkpoints/        what the run can go on from (checkpoint/store.h)
//   summary.md, curves.png   written when the run ends or is interrupted (summary.h)
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/env.h"
#include "formats/append_log.h"
#include "formats/tensorboard.h"
#include "train/checkpoint/store.h"
#include "train/metrics.h"

namespace gfsa::train {

class RunDirectory {
 public:
  // Nothing is made or read before it is asked for.
  RunDirectory(Env& env, std::string path);

  const std::string& path() const { return path_; }
  bool holds_run() const;
  // Bad input if the folder holds a run, which would be overwritten; if it holds none, to go on with.
  void require_fresh() const;
  void require_run() const;
  // Bad input if the run began with other training data.
  void require_same_data(const Task& task) const;

  void write_config(const std::string& yaml);
  // What belongs beside the weights: with it and a checkpoint's model.safetensors other programs can load the model.
  void write_companions(const Companions& companions);
  // resumed: keeps when the run began, and adds when it went on.
  void write_environment(const Task& task, const std::string& device, bool resumed);

  // One line more of metrics.jsonl and its TensorBoard events. Logs are not the run: what cannot be written waits in
  // memory and is tried again with the next row, with one warning when that begins.
  void log(const MetricsRow& row);
  // Tries again what waits. Then the files that could still not be written, each with the reason.
  std::vector<std::string> unwritten();
  // Forgets what was logged after `position`, which the run goes on from, and writes the events anew. Killed in the
  // middle, it is done again with the same result.
  void rewind(const Position& position);

 private:
  TensorBoardWriter& tensorboard();
  AppendLog& metrics();

  Env& env_;
  std::string path_;
  std::unique_ptr<AppendLog> metrics_;
  std::unique_ptr<TensorBoardWriter> tensorboard_;
};

}  // namespace gfsa::train
