// What a step that is not finite says of itself, and what a session does about it.
#include "train/non_finite.h"

#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "autograd/observer.h"
#include "optim/registry.h"
#include "support/temporary_folder.h"
#include "train/fake_task.h"
#include "train/finite.h"

namespace gfsa::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(FirstNotFinite, CountsAlongTheTensorNotAlongItsMemory) {
  const Tensor t = Tensor::zeros({2, 3}, DType::f32);
  t.data<float>()[4] = -INFINITY;  // [1, 1]
  t.data<float>()[2] = kNan;       // [0, 2]
  const auto found = describe_not_finite("it", t.transpose(0, 1));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->text(), "it, f32 [3, 2], is -inf at [1, 1]");
  EXPECT_FALSE(describe_not_finite("it", t.slice(1, 0, 1)));
  EXPECT_EQ(describe_not_finite("scalar", t.select(0, 1).select(0, 1))->index.size(), 0u);
}

// The report of the first step that throws.
NonFinite report_of(Session& session, int steps = 100) {
  for (int i = 0; i < steps; ++i) {
    try {
      session.step();
    } catch (const NonFiniteStep& e) {
      EXPECT_EQ(e.exit_code(), kExitFailed);
      EXPECT_THAT(e.message(), HasSubstr(e.report().text()));
      EXPECT_EQ(e.report().step, session.position.step + 1);
      return e.report();
    }
  }
  ADD_FAILURE() << "every step was finite";
  return {};
}

TEST(NonFinite, DataAreNamedWithTheirSample) {
  const auto config = fake_config({"nan_sample=5"});
  Session session(*config);
  const auto r = report_of(session);
  EXPECT_EQ(r.phase, "forward");
  EXPECT_EQ(r.op, "input");
  EXPECT_EQ(r.tensor.name, "batch tensor x");
  EXPECT_EQ(r.tensor.index[1], 0);
  EXPECT_TRUE(std::isnan(r.tensor.value));
  EXPECT_EQ(r.sample, 5);
  EXPECT_EQ(r.layer(), "");
  EXPECT_EQ(static_cast<int64_t>(r.sample_ids.size()), r.samples);
  // Its place among the step's samples says the same.
  EXPECT_EQ(r.sample_ids[static_cast<size_t>(8 * r.batch + r.tensor.index[0])], 5);
}

TEST(NonFinite, AnOverflowNamesOpAndLayer) {
  const auto config = fake_config();
  Session session(*config);
  session.store.find("head.weight")->value.fill(3e38);
  const auto r = report_of(session);
  EXPECT_EQ(r.phase, "forward");
  EXPECT_EQ(r.op, "linear");
  EXPECT_EQ(r.tensor.name, "the result");
  EXPECT_EQ(r.tensor.shape, (Shape{8, kClasses}));
  EXPECT_TRUE(r.inputs_finite);
  EXPECT_FALSE(r.is_loss);
  EXPECT_EQ(r.parameter, "head.weight");
  EXPECT_TRUE(r.parameter_is_input);
  EXPECT_EQ(r.layer(), "head");
  EXPECT_EQ(r.sample, r.sample_ids[static_cast<size_t>(8 * r.batch + r.tensor.index[0])]);
}

TEST(NonFinite, ALossThatOverflowsOnlyInItsReductionSaysSo) {
  const auto config = fake_config();
  Session session(*config);
  const Tensor bias = session.store.find("head.bias")->value;
  bias.copy_from(Tensor::from<float>({kClasses}, {3e38f, -3e38f, -3e38f}));
  const auto r = report_of(session);
  EXPECT_EQ(r.phase, "forward");
  EXPECT_EQ(r.op, "cross_entropy");
  EXPECT_TRUE(r.is_loss && r.inputs_finite);
  EXPECT_EQ(r.tensor.value, INFINITY);
  EXPECT_THAT(r.text(), HasSubstr("its inputs are finite: the loss overflowed in this reduction"));
  EXPECT_EQ(r.parameter, "head.bias");
  EXPECT_FALSE(r.parameter_is_input);
}

TEST(NonFinite, AGradientNamesItsParameter) {
  const auto config = fake_config({"infinite_gradient=true"});
  Session session(*config);
  const auto r = report_of(session);
  EXPECT_EQ(r.phase, "backward");
  EXPECT_EQ(r.op, "poison");
  EXPECT_EQ(r.tensor.name, "the gradient of head.bias");
  EXPECT_EQ(r.parameter, "head.bias");
  EXPECT_EQ(r.sample, std::nullopt);
  EXPECT_TRUE(std::isfinite(r.loss));
  EXPECT_FALSE(std::isfinite(r.grad_norm));
}

// Writes a NaN into the `at`-th linear's result that it sees; never again.
struct Once : TapeObserver {
  int at = 0;
  void forward(const char* op, const Tensor& y, const std::vector<Tensor>&) override {
    if (std::string(op) == "linear" && at-- == 0) y.data<float>()[0] = kNan;
  }
  void backward(const char*, size_t, const GradSlot&) override {}
};

TEST(NonFinite, WhatDoesNotHappenASecondTimeIsSaid) {
  const auto config = fake_config();
  Session session(*config);
  Once once;
  const ObserveTape observe(once);
  const auto r = report_of(session);
  EXPECT_EQ(r.phase, "forward");
  EXPECT_EQ(r.op, "");
  EXPECT_THAT(r.text(), HasSubstr("run a second time, every tensor of it was finite"));
  session.step();  // and the step can be made after all
}

std::vector<std::string> huge_lr(const std::string& optimizer) {
  return {"optimizer.name=" + optimizer, "optimizer.lr=1e39", "schedule.name=constant", "schedule.warmup_steps=0",
          "train.clip_norm=null"};
}

TEST(NonFinite, EveryOptimizersOverflowIsFoundInTheStepThatMadeIt) {
  for (const auto& name : optimizer_registry().names()) {
    auto overrides = huge_lr(name);
    // Its lr is a bound of what is relative to the weights; only the decay can overflow.
    if (name == "adafactor") overrides.push_back("optimizer.weight_decay=10");
    const auto config = fake_config(overrides);
    Session session(*config);
    const auto r = report_of(session, 1);
    EXPECT_EQ(r.phase, "optimizer") << name;
    EXPECT_EQ(r.op, name);
    EXPECT_EQ(r.tensor.name, r.parameter) << name;
    EXPECT_EQ(r.layer(), "head");
    EXPECT_TRUE(std::isfinite(r.loss) && std::isfinite(r.grad_norm));
    EXPECT_EQ(r.sample_ids.size(), 16u);
    EXPECT_THAT(r.text(), HasSubstr("the update by " + name + " went wrong: head."));
    EXPECT_NE(session.first_not_finite_tensor(), "");
    EXPECT_THAT(message_of([&] { session.skip(r); }, kExitFailed), HasSubstr("cannot be skipped"));
  }
}

TEST(NonFinite, EveryOptimizersStateIsLookedAt) {
  for (const auto& name : optimizer_registry().names()) {
    std::vector<std::string> overrides{"optimizer.name=" + name, "optimizer.lr=1e-3"};
    if (name == "sgd") overrides.push_back("optimizer.momentum=0.9");
    const auto sample_config = fake_config(overrides);
    const size_t states = Session(*sample_config).optimizer->state().size();
    for (size_t i = 1; i < states; ++i) {
      const auto config = fake_config(overrides);
      Session session(*config);
      session.step();
      const auto [state, tensor] = session.optimizer->state()[i];
      if (tensor.numel() == 0) continue;
      tensor.view({tensor.numel()}).slice(0, 1, 2).fill(NAN);
      const auto r = report_of(session, 1);
      EXPECT_EQ(r.phase, "optimizer") << name << " " << state;
      EXPECT_THAT(r.tensor.name, testing::AnyOf(HasSubstr("optimizer state"), HasSubstr("head."))) << state;
    }
  }
}

TEST(NonFinite, AnAverageThatOverflowsIsFoundToo) {
  const auto config = fake_config();
  Session session(*config);
  session.ema->state()[0].second.data<float>()[3] = kNan;
  const auto r = report_of(session, 1);
  EXPECT_EQ(r.phase, "optimizer");
  EXPECT_EQ(r.tensor.text(), "ema of head.weight, f32 [3, 7], is nan at [0, 3]");
}

void expect_same(const LoadedCheckpoint& a, const LoadedCheckpoint& b) {
  for (const auto& [name, t] : a.model) EXPECT_TRUE(same_bits(t, b.model.at(name))) << name;
  for (const auto& [name, t] : a.optimizer) EXPECT_TRUE(same_bits(t, b.optimizer.at(name))) << name;
  for (const auto& [name, t] : a.ema) EXPECT_TRUE(same_bits(t, b.ema.at(name))) << name;
}

TEST(NonFinite, SkippingDropsTheUpdateAndGoesOnBehindTheBatches) {
  const auto config = fake_config({"nan_sample=5", "train.on_non_finite=skip", "train.epochs=3"});
  Session session(*config);
  const auto r = report_of(session);
  EXPECT_FALSE(session.must_stop(r));
  const auto before = copy_of(session.snapshot(""));
  session.skip(r);
  const auto after = copy_of(session.snapshot(""));
  expect_same(before, after);
  EXPECT_EQ(after.position.step, before.position.step + 1);
  EXPECT_EQ(after.position.samples, before.position.samples + r.samples);
  EXPECT_EQ(after.position.non_finite_in_a_row, 1);
  EXPECT_THAT(message_of([&] { session.skip(r); }, kExitFailed), HasSubstr("passed over"));
  session.step();
  EXPECT_EQ(session.position.non_finite_in_a_row, 0);
}

TEST(NonFinite, RollingBackTakesTheCheckpointsWeightsAndGoesOnBehindTheBatches) {
  const auto config = fake_config({"nan_sample=5", "train.on_non_finite=rollback"});
  Session session(*config);
  const auto start = copy_of(session.snapshot(""));
  session.mark_rollback_point();
  NonFinite r;
  do {  // until one that had good steps before it
    r = report_of(session);
    const auto before = session.position;
    session.roll_back(start, r);
    expect_same(copy_of(session.snapshot("")), start);
    EXPECT_EQ(session.position.step, before.step + 1);
    EXPECT_EQ(session.position.rollback_step, 0);
  } while (r.step < 5);
  // Good steps do not end the row: they begin from the same weights each time.
  const int64_t in_a_row = session.position.non_finite_in_a_row;
  EXPECT_GE(in_a_row, 2);
  session.step();
  EXPECT_EQ(session.position.non_finite_in_a_row, in_a_row);
  session.position.last_non_finite_step = session.position.step;
  session.mark_rollback_point();  // right behind a bad step there is nothing new to return to
  EXPECT_EQ(session.position.non_finite_in_a_row, in_a_row);
  session.position.last_non_finite_step -= 1;
  session.mark_rollback_point();
  EXPECT_EQ(session.position.non_finite_in_a_row, 0);
}

TEST(NonFinite, TheLimitCountsStepsInARow) {
  for (const std::string policy : {"stop", "skip", "rollback"}) {
    const auto config =
        fake_config({"infinite_gradient=true", "train.on_non_finite=" + policy, "train.non_finite_limit=3"});
    Session session(*config);
    const auto start = copy_of(session.snapshot(""));
    int passed = 0;
    for (; passed < 9; ++passed) {
      const auto r = report_of(session, 1);
      if (session.must_stop(r)) break;
      policy == "skip" ? session.skip(r) : session.roll_back(start, r);
    }
    EXPECT_EQ(passed, policy == "stop" ? 0 : 2) << policy;  // the third ends the run
  }
}

TEST(NonFinite, ACheckpointThatIsNotFiniteIsRefused) {
  const auto config = fake_config();
  Session session(*config);
  auto c = copy_of(session.snapshot(""));
  c.optimizer.at("exp_avg").data<float>()[4] = INFINITY;
  EXPECT_THAT(message_of([&] { session.restore(c); }),
              HasSubstr("memory: optimizer state exp_avg of head.weight is not finite"));
}

TEST(NonFinite, WeightsToStartFromThatAreNotFiniteAreRefused) {
  const test::TemporaryFolder folder;
  const auto config = fake_config({"init_from=" + (folder / "w.safetensors")});
  write_tensors(Env::real(), folder / "w.safetensors",
                {{"head.weight", Tensor::zeros({kClasses, kFeatures}, DType::f32)},
                 {"head.bias", Tensor::full({kClasses}, NAN, DType::f32)}},
                {});
  EXPECT_THAT(message_of([&] { Session session(*config); }),
              HasSubstr("w.safetensors: tensor head.bias: element 0 is not a finite number"));
}

TEST(NonFinite, TheReportFileHoldsEverything) {
  const test::TemporaryFolder folder;
  const auto config = fake_config({"nan_sample=5"});
  Session session(*config);
  const auto r = report_of(session);
  write_report(Env::real(), folder.path(), r, "skip");
  const auto file = folder / fmt::format("non_finite/step-{:08}.json", r.step);
  const auto j = nlohmann::json::parse(Env::real().read(file));
  EXPECT_EQ(j.at("phase"), "forward");
  EXPECT_EQ(j.at("op"), "input");
  EXPECT_EQ(j.at("tensor"), "batch tensor x");
  EXPECT_EQ(j.at("shape"), (std::vector<int64_t>{8, kFeatures}));
  EXPECT_EQ(j.at("value"), "nan");
  EXPECT_EQ(j.at("loss"), "nan");
  EXPECT_EQ(j.at("sample"), 5);
  EXPECT_EQ(j.at("sample_ids").get<std::vector<int64_t>>(), r.sample_ids);
  EXPECT_EQ(j.at("action"), "skip");
  const auto row = to_row(r, 0.5, 2);
  EXPECT_EQ(row.kind, "non_finite");
  EXPECT_EQ(row.step, r.step);
  EXPECT_EQ(to_json(row), fmt::format("{{\"kind\":\"non_finite\",\"step\":{},\"epoch\":0.5,\"loss\":null,"
                                      "\"grad_norm\":null,\"in_a_row\":2.0}}",
                                      r.step));
}

}  // namespace
}  // namespace gfsa::train
