// Means, intervals and tests against SciPy's (tests/golden/statistics.json, made by scripts/golden/statistics.py).
#include "tasks/statistics.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace gfsa::tasks {
namespace {

void expect_near(double value, const nlohmann::json& golden, const std::string& what) {
  const double expected = golden.get<double>();
  EXPECT_NEAR(value, expected, 1e-9 * std::max(1.0, std::abs(expected))) << what;
}

void expect_same(const TTest& test, const nlohmann::json& golden, const std::string& what) {
  expect_near(test.t, golden["t"], what);
  expect_near(test.degrees, golden["degrees"], what);
  expect_near(test.low, golden["low"], what);
  expect_near(test.high, golden["high"], what);
  EXPECT_NEAR(test.p, golden["p"].get<double>(), 1e-8 * golden["p"].get<double>()) << what;
}

TEST(Statistics, AreThoseOfSciPy) {
  const auto golden = nlohmann::json::parse(std::ifstream(GFSA_SOURCE_DIR "/tests/golden/statistics.json"));
  int paired = 0;
  for (const auto& c : golden["cases"]) {
    const auto first = c["first"].get<std::vector<double>>(), second = c["second"].get<std::vector<double>>();
    const std::string what = c["first"].dump() + " " + c["second"].dump();
    const Sample s = describe_sample(first);
    EXPECT_EQ(s.n, static_cast<int64_t>(first.size()));
    expect_near(s.mean, c["describe"]["mean"], what);
    expect_near(s.sd, c["describe"]["sd"], what);
    expect_near(s.low, c["describe"]["low"], what);
    expect_near(s.high, c["describe"]["high"], what);
    expect_same(welch_test(first, second), c["welch"], "Welch " + what);
    if (!c.contains("paired")) continue;
    ++paired;
    expect_same(paired_test(first, second), c["paired"], "paired " + what);
  }
  EXPECT_EQ(golden["cases"].size(), 7u);
  EXPECT_EQ(paired, 5);
}

TEST(Statistics, OfOneValueThereIsNoSpread) {
  const Sample s = describe_sample({3});
  EXPECT_EQ(s.n, 1);
  EXPECT_EQ(s.mean, 3);
  EXPECT_TRUE(std::isnan(s.sd) && std::isnan(s.low) && std::isnan(s.high));
  EXPECT_THROW(describe_sample({}), Error);
}

TEST(Statistics, WhereNothingVariesThereIsNoTest) {
  const TTest same = paired_test({1, 2, 3}, {1.5, 2.5, 3.5});
  EXPECT_EQ(same.difference, 0.5);
  EXPECT_TRUE(std::isnan(same.p) && std::isnan(same.t) && std::isnan(same.low));
  EXPECT_TRUE(std::isnan(welch_test({1, 1}, {2, 2, 2}).p));
  EXPECT_TRUE(std::isnan(paired_test({0.1, 0.2, 0.7}, {0.2, 0.3, 0.8}).p));  // equal but for rounding
}

TEST(Statistics, TestsNeedTwoValues) {
  EXPECT_THROW(welch_test({1}, {1, 2}), Error);
  EXPECT_THROW(welch_test({1, 2}, {1}), Error);
  EXPECT_THROW(paired_test({1}, {1}), Error);
  EXPECT_THROW(paired_test({1, 2}, {1, 2, 3}), Error);
}

TEST(Statistics, TheDifferenceIsSecondLessFirst) {
  EXPECT_DOUBLE_EQ(welch_test({1, 2, 3}, {4, 5, 7}).difference, 16.0 / 3 - 2);
  EXPECT_GT(welch_test({1, 2, 3}, {4, 5, 7}).t, 0);
  EXPECT_LT(paired_test({4, 5, 7}, {1, 2, 3}).t, 0);
}

}  // namespace
}  // namespace gfsa::tasks
