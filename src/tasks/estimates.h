// estimates.h -- 95% intervals (z = 1.95996) of what an evaluation found on a finite number of samples:
//   proportions (accuracy)   Wilson's score interval (Wilson 1927, JASA 22): never below 0 or above 100%, and right
//                            for few samples and for accuracies near 0 or 1, where p +- z sqrt(p (1 - p) / n) is not
//   means (loss)             normal: mean +- z s / sqrt(n), s the samples' standard deviation (n - 1)
#pragma once

#include <cstdint>
#include <vector>

#include "train/evaluation.h"

namespace gfsa::tasks {

// In percent. n >= 1.
train::Estimate wilson_interval(int64_t hits, int64_t n);
// At least one value; of one value, low and high are NaN.
train::Estimate mean_interval(const std::vector<double>& values);

}  // namespace gfsa::tasks
