// Real image training is exact: resume from any step, two runs, threads, accumulation. In one process, for speed.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/threads.h"
#include "config/reader.h"
#include "e2e/train_program.h"
#include "tasks/registry.h"
#include "train/session.h"

namespace gfsa {
namespace {

using train::LoadedCheckpoint;
using train::Session;

struct Configured {
  explicit Configured(const std::vector<std::string>& overrides) : config(tasks::task_registry()) {
    config::load_text(config, kTinyConfig, "text", overrides);
    train::apply_machine_settings(config);
  }
  train::RunConfig config;
};

LoadedCheckpoint copy_of(const Session& session) {
  const auto s = session.snapshot("");
  LoadedCheckpoint c;
  c.position = s.position;
  for (const auto& [name, t] : s.model) c.model[name] = t.clone();
  for (const auto& [name, t] : s.optimizer) c.optimizer[name] = t.clone();
  for (const auto& [name, t] : s.ema) c.ema[name] = t.clone();
  return c;
}

std::string bits(const std::map<std::string, Tensor>& tensors) {
  std::string out;
  for (const auto& [name, t] : tensors) out += name + std::string(static_cast<const char*>(t.raw()), t.bytes());
  return out;
}
std::string bits(const LoadedCheckpoint& c) { return bits(c.model) + bits(c.optimizer) + bits(c.ema); }

std::vector<double> losses(const std::vector<std::string>& overrides, int64_t steps) {
  Configured c(overrides);
  Session session(c.config);
  std::vector<double> out;
  for (int64_t i = 0; i < steps; ++i) out.push_back(session.step().loss);
  return out;
}

class ExactTraining : public testing::TestWithParam<std::string> {};

TEST_P(ExactTraining, ResumesFromEveryStepBitForBit) {
  const std::vector<std::string> overrides{"precision=" + GetParam()};
  Configured straight(overrides);
  Session session(straight.config);
  ASSERT_EQ(session.total_steps(), 24);
  std::vector<LoadedCheckpoint> stops{copy_of(session)};
  std::vector<double> expected;
  while (!session.finished()) {
    expected.push_back(session.step().loss);
    stops.push_back(copy_of(session));
  }
  for (size_t stop = 0; stop < stops.size(); ++stop) {
    Configured c(overrides);
    Session resumed(c.config, &stops[stop]);
    for (size_t i = stop; i < expected.size(); ++i) ASSERT_EQ(resumed.step().loss, expected[i]) << "from " << stop;
    EXPECT_EQ(bits(copy_of(resumed)), bits(stops.back())) << "from " << stop;
  }
}

TEST_P(ExactTraining, TwoRunsAreEqualWithAnyNumberOfDataWorkers) {
  const std::string precision = "precision=" + GetParam();
  const auto expected = losses({precision, "data.workers=0"}, 10);
  EXPECT_EQ(losses({precision, "data.workers=0"}, 10), expected);
  EXPECT_EQ(losses({precision, "data.workers=3"}, 10), expected);
}

INSTANTIATE_TEST_SUITE_P(all, ExactTraining, testing::Values("f32", "bf16"),
                         [](const auto& info) { return info.param; });

// The number of threads is part of "the same machine": matrix products by oneDNN may cut their sums otherwise, all
// else does not.
TEST(ExactTraining, ThreadsChangeLossesByRoundingOnly) {
  const auto one = losses({"threads=1"}, 6), two = losses({"threads=2"}, 6);
  for (size_t i = 0; i < one.size(); ++i) EXPECT_NEAR(one[i], two[i], 1e-5) << "step " << i;
}

// Pictures of one step as batches of this size; nothing that mixes the samples of a batch.
std::vector<double> gradient(int64_t batch, int64_t accumulate, int64_t steps = 1) {
  Configured c({fmt::format("train.batch_size={}", batch), fmt::format("train.accumulate={}", accumulate),
                "augment.mixup=0", "augment.cutmix=0", "augment.repeated=1", "optimizer.lr=1e-12"});
  Session session(c.config);
  for (int64_t i = 0; i < steps; ++i) session.step();
  return session.store.flat_grads().to_vector<double>();
}

double relative_distance(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) difference += (a[i] - b[i]) * (a[i] - b[i]), size += b[i] * b[i];
  return std::sqrt(difference / size);
}

TEST(Accumulation, IsOneLargeBatch) {
  const auto whole = gradient(32, 1);
  EXPECT_LT(relative_distance(gradient(8, 4), whole), 1e-6);
  EXPECT_LT(relative_distance(gradient(1, 32), whole), 1e-6);
}

TEST(Accumulation, ThePartialLastWindowIsOneSmallerBatch) {
  // 120 pictures: 3 steps of 32, then one of 24.
  EXPECT_LT(relative_distance(gradient(8, 4, 4), gradient(1, 32, 4)), 1e-6);
}

}  // namespace
}  // namespace gfsa
