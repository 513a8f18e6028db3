// The memory of a run does not grow: steps with evaluations and checkpoints, the resident set early against late.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <sstream>

#include "e2e/disturbed_run.h"
#include "support/sanitized.h"

namespace gfsa {
namespace {

// The run's resident set in KiB; 0 if it has ended.
int64_t resident_kib(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stoll(line.substr(6));
  }
  return 0;
}

int64_t median(std::vector<int64_t> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

class MemoryFlatTest : public TrainProgramTest {};

TEST_F(MemoryFlatTest, OverManyStepsWithEvaluationsAndCheckpoints) {
  if (test::kSanitizer != nullptr) {
    GTEST_SKIP() << "the resident set is " << test::kSanitizer << "'s: shadow, history, memory kept after it was freed";
  }
  const int64_t steps = soak(240, 2000), warm_up = soak(80, 200);
  test::Process process(
      command({"--config", "tiny.yaml", "run_dir=run", "train.epochs=null", fmt::format("train.steps={}", steps),
               "eval.every_steps=10", "checkpoint.every_steps=5", "model.depth=1", "data.train_size=480"}),
      options());
  std::vector<int64_t> early, late;
  int64_t step = 0;
  const std::string file = folder_ / "run/metrics.jsonl";
  for (std::streamoff done = 0; process.running(); sleep_seconds(0.002)) {
    std::ifstream metrics(file);
    metrics.seekg(done);
    for (std::string line; std::getline(metrics, line) && !metrics.eof(); done = metrics.tellg()) {
      if (const auto row = train::parse_metrics_row(line)) step = row->step;
    }
    const int64_t kib = resident_kib(process.id());
    if (kib == 0) continue;
    if (step >= warm_up && step < warm_up + steps / 10) early.push_back(kib);
    // Not the very end: the summary's drawing is made then.
    if (step >= steps - steps / 10 && step < steps - 1) late.push_back(kib);
  }
  const auto result = process.wait();
  ASSERT_EQ(result.exit_code, 0) << result.err;
  ASSERT_GE(early.size(), 5u);
  ASSERT_GE(late.size(), 5u);
  const auto before = static_cast<double>(median(early)), after = static_cast<double>(median(late));
  std::cout << fmt::format("resident after {} steps: {:.2f} MiB, after {}: {:.2f} MiB ({:+.2f}%)\n", warm_up,
                           before / 1024, steps, after / 1024, 100 * (after / before - 1));
  std::cout << "count: " << steps << " steps\n";
  EXPECT_LT(after, 1.01 * before);
}

}  // namespace
}  // namespace gfsa
