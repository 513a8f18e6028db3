// Against scikit-learn's and SciPy's (tests/golden/text_metrics.json, made by scripts/golden/text_metrics.py).
#include "tasks/text_metrics.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

namespace gfsa::tasks {
namespace {

nlohmann::json golden() {
  return nlohmann::json::parse(std::ifstream(GFSA_SOURCE_DIR "/tests/golden/text_metrics.json"));
}

TEST(TextMetrics, OfClassesAreThoseOfScikitLearn) {
  int cases = 0;
  const auto all = golden();
  for (const auto& c : all["classes"]) {
    std::vector<ClassPair> pairs;
    for (size_t i = 0; i < c["truth"].size(); ++i) pairs.push_back({c["truth"][i], c["predicted"][i]});
    EXPECT_NEAR(accuracy(pairs), c["accuracy"].get<double>(), 1e-12) << c;
    EXPECT_NEAR(f1(pairs), c["f1"].get<double>(), 1e-12) << c;
    EXPECT_NEAR(macro_f1(pairs), c["macro_f1"].get<double>(), 1e-12) << c;
    EXPECT_NEAR(matthews(pairs), c["matthews"].get<double>(), 1e-12) << c;
    ++cases;
  }
  EXPECT_EQ(cases, 18);
}

TEST(TextMetrics, OfNumbersAreThoseOfSciPy) {
  int without = 0;
  const auto all = golden();
  for (const auto& c : all["pairs"]) {
    const auto x = c["x"].get<std::vector<double>>(), y = c["y"].get<std::vector<double>>();
    if (c["pearson"].is_null()) {
      EXPECT_TRUE(std::isnan(pearson(x, y))) << c;
      EXPECT_TRUE(std::isnan(spearman(x, y))) << c;
      EXPECT_EQ(regression_metric("pearson", x, y), 0);
      ++without;
      continue;
    }
    EXPECT_NEAR(pearson(x, y), c["pearson"].get<double>(), 1e-9) << c;
    EXPECT_NEAR(spearman(x, y), c["spearman"].get<double>(), 1e-12) << c;
  }
  EXPECT_EQ(without, 4);
}

TEST(TextMetrics, IntervalsHoldTheValue) {
  std::vector<ClassPair> pairs;
  std::vector<double> x, y;
  for (int i = 0; i < 200; ++i) {
    pairs.push_back({i % 2, (i % 10 == 0) != (i % 2 == 1)});
    x.push_back(i);
    y.push_back(i + 40 * (i % 3));
  }
  for (const auto& name : class_metrics()) {
    const auto e = class_figure(name, pairs).estimate;
    EXPECT_LT(e.low, e.value) << name;
    EXPECT_GT(e.high, e.value) << name;
    EXPECT_LT(e.high - e.low, 30) << name;
    EXPECT_EQ(e.low, class_figure(name, pairs).estimate.low);  // the same draws each time
  }
  // Fisher 1921: r = 0.5 of 103 values lies between tanh(0.5493 -+ 0.196).
  std::vector<double> a, b;
  for (int i = 0; i < 103; ++i) a.push_back(i % 2), b.push_back(i % 4 == 0 || i % 4 == 3);
  const auto f = regression_figure("pearson", a, b);
  const double z = std::atanh(f.estimate.value / 100);
  EXPECT_NEAR(f.estimate.low, 100 * std::tanh(z - 0.1959964), 1e-4);
  EXPECT_NEAR(f.estimate.high, 100 * std::tanh(z + 0.1959964), 1e-4);
  EXPECT_TRUE(std::isnan(regression_figure("spearman", {1, 2, 3}, {1, 2, 3}).estimate.low));
}

}  // namespace
}  // namespace gfsa::tasks
