// benchmark.h -- how long a training step takes, against what this machine's matrix products allow.
#pragma once

#include "train/run_config.h"

namespace gfsa::train {

// Runs `steps` optimizer steps on one batch after three that do not count, and prints one JSON object: step_ms
// (median, min, max), samples_per_second, flop_per_second, gemm_flop_per_second (this machine, this precision, measured
// around the steps), gemm_share, peak memory of tensors and of the process; on the CPU library_flop_per_second, that of
// oneDNN's products at the shapes of the step's own on operands that stay in the caches, and library_share, the step's
// rate over it; library_cold_ the same on operands as many as the step has.
int run_benchmark(RunConfig& config, int steps);

}  // namespace gfsa::train
