// Real image training is exact: resume from any step, two runs, threads, accumulation. In one process, for speed.
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <cstring>

#include "autograd/observer.h"
#include "base/threads.h"
#include "config/printer.h"
#include "config/reader.h"
#include "e2e/train_program.h"
#include "support/temporary_folder.h"
#include "tasks/registry.h"
#include "train/session.h"
#include "train/trainer.h"

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

class ExactTrainingIn : public testing::TestWithParam<std::string> {};

// A run from each stop need not be made to its end: where one more step gives the same bits of everything that a
// checkpoint holds, the next stop takes over. 60 steps are 7 and a half epochs of 8 steps, the last of one batch.
TEST_P(ExactTrainingIn, ResumesFromEveryStepBitForBit) {
  const std::vector<std::string> overrides{"precision=" + GetParam(), "train.epochs=null", "train.steps=60"};
  Configured straight(overrides);
  Session session(straight.config);
  ASSERT_EQ(session.total_steps(), 60);
  ASSERT_EQ(session.steps_per_epoch(), 8);
  std::vector<LoadedCheckpoint> stops{copy_of(session)};
  std::vector<double> expected;
  while (!session.finished()) {
    expected.push_back(session.step().loss);
    stops.push_back(copy_of(session));
  }
  for (size_t stop = 0; stop < stops.size(); ++stop) {
    Configured c(overrides);
    Session resumed(c.config, &stops[stop]);
    const size_t end = stop % 29 == 0 ? expected.size() : std::min(stop + 1, expected.size());
    for (size_t i = stop; i < end; ++i) ASSERT_EQ(resumed.step().loss, expected[i]) << "from " << stop;
    EXPECT_EQ(bits(copy_of(resumed)), bits(stops[end])) << "from " << stop;
    EXPECT_EQ(resumed.position.samples, stops[end].position.samples);
  }
}

// Asks the run to stop at the n-th loss that is computed, which is between a step's batches, or in the n-th batch that
// is evaluated.
struct StopAt : TapeObserver {
  StopAt(bool evaluation, int count) : evaluation(evaluation), left(count) {}
  bool evaluation;
  int left;
  void forward(const char* op, const Tensor&, const std::vector<Tensor>&) override {
    const std::string here = evaluation && !grad_enabled() ? "patch_embed" : "cross_entropy";
    if (op == here && grad_enabled() != evaluation && --left == 0) std::raise(SIGTERM);
  }
  void backward(const char*, size_t, const GradSlot&) override {}
};

// The whole program's way: stopped in each of its steps in turn, between its batches or inside its evaluations, each
// time going on from what the run directory holds.
TEST(ExactTraining, ARunThatIsStoppedInEveryStepEndsAsIfUndisturbed) {
  const auto folder = test::TemporaryFolder::in_memory();
  const auto train = [&](const std::string& name, bool resume) {
    Configured c({"train.epochs=null", "train.steps=9", "eval.every_steps=4", "checkpoint.keep_last=1",
                  "run_dir=" + (folder / name)});
    return train::run_training(c.config, config::print_config(c.config), resume);
  };
  const auto load = [&](const std::string& name) {
    return train::CheckpointStore::load(Env::real(), train::CheckpointStore(Env::real(), folder / name).latest());
  };
  ASSERT_EQ(train("straight", false), kExitDone);
  // A run measures its memory before the first step, which computes losses too: this many come before those of steps.
  int before = 0, steps_with_a_stop = 0, evaluations_with_a_stop = 0;
  int64_t step = 0;
  bool evaluation = false;
  for (int stops = 0, code = kExitTerminated; code != kExitDone; ++stops) {
    ASSERT_LT(stops, 50);
    StopAt stop(evaluation, evaluation ? 2 : before + 1);
    {
      const ObserveTape observe(stop);
      code = train("stopped", stops > 0);
    }
    ASSERT_TRUE(code == kExitTerminated || code == kExitDone);
    const auto p = load("stopped").position;
    if (p.step == step && !evaluation) ++before;
    steps_with_a_stop += p.step == step + 1 && code == kExitTerminated;
    evaluations_with_a_stop += evaluation && p.evaluated_step != p.step && code == kExitTerminated;
    // Where an evaluation comes next, it is stopped once, and made at the second try.
    evaluation = !evaluation && p.evaluated_step != p.step && (p.step % 4 == 0 || p.step >= 8) && p.step > 0;
    step = p.step;
  }
  EXPECT_GE(steps_with_a_stop, 8);
  EXPECT_GE(evaluations_with_a_stop, 2);
  EXPECT_EQ(bits(load("stopped")), bits(load("straight")));
  EXPECT_EQ(load("stopped").position.last_eval, load("straight").position.last_eval);
  const auto losses_of = [&](const std::string& name) {
    std::vector<std::pair<int64_t, double>> out;
    for (const auto& row : train::read_metrics(Env::real(), folder / name)) {
      if (row.kind == "train") out.emplace_back(row.step, row.figures.at(0).second);
    }
    return out;
  };
  EXPECT_EQ(losses_of("stopped"), losses_of("straight"));
  EXPECT_EQ(losses_of("straight").size(), 9u);
}

TEST_P(ExactTrainingIn, TwoRunsAreEqualWithAnyNumberOfDataWorkers) {
  const std::string precision = "precision=" + GetParam();
  const auto expected = losses({precision, "data.workers=0"}, 10);
  EXPECT_EQ(losses({precision, "data.workers=0"}, 10), expected);
  EXPECT_EQ(losses({precision, "data.workers=3"}, 10), expected);
}

INSTANTIATE_TEST_SUITE_P(all, ExactTrainingIn, testing::Values("f32", "bf16"),
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

// The gradient of the first `samples` of a batch, in batches of `size`. soft: probabilities of each sample's own,
// as mixing gives, but whatever the batches.
std::vector<double> gradient_in_parts(int64_t samples, int64_t size, bool soft) {
  Configured c({"train.batch_size=32", "train.accumulate=1", "augment.mixup=0", "augment.cutmix=0",
                "augment.repeated=1", "augment.label_smoothing=0.1", "optimizer.lr=1e-12"});
  Session session(c.config);
  auto whole = session.next_batches().at(0);
  const Tensor& hard = whole.at("targets");
  if (soft) {
    const Tensor targets = Tensor::empty(hard.shape(), DType::f32);
    for (int64_t i = 0; i < 32; ++i) {
      float* row = targets.data<float>() + i * hard.dim(1);
      float sum = 0;
      for (int64_t k = 0; k < hard.dim(1); ++k) sum += row[k] = static_cast<float>((i * 31 + k * 17) % 23 + 1);
      for (int64_t k = 0; k < hard.dim(1); ++k) row[k] /= sum;
    }
    whole.set("targets", targets);
  }
  std::vector<data::Batch> parts;
  for (int64_t begin = 0; begin < samples; begin += size) {
    data::Batch part;
    part.size = std::min(size, samples - begin);
    for (const auto& [name, t] : whole.tensors) part.set(name, t.slice(0, begin, begin + part.size).contiguous());
    parts.push_back(part);
  }
  session.step_on(parts);
  return session.store.flat_grads().to_vector<double>();
}

TEST(Accumulation, OneBatchOf32Is32BatchesOfOneWithSmoothedAndWithSoftLabels) {
  for (const bool soft : {false, true}) {
    for (const int64_t samples : {32, 19}) {  // 19: a window that is cut short
      const auto whole = gradient_in_parts(samples, samples, soft);
      for (const int64_t size : {1, 4, 7}) {
        EXPECT_LT(relative_distance(gradient_in_parts(samples, size, soft), whole), 1e-6) << samples << " by " << size;
      }
    }
  }
  EXPECT_GT(relative_distance(gradient_in_parts(32, 32, true), gradient_in_parts(32, 32, false)), 0.01);
}

}  // namespace
}  // namespace gfsa
