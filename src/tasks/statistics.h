// statistics.h -- means over repeated runs and tests between them. Student's t is Boost.Math's; tests/tasks compares
// with SciPy.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gfsa::tasks {

// Of independent values, taken as normally distributed: the 95% interval is mean +- t sd / sqrt(n) with Student's t of
// n - 1 degrees of freedom. One value has no sd and no interval: NaN.
struct Sample {
  int64_t n = 0;
  double mean = 0, sd = 0, low = 0, high = 0;
};
// At least one value.
Sample describe_sample(const std::vector<double>& values);

// Two-sided test of "the means are equal".
struct TTest {
  double difference = 0, low = 0, high = 0;  // second mean less first, its 95% interval
  double t = 0, degrees = 0, p = 0;          // all NaN where nothing varies
};
// Welch 1947: independent values, normal in each group, variances may differ; degrees of freedom after Satterthwaite.
// At least two values each.
TTest welch_test(const std::vector<double>& first, const std::vector<double>& second);
// Student 1908: value i of both belongs together; the differences are independent and normal. At least two pairs.
TTest paired_test(const std::vector<double>& first, const std::vector<double>& second);

}  // namespace gfsa::tasks
