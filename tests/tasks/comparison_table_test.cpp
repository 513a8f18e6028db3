#include "tasks/comparison_table.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tasks/image_report.h"

namespace gfsa::tasks {
namespace {

using testing::HasSubstr;

std::vector<EvaluationReport> two_reports() {
  auto a = image_report({{0, 0, true, 0.5}, {1, 0, true, 1.5}}, {"x", "y"}, 2);
  a.name = "runs/softmax";
  a.model = "vit, depth 2";
  a.attention = "softmax";
  a.precision = "f32";
  a.split = "val";
  a.parameters = 1234567;
  a.epochs = 10;
  a.seconds = 0.5;
  auto b = image_report({{0, 0, true, 0.5}, {1, 1, true, 0.25}}, {"x", "y"}, 2);
  b.name = "a \"quoted\" name";
  b.attention = "gfsa, layers even";
  b.seconds = 4;
  return {a, b};
}

TEST(ComparisonTable, TextIsAligned) {
  const std::string text = comparison_text(two_reports());
  EXPECT_THAT(text, HasSubstr("run              model         attention          parameters  epochs    top-1"));
  EXPECT_THAT(text, HasSubstr("runs/softmax     vit, depth 2  softmax             1,234,567      10   50.00%  100.00%  "
                              "1.0000        4.0\n"));
  EXPECT_THAT(text, HasSubstr("gfsa, layers even           0       -  100.00%"));
  EXPECT_THAT(text, HasSubstr("up to 40.55 points"));  // of one hit in two
}

TEST(ComparisonTable, CsvQuotesAndLeavesUnknownsEmpty) {
  const std::string csv = comparison_csv(two_reports());
  EXPECT_THAT(csv, HasSubstr("runs/softmax,,,10,\"vit, depth 2\",softmax,1234567,f32,val,2,50,"));
  EXPECT_THAT(csv, HasSubstr("\n\"a \"\"quoted\"\" name\",,,,,\"gfsa, layers even\",0,"));
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 3);
}

TEST(ComparisonTable, RefusesReportsOfOtherFigures) {
  auto reports = two_reports();
  EXPECT_NO_THROW(require_comparable(reports));
  reports[1].figures.pop_back();
  try {
    require_comparable(reports);
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.message(), HasSubstr("cannot be compared: one has top1, top5, loss, the other top1, top5"));
  }
}

TEST(ComparisonTable, JsonIsAListOfReports) {
  const auto j = nlohmann::json::parse(comparison_json(two_reports()));
  ASSERT_EQ(j.size(), 2u);
  EXPECT_EQ(j[0]["top1"]["value"], 50.0);
  EXPECT_EQ(j[1]["attention"], "gfsa, layers even");
  EXPECT_FALSE(j[0].contains("confusion"));
}

}  // namespace
}  // namespace gfsa::tasks
