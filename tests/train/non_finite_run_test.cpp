// Whole runs with steps that are not finite: what each policy does, what it leaves behind, and that a run that was
// killed or stopped anywhere ends as if undisturbed.
#include <gmock/gmock.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "autograd/observer.h"
#include "base/threads.h"
#include "support/temporary_folder.h"
#include "train/checkpoint/store.h"
#include "train/fake_task.h"
#include "train/finite.h"
#include "train/metrics.h"
#include "train/trainer.h"

namespace gfsa::train {
namespace {

using testing::HasSubstr;

// Raises a signal at the n-th loss that is computed: between a step's batches, or in the second run of a bad step.
struct RaiseAtLoss : TapeObserver {
  RaiseAtLoss(int number, int loss) : number(number), left(loss) {}
  int number, left;
  void forward(const char* op, const Tensor&, const std::vector<Tensor>&) override {
    if (std::string(op) == "cross_entropy" && --left == 0) std::raise(number);
  }
  void backward(const char*, size_t, const GradSlot&) override {}
};

// Which of the places a run may be disturbed at: all of them with GFSA_SOAK, else each `stride`-th.
int stride(int otherwise) { return std::getenv("GFSA_SOAK") != nullptr ? 1 : otherwise; }

class NonFiniteRun : public testing::TestWithParam<std::string> {
 protected:
  NonFiniteRun() { set_threads(1); }
  ~NonFiniteRun() override { set_threads(0); }

  int train(const std::string& name, std::vector<std::string> overrides, bool resume = false) {
    overrides.push_back("run_dir=" + (folder_ / name));
    const auto config = fake_config(overrides);
    return run_training(*config, config::print_config(*config), resume);
  }
  // 12 steps; sample 5 spoils one in each epoch. Checkpoints after 0 (rollback), 4, 8, 12 and the best.
  std::vector<std::string> spoiled(const std::string& policy, const std::string& keep = "99") {
    return {"train.on_non_finite=" + policy, "checkpoint.every_steps=4", "checkpoint.every_epochs=0",
            "checkpoint.keep_last=" + keep, policy.empty() ? "" : "nan_sample=5"};
  }

  std::vector<std::string> rows(const std::string& name, const std::string& kind = "") {
    std::vector<std::string> lines;
    for (auto row : read_metrics(env_, folder_ / name)) {
      if (!kind.empty() && row.kind != kind) continue;
      std::erase_if(row.figures, [](const auto& f) {
        return f.first == "samples_per_second" || f.first == "data_wait" || f.first == "memory_mib";
      });
      lines.push_back(to_json(row));
    }
    return lines;
  }
  std::vector<std::string> reports(const std::string& name) {
    std::vector<std::string> texts;
    const std::string folder = folder_ / name + "/non_finite";
    if (!env_.is_directory(folder)) return texts;
    for (const auto& file : env_.list(folder)) texts.push_back(file + " " + env_.read(folder + "/" + file));
    return texts;
  }
  LoadedCheckpoint end_of(const std::string& name) {
    return CheckpointStore::load(env_, CheckpointStore(env_, folder_ / name).latest());
  }
  void expect_same_end(const std::string& a, const std::string& b) {
    EXPECT_EQ(rows(a), rows(b));
    EXPECT_EQ(reports(a), reports(b));
    const auto x = end_of(a), y = end_of(b);
    for (const auto& [name, t] : x.model) EXPECT_TRUE(same_bits(t, y.model.at(name))) << name;
    for (const auto& [name, t] : x.optimizer) EXPECT_TRUE(same_bits(t, y.optimizer.at(name))) << name;
    for (const auto& [name, t] : x.ema) EXPECT_TRUE(same_bits(t, y.ema.at(name))) << name;
    EXPECT_EQ(x.position.step, y.position.step);
    EXPECT_EQ(x.position.samples, y.position.samples);
    EXPECT_EQ(x.position.best, y.position.best);
    EXPECT_EQ(x.position.rollback_step, y.position.rollback_step);
    EXPECT_EQ(x.position.non_finite_in_a_row, y.position.non_finite_in_a_row);
  }
  // Every tensor of every checkpoint.
  void expect_finite(const std::string& name) {
    for (const auto& path : CheckpointStore(env_, folder_ / name).list()) {
      const auto c = CheckpointStore::load(env_, path);
      for (const auto* tensors : {&c.model, &c.optimizer, &c.ema}) {
        for (const auto& [tensor, value] : *tensors) EXPECT_FALSE(first_not_finite(value)) << path << " " << tensor;
      }
    }
  }

  test::TemporaryFolder folder_ = test::TemporaryFolder::in_memory();
  Env& env_ = Env::real();
};

TEST_P(NonFiniteRun, GoesOnToTheEndAndSaysWhatItPassedOver) {
  ASSERT_EQ(train("a", spoiled(GetParam())), kExitDone);
  EXPECT_EQ(end_of("a").position.step, 12);
  const auto bad = rows("a", "non_finite");
  EXPECT_EQ(bad.size(), 4u);
  EXPECT_EQ(rows("a", "train").size(), 8u);
  const auto texts = reports("a");
  ASSERT_EQ(texts.size(), 4u);
  for (const auto& text : texts) {
    EXPECT_THAT(text, HasSubstr("\"tensor\": \"batch tensor x\""));
    EXPECT_THAT(text, HasSubstr("\"sample\": 5"));
    EXPECT_THAT(text, HasSubstr(GetParam() == "skip" ? "\"action\": \"skip\"" : "\"action\": \"rollback to step"));
  }
  expect_finite("a");
  EXPECT_EQ(env_.exists(folder_ / "a/checkpoints/step-00000000"), GetParam() == "rollback");
}

TEST_P(NonFiniteRun, KilledAfterAnyCheckpointItEndsAsIfUndisturbed) {
  ASSERT_EQ(train("straight", spoiled(GetParam())), kExitDone);
  const auto all = CheckpointStore(env_, folder_ / "straight").list();
  for (size_t kept = 0; kept <= all.size(); kept += static_cast<size_t>(stride(2))) {
    const std::string name = "killed" + std::to_string(kept);
    std::filesystem::copy(folder_ / "straight", folder_ / name, std::filesystem::copy_options::recursive);
    const auto mine = CheckpointStore(env_, folder_ / name).list();
    for (size_t i = kept; i < mine.size(); ++i) env_.remove_all(mine[i]);
    EXPECT_EQ(train(name, spoiled(GetParam()), true), kExitDone);
    expect_same_end(name, "straight");
  }
}

// A stop writes a checkpoint where none was due. It must not become what a rollback returns to, nor push that out.
TEST_P(NonFiniteRun, StoppedBetweenAnyTwoBatchesItEndsAsIfUndisturbed) {
  ASSERT_EQ(train("straight", spoiled(GetParam(), "1")), kExitDone);
  for (int loss = 1; loss <= 27; loss += stride(9)) {
    const std::string name = "stopped" + std::to_string(loss);
    {
      RaiseAtLoss raise(SIGTERM, loss);
      const ObserveTape observe(raise);
      ASSERT_EQ(train(name, spoiled(GetParam(), "1")), kExitTerminated) << loss;
    }
    EXPECT_EQ(train(name, spoiled(GetParam(), "1"), true), kExitDone);
    expect_same_end(name, "straight");
  }
}

TEST_P(NonFiniteRun, CheckpointsThatSomebodyAsksForChangeNothing) {
  ASSERT_EQ(train("straight", spoiled(GetParam(), "1")), kExitDone);
  for (int loss = 1; loss <= 20; loss += stride(9)) {
    const std::string name = "asked" + std::to_string(loss);
    RaiseAtLoss raise(SIGUSR1, loss);
    const ObserveTape observe(raise);
    EXPECT_EQ(train(name, spoiled(GetParam(), "1")), kExitDone);
    expect_same_end(name, "straight");
  }
}

TEST_P(NonFiniteRun, TooManyInARowEndTheRun) {
  const auto message = message_of(
      [&] {
        train("a", {"infinite_gradient=true", "train.on_non_finite=" + GetParam(), "train.non_finite_limit=5"});
      },
      kExitFailed);
  EXPECT_THAT(message, HasSubstr("step 5: "));
  EXPECT_EQ(rows("a", "non_finite").size(), 5u);
  EXPECT_THAT(reports("a").back(), HasSubstr("\"action\": \"stop\""));
  expect_finite("a");
  // Going on changes nothing: it comes to the same end.
  message_of(
      [&] {
        train("a", {"infinite_gradient=true", "train.on_non_finite=" + GetParam(), "train.non_finite_limit=5"}, true);
      },
      kExitFailed);
  EXPECT_EQ(rows("a", "non_finite").size(), 5u);
}

INSTANTIATE_TEST_SUITE_P(policies, NonFiniteRun, testing::Values("skip", "rollback"),
                         [](const auto& info) { return info.param; });

class NonFiniteStop : public NonFiniteRun {};
TEST_F(NonFiniteStop, StopsWithRowAndReport) {
  const auto message = message_of([&] { train("a", spoiled("stop")); }, kExitFailed);
  EXPECT_THAT(message, HasSubstr("batch tensor x"));
  EXPECT_EQ(rows("a", "non_finite").size(), 1u);
  EXPECT_EQ(reports("a").size(), 1u);
  expect_finite("a");
}

// The update itself overflows, behind a loss and a gradient that are finite.
std::vector<std::string> overflowing(const std::string& policy) {
  return {"huge_sample=5",
          "optimizer.name=sgd",
          "optimizer.lr=10",
          "schedule.name=constant",
          "schedule.warmup_steps=0",
          "train.clip_norm=null",
          "train.on_non_finite=" + policy,
          "checkpoint.every_steps=1",
          "checkpoint.keep_last=99"};
}

TEST_F(NonFiniteStop, AnUpdateThatOverflowsCannotBeSkipped) {
  for (const std::string policy : {"stop", "skip"}) {
    EXPECT_THAT(message_of([&] { train(policy, overflowing(policy)); }, kExitFailed),
                HasSubstr("the update by sgd went wrong: head.bias, f32 [3], is -inf at [0]"));
    EXPECT_EQ(reports(policy).size(), 1u);
    EXPECT_THAT(reports(policy)[0], HasSubstr("\"phase\": \"optimizer\""));
    expect_finite(policy);
  }
}

TEST_F(NonFiniteStop, AnUpdateThatOverflowsIsRolledBack) {
  ASSERT_EQ(train("a", overflowing("rollback")), kExitDone);
  const auto texts = reports("a");
  EXPECT_EQ(texts.size(), 4u);
  for (const auto& text : texts) EXPECT_THAT(text, HasSubstr("\"phase\": \"optimizer\""));
  expect_finite("a");
  EXPECT_EQ(end_of("a").position.step, 12);
}

TEST_F(NonFiniteStop, ARunThatBeginsToRollBackOnlyLaterReturnsToWhereItBegan) {
  message_of([&] { train("a", spoiled("stop")); }, kExitFailed);
  auto never_due = spoiled("rollback");
  never_due.push_back("checkpoint.every_steps=99");
  never_due.push_back("checkpoint.keep_best=false");
  const bool had_one = !CheckpointStore(env_, folder_ / "a").list().empty();
  EXPECT_EQ(train("a", never_due, true), kExitDone);
  EXPECT_EQ(end_of("a").position.step, 12);
  EXPECT_TRUE(had_one || env_.exists(folder_ / "a/checkpoints/step-00000000"));
}

}  // namespace
}  // namespace gfsa::train
