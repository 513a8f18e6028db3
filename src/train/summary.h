// summary.h -- a run at a glance: summary.md, and curves.png with loss, metrics, learning rate, gradient norm and the
// learned filter coefficients.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/env.h"

namespace gfsa::train {

// Rows of summary.md's first table.
using Facts = std::vector<std::pair<std::string, std::string>>;

// From the run's metrics.jsonl. curves.png is left out where nothing has been logged yet.
void write_summary(Env& env, const std::string& run_dir, const Facts& facts);

}  // namespace gfsa::train
