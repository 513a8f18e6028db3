// Runs grouped into variants, what is said about them, and what is not.
#include "tasks/seed_comparison.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tasks/seed_runs.h"
#include "tasks/tiny_run.h"

namespace gfsa::tasks {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

SeedRun run(int64_t seed, const std::string& attention, double top1, const std::string& k = "") {
  SeedRun r{"runs/" + attention + std::to_string(seed), seed, {}, {{"top1", top1}, {"loss", 1 / top1}}};
  r.values = {{"seed", std::to_string(seed), false},
              {"run_dir", r.name, true},
              {"train.epochs", std::to_string(seed + 1), true},
              {"attention.variant", attention, false},
              {"optimizer.lr", "0.001", false}};
  if (!k.empty()) r.values.push_back({"attention.K", k, false});
  return r;
}

std::vector<SeedRun> two_variants() {
  return {run(2, "gfsa", 80.1, "3"), run(0, "gfsa", 80.4, "3"), run(1, "gfsa", 80.2, "3"),
          run(0, "softmax", 79.5),   run(1, "softmax", 79.6),   run(2, "softmax", 79.7)};
}

TEST(SeedComparison, GroupsByEverythingButTheSeedAndWhatMayChange) {
  const auto runs = two_variants();
  const auto variants = group_by_config(runs);
  ASSERT_EQ(variants.size(), 2u);
  EXPECT_EQ(variants[0].name, "attention=gfsa");  // K is gfsa's alone and says nothing more
  EXPECT_EQ(variants[1].name, "attention=softmax");
  EXPECT_EQ(variants[0].metric(0), (std::vector<double>{80.4, 80.2, 80.1}));  // by seed
  EXPECT_TRUE(variants[0].seeds_differ());
}

TEST(SeedComparison, NamesVariantsByAllThatTellsThemApart) {
  const std::vector<SeedRun> runs{run(0, "gfsa", 1, "3"), run(0, "gfsa", 2, "4"), run(0, "softmax", 3)};
  const auto variants = group_by_config(runs);
  ASSERT_EQ(variants.size(), 3u);
  EXPECT_EQ(variants[0].name, "attention.K=3 attention=gfsa");
  EXPECT_EQ(variants[1].name, "attention.K=4 attention=gfsa");
  EXPECT_EQ(variants[2].name, "attention=softmax");
  const std::vector<SeedRun> alike{run(0, "gfsa", 1), run(1, "gfsa", 2)};
  EXPECT_EQ(group_by_config(alike)[0].name, "all runs");
}

TEST(SeedComparison, PairsWhereSeedsAreTheSameElseWelch) {
  auto runs = two_variants();
  auto tests = compare_variants(group_by_config(runs));
  ASSERT_EQ(tests.size(), 2u);  // one pair, two metrics
  EXPECT_EQ(tests[0].test, "paired t-test");
  EXPECT_EQ(tests[0].result->p, paired_test({80.4, 80.2, 80.1}, {79.5, 79.6, 79.7}).p);
  runs[4].seed = 7;
  tests = compare_variants(group_by_config(runs));
  EXPECT_EQ(tests[0].test, "Welch's t-test");
  EXPECT_EQ(tests[0].result->p, welch_test({80.4, 80.2, 80.1}, {79.5, 79.7, 79.6}).p);
  EXPECT_EQ(tests[1].metric, "loss");
}

TEST(SeedComparison, TextNamesTestAndAssumptions) {
  const auto runs = two_variants();
  const std::string text = variants_text(group_by_config(runs));
  EXPECT_THAT(text, AllOf(HasSubstr("attention=softmax  top1    3  79.6000  0.1000  [79.3516, 79.8484]  0,1,2"),
                          HasSubstr("attention=softmax - attention=gfsa  top1    paired t-test     -0.6333"),
                          HasSubstr("runs of one seed belong together"), HasSubstr("independent and normal"),
                          HasSubstr("p is not corrected for the 2 tests made"), Not(HasSubstr("Welch's"))));
}

TEST(SeedComparison, OneSeedCannotBeTestedAndSaysSo) {
  const std::vector<SeedRun> runs{run(0, "gfsa", 80), run(1, "gfsa", 81), run(0, "softmax", 79)};
  const auto variants = group_by_config(runs);
  const auto tests = compare_variants(variants);
  EXPECT_FALSE(tests[0].result);
  const std::string text = variants_text(variants);
  EXPECT_THAT(text,
              HasSubstr("not tested: attention=softmax has n = 1: nothing can be tested with fewer than 2 seeds"));
  EXPECT_THAT(text, Not(HasSubstr("t-test")));
}

TEST(SeedComparison, ARunThatStandsTwiceIsNoSample) {
  const std::vector<SeedRun> runs{run(0, "gfsa", 80), run(0, "gfsa", 80), run(0, "softmax", 79), run(1, "softmax", 78)};
  const auto variants = group_by_config(runs);
  EXPECT_FALSE(variants[0].seeds_differ());
  EXPECT_THAT(variants_text(variants), AllOf(HasSubstr("A seed stands twice"), HasSubstr("holds a seed twice")));
  EXPECT_TRUE(std::isnan(variants_chart(variants).groups[0].low));
}

TEST(SeedComparison, CsvHasALineAVariantAndALineATest) {
  const auto runs = two_variants();
  const std::string csv = variants_csv(group_by_config(runs));
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 4 + 2);
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < csv.size(); begin = csv.find('\n', begin) + 1) {
    lines.push_back(csv.substr(begin, csv.find('\n', begin) - begin));
    EXPECT_EQ(std::count(lines.back().begin(), lines.back().end(), ','), 14) << lines.back();
  }
  EXPECT_THAT(lines[1], testing::StartsWith("variant,top1,attention=gfsa,,3,80.2"));
  EXPECT_THAT(lines[5], testing::StartsWith("test,top1,attention=softmax,attention=gfsa,,,,"));
}

TEST(SeedComparison, AFolderOfSeedsStandsForAllOfThem) {
  const TemporaryFolder folder;
  Env& env = Env::real();
  for (const char* name : {"a/seed-10", "a/seed-2", "a/seed-x", "a/seeds", "b"}) env.create_directories(folder / name);
  EXPECT_EQ(expand_seed_folders({folder / "a", folder / "b", folder / "c"}, env),
            (std::vector<std::string>{folder / "a/seed-2", folder / "a/seed-10", folder / "b", folder / "c"}));
  EXPECT_TRUE(holds_seed_runs(folder / "a"));
  EXPECT_FALSE(holds_seed_runs(folder / "b"));
}

TEST(Seeds, AreReadStrictly) {
  EXPECT_EQ(parse_seeds("3"), std::vector<int64_t>{3});
  EXPECT_EQ(parse_seeds("0,12,5"), (std::vector<int64_t>{0, 12, 5}));
  EXPECT_THAT(refusal([] { parse_seeds("0,1,0"); }), HasSubstr("0 stands twice"));
  for (const char* text : {"", "0,", ",1", "-1", "1.5", "0, 1", "99999999999999999999"}) {
    EXPECT_THAT(refusal([&] { parse_seeds(text); }), HasSubstr("as in --seeds 0,1,2")) << text;
  }
}

}  // namespace
}  // namespace gfsa::tasks
