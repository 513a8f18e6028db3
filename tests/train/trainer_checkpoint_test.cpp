// The trainer and its checkpoints when the disk does not do as it should, or a step is not finite.
#include <gmock/gmock.h>

#include <atomic>
#include <csignal>
#include <filesystem>

#include "base/threads.h"
#include "config/printer.h"
#include "support/faulty_env.h"
#include "train/metrics.h"
#include "train/tiny_checkpoint.h"
#include "train/trainer.h"

namespace gfsa::train {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class TrainerCheckpointTest : public testing::Test {
 protected:
  TrainerCheckpointTest() { set_threads(1); }
  ~TrainerCheckpointTest() override { set_threads(0); }

  int train(const std::string& name, std::vector<std::string> overrides = {}, bool resume = false,
            const std::function<void(FakeTask&)>& prepare = {}) {
    overrides.push_back("run_dir=" + (folder_ / name));
    const auto config = fake_config(overrides);
    if (prepare) prepare(static_cast<FakeTask&>(*config->task));
    testing::internal::CaptureStderr();
    int code = -1;
    try {
      code = run_training(*config, config::print_config(*config), resume, faulty_);
    } catch (...) {
      said_ = testing::internal::GetCapturedStderr();
      throw;
    }
    said_ = testing::internal::GetCapturedStderr();
    return code;
  }
  CheckpointStore store(const std::string& name) { return CheckpointStore(env_, folder_ / name); }
  std::vector<std::string> names(const std::string& name) { return env_.list(folder_ / name + "/checkpoints"); }
  void expect_same_weights(const std::string& a, const std::string& b) {
    const auto x = CheckpointStore::load(env_, store(a).latest()), y = CheckpointStore::load(env_, store(b).latest());
    EXPECT_EQ(x.position.step, y.position.step);
    for (const auto& [tensor, value] : x.model) EXPECT_TRUE(same_bits(value, y.model.at(tensor))) << tensor;
    for (const auto& [tensor, value] : x.optimizer) EXPECT_TRUE(same_bits(value, y.optimizer.at(tensor))) << tensor;
    for (const auto& [tensor, value] : x.ema) EXPECT_TRUE(same_bits(value, y.ema.at(tensor))) << tensor;
  }
  // Every checkpoint that there is, is whole.
  void expect_whole(const std::string& name) {
    for (const auto& path : store(name).list()) CheckpointStore::load(env_, path);
  }

  test::TemporaryFolder folder_;
  Env& env_ = Env::real();
  test::FaultyEnv faulty_;
  std::string said_;  // on standard error, by the last run
};

// Fails when a file of this step's checkpoint is written.
test::FaultyEnv::Hook fail_at_step(int64_t step) {
  return [name = fmt::format("step-{:08}", step)](const std::string& operation, const std::string& path) {
    if (operation == "append" && path.find(name) != std::string::npos) fail("{}: write failed: planted", path);
  };
}

const std::vector<std::string> kEveryStep{"checkpoint.every_steps=1", "checkpoint.keep_last=99"};

TEST_F(TrainerCheckpointTest, APeriodicOneThatFailsEndsNoRun) {
  ASSERT_EQ(train("straight", kEveryStep), kExitDone);
  faulty_.before = fail_at_step(5);
  EXPECT_EQ(train("a", kEveryStep), kExitDone);
  EXPECT_THAT(said_, AllOf(HasSubstr("no checkpoint of step 5: "), HasSubstr("write failed: planted"),
                           HasSubstr("the newest is " + (folder_ / "a/checkpoints/step-00000004"))));
  auto expected = names("straight");
  std::erase(expected, "step-00000005");
  EXPECT_EQ(names("a"), expected);
  expect_same_weights("a", "straight");
  expect_whole("a");
}

TEST_F(TrainerCheckpointTest, TheLastOneThatFailsIsTheExitCode) {
  faulty_.before = fail_at_step(12);
  EXPECT_EQ(train("a", kEveryStep), kExitFailed);
  EXPECT_THAT(said_, AllOf(HasSubstr("no checkpoint of step 12: "), HasSubstr("could be written")));
  EXPECT_EQ(names("a").back(), "step-00000011");
  faulty_.before = nullptr;
  ASSERT_EQ(train("a", kEveryStep, true), kExitDone);
  ASSERT_EQ(train("straight", kEveryStep), kExitDone);
  expect_same_weights("a", "straight");

  // Also where a signal asks for it.
  faulty_.before = fail_at_step(3);
  const auto stop = [](FakeTask& task) { task.before_eval_batch = [] { std::raise(SIGTERM); }; };
  EXPECT_EQ(train("b", {}, false, stop), kExitFailed);
  EXPECT_THAT(said_, AllOf(HasSubstr("stopped by SIGTERM after step 3"), HasSubstr("no checkpoint of step 3: "),
                           HasSubstr("there is none yet")));
}

TEST_F(TrainerCheckpointTest, AShortDiskIsToldAndOutlived) {
  faulty_.free = 100'000;  // one checkpoint, but not all that are kept
  EXPECT_EQ(train("a"), kExitDone);
  EXPECT_THAT(said_, HasSubstr("a/checkpoints: room for "));
  faulty_.free = 10;
  EXPECT_EQ(train("b"), kExitFailed);
  EXPECT_THAT(said_, AllOf(HasSubstr("step-00000003: no room: a checkpoint takes "), HasSubstr("10 B are free")));
  EXPECT_FALSE(env_.exists(folder_ / "b/checkpoints"));
}

TEST_F(TrainerCheckpointTest, ASignalWhileOneIsWrittenEndsTheRunWithinAStep) {
  std::atomic<int> raised = 0;
  faulty_.before = [&](const std::string& operation, const std::string& path) {
    if (operation == "rename" && path.ends_with("step-00000004") && raised++ == 0) std::raise(SIGTERM);
  };
  EXPECT_EQ(train("a", kEveryStep), kExitTerminated);
  const int64_t step = CheckpointStore::load(env_, store("a").latest()).position.step;
  EXPECT_GE(step, 4);
  EXPECT_LE(step, 5);
  faulty_.before = nullptr;
  ASSERT_EQ(train("a", kEveryStep, true), kExitDone);
  ASSERT_EQ(train("straight", kEveryStep), kExitDone);
  expect_same_weights("a", "straight");
}

TEST_F(TrainerCheckpointTest, ADamagedNewestOneCostsItsStepsOnly) {
  ASSERT_EQ(train("straight", kEveryStep), kExitDone);
  std::filesystem::copy(folder_ / "straight", folder_ / "a", std::filesystem::copy_options::recursive);
  const std::string file = store("a").latest() + "/model.safetensors";
  std::string content = env_.read(file);
  content.back() = static_cast<char>(content.back() ^ 4);
  env_.write(file, content);
  EXPECT_EQ(train("a", kEveryStep, true), kExitDone);
  EXPECT_THAT(said_, AllOf(HasSubstr(file + ": tensor '"), HasSubstr("renamed to damaged-step-00000012"),
                           HasSubstr("going on after step 11 of 12")));
  EXPECT_THAT(names("a"), testing::Contains("damaged-step-00000012"));
  expect_same_weights("a", "straight");
}

TEST_F(TrainerCheckpointTest, AStepThatIsNotFiniteIsSkipped) {
  EXPECT_EQ(train("a", {"nan_sample=5", "train.on_non_finite=skip"}), kExitDone);
  EXPECT_THAT(said_, HasSubstr("skip"));
  int rows = 0;
  for (const auto& row : read_metrics(env_, folder_ / "a")) rows += row.kind == "non_finite";
  EXPECT_EQ(rows, 4);  // once an epoch
  EXPECT_EQ(env_.list(folder_ / "a/non_finite").size(), 4u);
}

TEST_F(TrainerCheckpointTest, RollbackReturnsToTheLastPeriodicCheckpoint) {
  const std::vector<std::string> overrides{"nan_sample=5", "train.on_non_finite=rollback", "checkpoint.every_steps=2",
                                           "checkpoint.keep_last=1"};
  EXPECT_EQ(train("a", overrides), kExitDone);
  EXPECT_THAT(said_, AllOf(HasSubstr("rollback to step"), HasSubstr("checkpoints/step-00000000")));
  EXPECT_EQ(CheckpointStore::load(env_, store("a").latest()).position.step, 12);
  expect_whole("a");
  // Stopped and resumed, it is the same run.
  const auto stop = [](FakeTask& task) {
    task.before_eval_batch = [seen = 0]() mutable {
      if (++seen == 2) std::raise(SIGTERM);
    };
  };
  EXPECT_EQ(train("b", overrides, false, stop), kExitTerminated);
  EXPECT_EQ(train("b", overrides, true), kExitDone);
  expect_same_weights("a", "b");
}

TEST_F(TrainerCheckpointTest, StopWritesWhatWasBegunAndNothingElse) {
  EXPECT_THAT(message_of(
                  [&] {
                    train("a", {"nan_sample=5", "checkpoint.every_steps=1"});
                  },
                  kExitFailed),
              HasSubstr("nan"));
  expect_whole("a");
  EXPECT_EQ(env_.list(folder_ / "a/non_finite").size(), 1u);
}

}  // namespace
}  // namespace gfsa::train
