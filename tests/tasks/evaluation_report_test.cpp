#include "tasks/evaluation_report.h"

#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tasks/class_table.h"
#include "tasks/estimates.h"
#include "tasks/image_report.h"

namespace gfsa::tasks {
namespace {

using testing::HasSubstr;

TEST(WilsonInterval, IsThePublishedOne) {
  // Newcombe 1998 (Statist. Med. 17), table I, method 3: score without continuity correction, in proportions.
  const struct {
    int64_t hits, n;
    double low, high;
  } table[] = {{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0.0, 0.1611}, {1, 29, 0.0061, 0.1718}};
  for (const auto& row : table) {
    const train::Estimate e = wilson_interval(row.hits, row.n);
    EXPECT_NEAR(e.low, 100 * row.low, 0.0051) << row.hits << "/" << row.n;
    EXPECT_NEAR(e.high, 100 * row.high, 0.0051) << row.hits << "/" << row.n;
    EXPECT_DOUBLE_EQ(e.value, 100.0 * static_cast<double>(row.hits) / static_cast<double>(row.n));
  }
}

TEST(WilsonInterval, StaysBetweenZeroAndAHundred) {
  EXPECT_EQ(wilson_interval(0, 7).low, 0);
  EXPECT_EQ(wilson_interval(7, 7).high, 100);
  EXPECT_NEAR(wilson_interval(7, 7).low, 100 - wilson_interval(0, 7).high, 1e-9);
}

TEST(MeanInterval, IsTheNormalOne) {
  const train::Estimate e = mean_interval({1, 2, 3, 4});
  EXPECT_DOUBLE_EQ(e.value, 2.5);
  EXPECT_NEAR(e.high - e.value, 1.959963985 * std::sqrt(5.0 / 3.0 / 4.0), 1e-8);
  EXPECT_NEAR(e.value - e.low, e.high - e.value, 1e-12);
  EXPECT_TRUE(std::isnan(mean_interval({1}).low));
}

// label, predicted, in_top5, loss
const std::vector<ImageEvaluation::Sample> kSamples{{0, 0, true, 0.5}, {0, 1, true, 1.5},  {0, 2, false, 2.5},
                                                    {0, 1, true, 1.5}, {1, 1, true, 0.25}, {3, 0, false, 4}};

TEST(Summarize, CountsEveryClass) {
  const auto r = image_report(kSamples, {"a", "b", "c"}, 4);
  const auto& table = dynamic_cast<const ClassTable&>(*r.details);
  EXPECT_EQ(r.samples, 6);
  ASSERT_EQ(r.figures.size(), 3u);
  EXPECT_DOUBLE_EQ(r.figures[0].estimate.value, 100.0 * 2 / 6);
  EXPECT_DOUBLE_EQ(r.figures[1].estimate.value, 100.0 * 4 / 6);
  EXPECT_DOUBLE_EQ(r.figures[2].estimate.value, 10.25 / 6);
  const auto& classes = table.classes();
  EXPECT_EQ(classes[0].samples, 4);
  EXPECT_EQ(classes[0].hits, 1);
  EXPECT_EQ(classes[0].mistake, 1);
  EXPECT_EQ(classes[0].mistake_count, 2);
  EXPECT_EQ(classes[1].mistake, -1);
  EXPECT_EQ(classes[2].samples, 0);
  EXPECT_EQ(classes[3].name, "class 3");
  EXPECT_EQ(classes[3].mistake, 0);
  EXPECT_EQ(table.confusion(), (std::vector<int64_t>{1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}));
}

TEST(ClassTable, TheFirstOfEquallyFrequentMistakesIsTold) {
  EXPECT_EQ(ClassTable({{0, 2}, {0, 1}}, {"a", "b", "c"}, 3, {"top1", "top-1"}).classes()[0].mistake, 1);
}

TEST(EvaluationReport, TextTellsIntervalsAndMistakes) {
  auto r = image_report(kSamples, {"a", "b", "c"}, 4);
  r.name = "runs/x";
  r.seconds = 2;
  const std::string text = to_text(r);
  EXPECT_THAT(text, HasSubstr("95% interval (top-1, top-5: Wilson; loss: normal)"));
  EXPECT_THAT(text, HasSubstr("33.33%   [9.68, 70.00]%"));
  EXPECT_THAT(text, HasSubstr("a               4    25.00%  b (2, 50.0%)\n"));
  EXPECT_THAT(text, HasSubstr("c               0         -  -\n"));
}

TEST(EvaluationReport, JsonHoldsTheSameFigures) {
  auto r = image_report(kSamples, {"a", "b", "c"}, 4);
  r.name = "runs/x";
  r.seconds = 2;
  const auto j = nlohmann::json::parse(to_json(r));
  EXPECT_EQ(j["run"], "runs/x");
  EXPECT_EQ(j["step"], nullptr);
  EXPECT_EQ(j["samples_per_second"], 3.0);
  EXPECT_EQ(j["top1"]["value"].get<double>(), r.figures[0].estimate.value);
  EXPECT_EQ(j["loss"]["high"].get<double>(), r.figures[2].estimate.high);
  EXPECT_EQ(j["classes"][0]["mistake"], "b");
  EXPECT_EQ(j["classes"][2]["top1"], nullptr);
  EXPECT_EQ(j["confusion"][0], (std::vector<int64_t>{1, 2, 1, 0}));
}

TEST(EvaluationReport, ConfusionIsInPercentOfTheTrueClass) {
  const auto report = image_report(kSamples, {"a", "b", "c"}, 4);
  const auto map = dynamic_cast<const ClassTable&>(*report.details).confusion_map("");
  EXPECT_EQ(map.rows, 4);
  EXPECT_EQ(map.values[0], 25);
  EXPECT_EQ(map.values[1], 50);
  EXPECT_EQ(map.values[5], 100);
  EXPECT_TRUE(std::isnan(map.values[8]));
  EXPECT_EQ(map.row_names[3], "class 3");
}

}  // namespace
}  // namespace gfsa::tasks
