// seed_comparison.h -- several runs that differ in their seeds, and variants of them: mean, spread and whether a
// difference between variants could be chance.
//
// A variant is a set of runs whose configurations are the same but for seed, run_dir and the keys that a run that goes
// on may change. It is named by what sets it apart from the other variants: "attention=gfsa".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/env.h"
#include "config/printer.h"
#include "formats/plot.h"
#include "tasks/evaluation_report.h"
#include "tasks/statistics.h"
#include "train/task.h"

namespace gfsa::tasks {

// One run's figures. values: its configuration (config::config_values).
struct SeedRun {
  std::string name;
  int64_t seed = 0;
  std::vector<config::ConfigValue> values;
  train::Metrics metrics;  // of all runs the same names in the same order; the first is the primary one
};

struct RunVariant {
  std::string name;
  std::vector<const SeedRun*> runs;  // by seed
  // Two runs of one seed are one run twice: no statistics are made of them.
  bool seeds_differ() const;
  std::vector<double> metric(size_t index) const;
};
// In the order of their first runs.
std::vector<RunVariant> group_by_config(const std::vector<SeedRun>& runs);

// Between two variants, by one metric.
struct VariantTest {
  std::string metric, first, second, test;  // test: "paired t-test", "Welch's t-test"; "": none
  std::string why_not;                      // where nothing can be tested
  std::optional<TTest> result;
};
// All pairs of variants, all metrics. Paired where both have the same seeds, otherwise Welch's.
std::vector<VariantTest> compare_variants(const std::vector<RunVariant>& variants);

// Tables for a terminal.
std::string variants_text(const std::vector<RunVariant>& variants);
// A line a variant and metric, then a line a test; the columns of the other kind are empty.
std::string variants_csv(const std::vector<RunVariant>& variants);
// The primary metric: a dot a run, the mean and its 95% interval.
PointChart variants_chart(const std::vector<RunVariant>& variants);

// Beside `path` ("table.csv"): table_variants.csv and table_variants.png.
void save_variants(Env& env, const std::string& path, const std::vector<RunVariant>& variants);

// What gfsa-eval compares of an evaluated model: its figures.
SeedRun seed_run_of(TrainedModel& trained, const EvaluationReport& report);

// A word that names a folder with seed-0, seed-1, ... stands for all of them, in order of the number; any other for
// itself.
std::vector<std::string> expand_seed_folders(const std::vector<std::string>& words, Env& env);
// The numbers of the folders seed-N in `folder`, sorted.
std::vector<int64_t> seeds_in(const std::string& folder, Env& env);

}  // namespace gfsa::tasks
