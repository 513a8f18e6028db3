#include "tasks/estimates.h"

#include <cmath>
#include <limits>

namespace gfsa::tasks {
namespace {

constexpr double kZ = 1.959963984540054;  // 97.5% point of the normal distribution
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

}  // namespace

train::Estimate wilson_interval(int64_t hits, int64_t count) {
  const auto n = static_cast<double>(count);
  const double p = static_cast<double>(hits) / n, z2 = kZ * kZ;
  const double center = (p + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kZ / (1 + z2 / n) * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
  // At p = 0 and p = 1 an end is p itself, but for rounding.
  return {100.0 * static_cast<double>(hits) / n, 100 * (hits == 0 ? 0 : center - half),
          100 * (hits == count ? 1 : center + half)};
}

train::Estimate mean_interval(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  double mean = 0, squares = 0;
  for (const double v : values) mean += v;
  mean /= n;
  if (values.size() < 2) return {mean, kNone, kNone};
  for (const double v : values) squares += (v - mean) * (v - mean);
  const double half = kZ * std::sqrt(squares / (n - 1) / n);
  return {mean, mean - half, mean + half};
}

}  // namespace gfsa::tasks
