// seed_runs.h -- one configuration trained with several seeds, one run after the other: gfsa-train --seeds 0,1,2.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/env.h"

namespace gfsa::tasks {

struct SeedRequest {
  std::string config_file;             // found; "": that of a run in run_dir
  std::string run_dir;                 // "": the configuration's; seed N goes to run_dir/seed-N
  std::vector<std::string> overrides;  // "key.path=value"; seed and run_dir are not among them
  std::vector<int64_t> seeds;
  bool resume = false;   // runs must be there to go on with
  bool dry_run = false;  // of the first seed alone
};

// "0,1,2". Bad input for anything else: what is not a number of 0 or more, a seed that stands twice.
std::vector<int64_t> parse_seeds(const std::string& text);

// Whether `folder` holds no run itself but seed-N folders.
bool holds_seed_runs(const std::string& folder, Env& env = Env::real());

// Trains each seed: finished runs are left as they are, unfinished ones go on, the others start; then prints a table of
// all with mean and standard deviation. Returns the exit code: that of the first run that did not end by itself, whose
// successors are then not begun; the same call goes on with them. Bad input: a run that was made with another
// configuration.
int train_seeds(const SeedRequest& request, Env& env = Env::real());

}  // namespace gfsa::tasks
