// profile.h -- gfsa-train --profile N: where the time of a training step goes.
#pragma once

#include <string>

#include "base/env.h"
#include "train/run_config.h"

namespace gfsa::train {

// Trains as usual from the initial weights: two steps to warm up, then `steps` that are recorded, with the evaluations
// and checkpoints that are due among them. Writes run_dir/profile.json (profile_trace.h) and run_dir/profile.md
// (profile_report.h), prints the table, and ends. The run itself lives in run_dir/profile-run, which is removed, so
// that run_dir is as free for a run as before; a run that is there already is not touched.
//
// Steps are not recorded as graphs, and the host waits for the device around each op (core/profile.h). Bad input if the
// run has fewer steps. Returns the process's exit code.
int run_profile(RunConfig& config, int steps, Env& env = Env::real());

}  // namespace gfsa::train
