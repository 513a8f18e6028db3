// run_directory.h -- what a run leaves behind besides checkpoints:
//
//   config.yaml         every key with its value; loads to the same run
//   environment.json    versions, processor, commit, data fingerprint, when
//   metrics.jsonl       one JSON object a line: training figures, evaluations, learned coefficients
//   tensorboard/        the same as TensorBoard events
//   summary.md, curves.png   written at the end, and when a run is interrupted
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/env.h"
#include "formats/tensorboard.h"
#include "train/task.h"

namespace gfsa::train {

class RunDirectory {
 public:
  RunDirectory(Env& env, std::string path);

  const std::string& path() const { return path_; }
  // Throws bad input if the folder holds a run already (it would be overwritten).
  void require_fresh() const;
  void write_config(const std::string& yaml);
  void write_environment(const Task& task, const std::string& device);
  // Forgets metrics after `step`: the run goes on from there.
  void rewind_metrics(int64_t step);

  // Training figures of a step; `kind` is "train" or "eval". Names become JSON keys and TensorBoard tags kind/name.
  void log(const std::string& kind, int64_t step, double epoch, const Metrics& figures);
  // Learned filter coefficients, a list a parameter.
  void log_coefficients(int64_t step, double epoch, const std::vector<std::pair<std::string, Tensor>>& coefficients);

  // From metrics.jsonl: summary.md and curves.png.
  void write_summary(const std::string& title, const std::vector<std::pair<std::string, std::string>>& facts);

 private:
  void append_line(const std::string& line);
  TensorBoardWriter& tensorboard();

  Env& env_;
  std::string path_;
  std::unique_ptr<TensorBoardWriter> tensorboard_;
};

// One line of metrics.jsonl, read back.
struct MetricsRow {
  std::string kind;
  int64_t step = 0;
  double epoch = 0;
  Metrics figures;
  std::vector<std::pair<std::string, std::vector<double>>> coefficients;
};
std::vector<MetricsRow> read_metrics(Env& env, const std::string& run_dir);

}  // namespace gfsa::train
