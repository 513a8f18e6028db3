#include "tasks/statistics.h"

#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace gfsa::tasks {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

// With n - 1.
double variance_of(const std::vector<double>& values) {
  const double mean = mean_of(values);
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  return squares / static_cast<double>(values.size() - 1);
}

// The half width of a 95% interval in standard errors.
double t_quantile(double degrees) { return boost::math::quantile(boost::math::students_t(degrees), 0.975); }

TTest test_of(double difference, double error, double degrees) {
  // Equal values but for rounding: there is nothing to compare the difference with.
  if (!(error > 1e-14 * std::abs(difference)) || !std::isfinite(difference)) {
    return {difference, kNone, kNone, kNone, kNone, kNone};
  }
  TTest test;
  test.difference = difference;
  test.degrees = degrees;
  test.t = difference / error;
  const boost::math::students_t distribution(degrees);
  test.p = 2 * boost::math::cdf(boost::math::complement(distribution, std::abs(test.t)));
  const double half = t_quantile(degrees) * error;
  test.low = difference - half;
  test.high = difference + half;
  return test;
}

void require_two(size_t n) {
  if (n < 2) fail("a test between {} values: expected at least 2", n);
}

}  // namespace

Sample describe_sample(const std::vector<double>& values) {
  if (values.empty()) fail("statistics of no values");
  Sample s{static_cast<int64_t>(values.size()), mean_of(values), kNone, kNone, kNone};
  if (s.n < 2) return s;
  s.sd = std::sqrt(variance_of(values));
  if (!std::isfinite(s.sd)) return s;
  const double half = t_quantile(static_cast<double>(s.n - 1)) * s.sd / std::sqrt(static_cast<double>(s.n));
  s.low = s.mean - half;
  s.high = s.mean + half;
  return s;
}

TTest welch_test(const std::vector<double>& first, const std::vector<double>& second) {
  require_two(first.size());
  require_two(second.size());
  const auto n1 = static_cast<double>(first.size()), n2 = static_cast<double>(second.size());
  const double e1 = variance_of(first) / n1, e2 = variance_of(second) / n2;
  const double degrees = (e1 + e2) * (e1 + e2) / (e1 * e1 / (n1 - 1) + e2 * e2 / (n2 - 1));
  return test_of(mean_of(second) - mean_of(first), std::sqrt(e1 + e2), degrees);
}

TTest paired_test(const std::vector<double>& first, const std::vector<double>& second) {
  require_two(first.size());
  if (first.size() != second.size()) fail("a paired test of {} and {} values", first.size(), second.size());
  std::vector<double> differences;
  for (size_t i = 0; i < first.size(); ++i) differences.push_back(second[i] - first[i]);
  const auto n = static_cast<double>(first.size());
  return test_of(mean_of(differences), std::sqrt(variance_of(differences) / n), n - 1);
}

}  // namespace gfsa::tasks
