// verify.h -- whether a run directory is whole: `gfsa-eval --verify RUN`.
#pragma once

#include <string>
#include <vector>

#include "base/env.h"
#include "config/registry.h"
#include "train/task.h"

namespace gfsa::train {

// One thing that was looked at.
struct VerifyRow {
  enum class State {
    kGood,
    kBad,
    kLeft,  // what a killed process left, or a damaged checkpoint that is set aside: not part of the run
  };
  std::string what;  // "config.yaml", "checkpoints/step-00001200"
  State state;
  std::string detail;  // of kBad: the message that names file, and tensor or section
};

// Reads everything: config.yaml, environment.json, each line of metrics.jsonl, every byte of every checkpoint. Changes
// nothing. Bad input if run_dir is no run.
std::vector<VerifyRow> verify_run(Env& env, const config::Registry<Task>& tasks, const std::string& run_dir);

bool all_good(const std::vector<VerifyRow>& rows);
// A line for each row, and one that sums up.
std::string to_text(const std::vector<VerifyRow>& rows);

}  // namespace gfsa::train
