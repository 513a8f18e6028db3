// Steps: going on from any of them, accumulation, runs that are equal, values that are not finite.
#include "train/session.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/threads.h"
#include "train/fake_task.h"

namespace gfsa::train {
namespace {

using testing::HasSubstr;

struct History {
  std::vector<double> losses;
  LoadedCheckpoint end;
};

void expect_same(const std::map<std::string, Tensor>& a, const std::map<std::string, Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) EXPECT_TRUE(same_bits(tensor, b.at(name))) << name;
}

void expect_same(const History& a, const History& b) {
  EXPECT_EQ(a.losses, b.losses);
  expect_same(a.end.model, b.end.model);
  expect_same(a.end.optimizer, b.end.optimizer);
  expect_same(a.end.ema, b.end.ema);
  EXPECT_EQ(a.end.position.step, b.end.position.step);
  EXPECT_EQ(a.end.position.samples, b.end.position.samples);
}

// The first `steps` steps (all: -1), from a checkpoint if there is one.
History run(const std::vector<std::string>& overrides, int64_t steps = -1, const History* before = nullptr) {
  const auto config = fake_config(overrides);
  Session session(*config, before != nullptr ? &before->end : nullptr);
  History h;
  if (before != nullptr) h.losses = before->losses;
  for (int64_t i = 0; i != steps && !session.finished(); ++i) h.losses.push_back(session.step().loss);
  h.end = copy_of(session.snapshot(""));
  return h;
}

TEST(Session, CountsStepsOfEpochsThatDoNotDivide) {
  const auto config = fake_config();
  Session session(*config);
  EXPECT_EQ(session.steps_per_epoch(), 3);
  EXPECT_EQ(session.total_steps(), 12);
  std::vector<int64_t> samples;
  for (int i = 0; i < 4; ++i) samples.push_back(session.step().samples);
  EXPECT_EQ(samples, (std::vector<int64_t>{16, 16, 8, 16}));
  EXPECT_EQ(session.position.epoch, 1);
  EXPECT_EQ(session.position.batch, 2);
  EXPECT_EQ(session.position.samples, 56);
}

TEST(Session, GoesOnFromEveryStepBitForBit) {
  for (const std::string optimizer : {"adamw", "lamb", "adafactor"}) {
    const std::vector<std::string> overrides{"optimizer.name=" + optimizer, "soft=true", "train.epochs=7"};
    const History straight = run(overrides);
    ASSERT_EQ(straight.losses.size(), 21u);
    EXPECT_LT(straight.losses.back(), straight.losses.front());
    for (int64_t stop = 0; stop <= 21; ++stop) {
      const History first = run(overrides, stop);
      expect_same(run(overrides, -1, &first), straight);
    }
  }
}

TEST(Session, TwoRunsAreEqualAndSeedsAreNot) {
  expect_same(run({}), run({}));
  EXPECT_NE(run({}, 2).losses, run({"seed=4"}, 2).losses);
}

TEST(Session, GivesTheSameBatchesUntilTheStepIsMade) {
  const auto config = fake_config();
  Session session(*config);
  session.step();
  const auto a = session.next_batches(), b = session.next_batches();
  ASSERT_EQ(a.size(), 2u);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(same_bits(a[i].at("x"), b[i].at("x")));
  const double loss = session.step().loss;
  EXPECT_EQ(loss, run({}, 2).losses[1]);
}

// The same samples and weights, one step later: other elements are dropped.
TEST(Session, DropoutDiffersFromStepToStep) {
  const auto config = fake_config({"optimizer.lr=0", "samples=8", "train.accumulate=1", "drop=0.5"});
  Session session(*config);
  const auto batches = session.next_batches();
  const double first = session.step_on(batches).loss;
  EXPECT_EQ(session.step_on(batches).loss, first);
  session.position.step = 1;
  EXPECT_NE(session.step_on(batches).loss, first);
}

// The gradient of one step over 32 samples, cut into batches of this size.
std::vector<double> gradient(int64_t batch_size, std::vector<std::string> overrides) {
  overrides.push_back(fmt::format("train.batch_size={}", batch_size));
  overrides.push_back(fmt::format("train.accumulate={}", 32 / batch_size));
  const auto config = fake_config(overrides);
  Session session(*config);
  EXPECT_EQ(session.step().samples, 32);
  return session.store.flat_grads().to_vector<double>();
}

double relative_distance(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) difference += (a[i] - b[i]) * (a[i] - b[i]), size += b[i] * b[i];
  return std::sqrt(difference / size);
}

TEST(Session, AccumulationIsOneLargeBatch) {
  const std::vector<std::vector<std::string>> cases{
      {"drop=0"}, {"drop=0.3"}, {"drop=0.3", "smoothing=0.1"}, {"drop=0.3", "smoothing=0.1", "soft=true"}};
  for (const auto& overrides : cases) {
    const auto whole = gradient(32, overrides);
    for (const int64_t batch : {16, 8, 1})
      EXPECT_LT(relative_distance(gradient(batch, overrides), whole), 1e-6) << batch;
  }
}

// An epoch of 40 samples in batches of 8: the last step of accumulate 3 has 16 samples, as two batches of 8 or one
// of 16.
TEST(Session, PartialLastWindowIsAMeanOverItsOwnSamples) {
  const auto last = [](const std::string& batch, const std::string& accumulate) {
    const auto config = fake_config({"samples=40", "train.batch_size=" + batch, "train.accumulate=" + accumulate,
                                     "optimizer.lr=1e-9", "train.epochs=1", "soft=true"});
    Session session(*config);
    StepFigures figures;
    while (!session.finished()) figures = session.step();
    EXPECT_EQ(figures.samples, 16);
    return session.store.flat_grads().to_vector<double>();
  };
  EXPECT_LT(relative_distance(last("8", "3"), last("1", "24")), 1e-6);
}

TEST(Session, ThreadsDoNotChangeBitsOfOurKernels) {
  set_threads(1);
  const History one = run({});
  set_threads(2);
  const History two = run({});
  set_threads(0);
  for (size_t i = 0; i < one.losses.size(); ++i) EXPECT_NEAR(one.losses[i], two.losses[i], 1e-5);
}

TEST(Session, NotFiniteLossLeavesEverythingAsItWas) {
  const auto config = fake_config({"nan_sample=5", "train.accumulate=1", "train.epochs=100"});
  Session session(*config);
  std::string message;
  LoadedCheckpoint before;
  for (int i = 0; i < 5 && message.empty(); ++i) {
    before = copy_of(session.snapshot(""));
    try {
      session.step();
    } catch (const Error& e) {
      EXPECT_EQ(e.exit_code(), kExitFailed);
      message = e.message();
    }
  }
  const auto after = copy_of(session.snapshot(""));
  expect_same(before.model, after.model);
  expect_same(before.optimizer, after.optimizer);
  expect_same(before.ema, after.ema);
  EXPECT_EQ(before.position.step, after.position.step);
  EXPECT_EQ(before.position.batch, after.position.batch);
  EXPECT_THAT(message, HasSubstr(fmt::format("step {}: the loss is nan", after.position.step + 1)));
  EXPECT_THAT(message, HasSubstr("the data are to blame: batch tensor x, f32 [8, 7], is nan at ["));
  EXPECT_THAT(message, HasSubstr("that is sample 5;"));
  EXPECT_THAT(message, testing::ContainsRegex("its samples are.* 5[ .]"));
  // The step can be tried again: it sees the same batches.
  EXPECT_EQ(message_of([&] { session.step(); }, kExitFailed), message);
}

// The loss is finite, its gradient is not.
TEST(Session, NotFiniteGradientStopsTheStepToo) {
  const auto config = fake_config({"infinite_gradient=true"});
  Session session(*config);
  const auto before = copy_of(session.snapshot(""));
  EXPECT_THAT(message_of([&] { session.step(); }, kExitFailed),
              HasSubstr("first in backward: of poison, the gradient of head.bias, f32 [3], is inf at [0]"));
  expect_same(before.model, copy_of(session.snapshot("")).model);
}

TEST(Session, NamesATensorThatIsNotFinite) {
  const auto config = fake_config();
  Session session(*config);
  EXPECT_EQ(session.first_not_finite_tensor(), "");
  session.ema->state()[1].second.fill(NAN);
  EXPECT_EQ(session.first_not_finite_tensor(), "ema of head.bias");
  session.store.find("head.bias")->value.fill(INFINITY);
  EXPECT_EQ(session.first_not_finite_tensor(), "head.bias");
  session.optimizer->state()[2].second.fill(NAN);
  EXPECT_EQ(session.first_not_finite_tensor(), "optimizer state exp_avg_sq of head.weight");
}

TEST(Session, RestoreListsEverythingThatDoesNotFit) {
  const auto config = fake_config();
  Session session(*config);
  auto c = copy_of(session.snapshot(""));
  c.model.erase("head.bias");
  c.optimizer.erase("exp_avg");
  c.ema.clear();
  const auto message = message_of([&] { session.restore(c); });
  EXPECT_THAT(message, HasSubstr("memory/model.safetensors: missing tensor head.bias"));
  EXPECT_THAT(message, HasSubstr("exp_avg"));
  EXPECT_THAT(message, HasSubstr("memory/ema.safetensors"));
  EXPECT_EQ(session.position.step, 0);
}

TEST(Session, APositionBeyondTheEpochIsRefused) {
  const auto config = fake_config();
  Session session(*config);
  session.position.batch = 9;
  EXPECT_THAT(message_of([&] { session.step(); }), HasSubstr("an epoch of these data has 5 batches"));
}

}  // namespace
}  // namespace gfsa::train
