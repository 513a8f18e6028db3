// trainer.h -- a run from its first step, or from its last checkpoint, to its end: steps, evaluations, checkpoints,
// signals, and what the run directory shows of them.
#pragma once

#include <functional>
#include <string>

#include "base/env.h"
#include "train/run_config.h"
#include "train/session.h"

namespace gfsa::train {

// Called ahead of each step, when what the one before entails (evaluation, checkpoint) is done. False: the run ends
// there.
using BeforeStep = std::function<bool(const Session&)>;

// Trains to the end, or until SIGINT or SIGTERM asks to stop. Returns the process's exit code. config_yaml is what
// config.yaml shall hold.
//
// A checkpoint that cannot be written ends no run, and the next one is tried when it is due; but if the last one, the
// summary or a log could not be written in the end, the exit code is 1.
//
// resume: goes on from the newest checkpoint in run_dir that is whole, bit for bit as if nothing had happened; damaged
// ones are set aside with a warning (CheckpointStore::load_newest). A run that has none yet starts again. Bad input
// that lists each difference if config or data are not those of the run. Without resume, a run_dir that holds a run is
// bad input.
//
// before_step, if given: watches a run that is not meant to be gone on with. Neither where it says so nor where a
// signal does is there a last checkpoint or a summary.
int run_training(RunConfig& config, const std::string& config_yaml, bool resume, Env& env = Env::real(),
                 const BeforeStep& before_step = {});

// Bad input unless the run in run_dir was made with the values of config, but for those that may change: each
// difference on a line of its own that begins with `option`, the argument that asked for the run.
void require_same_config(RunConfig& config, const std::string& run_dir, const char* option, Env& env);

}  // namespace gfsa::train
