// dry_run.h -- everything a run will do, once, leaving nothing behind.
#pragma once

#include <string>

#include "train/run_config.h"

namespace gfsa::train {

// Prints the model table, memory, data sizes; runs one step, one evaluation batch, writes one checkpoint and removes
// it.
int dry_run(RunConfig& config);

// Writes a picture of the first augmented training batch.
int show_batch(RunConfig& config, const std::string& png_path);

}  // namespace gfsa::train
