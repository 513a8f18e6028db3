// Checkpoints written beside the training: what the copy is of, who waits for whom, what a failure at any stage leaves.
#include "train/checkpoint/writer.h"

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <set>

#include "support/faulty_env.h"
#include "train/tiny_checkpoint.h"

namespace gfsa::train {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class CheckpointWriterTest : public CheckpointFolder {
 protected:
  CheckpointOutcome write(int64_t step, int64_t best = -1) {
    writer_.begin(tiny_snapshot(step, best), {best});
    return writer_.take(true).value();
  }

  test::FaultyEnv faulty_;
  CheckpointStore faulty_store_{faulty_, folder_.path()};
  CheckpointWriter writer_{faulty_, faulty_store_, 2};
};

TEST_F(CheckpointWriterTest, WritesPrunesAndTells) {
  for (int64_t step = 1; step <= 4; ++step) {
    const auto outcome = write(step, 1);
    EXPECT_EQ(outcome.step, step);
    EXPECT_EQ(outcome.path, store_.path_of_step(step));
    EXPECT_EQ(outcome.problem, "");
  }
  EXPECT_THAT(names(true), ElementsAre("step-00000001", "step-00000003", "step-00000004"));
  EXPECT_FALSE(writer_.take(true));
  EXPECT_FALSE(writer_.take(false));
}

TEST_F(CheckpointWriterTest, TheCopyIsOfTheMomentAndNothingIsToldBeforeItIsDurable) {
  std::promise<void> reached, go_on;
  faulty_.before = [&](const std::string& operation, const std::string& path) {
    if (operation != "rename" || !path.ends_with("step-00000007")) return;
    reached.set_value();
    go_on.get_future().wait();
  };
  Snapshot live = tiny_snapshot(7);
  writer_.begin(live, {});
  for (auto* tensors : {&live.model, &live.optimizer}) {
    for (auto& [name, tensor] : *tensors) tensor.fill(99);  // the next step
  }
  reached.get_future().wait();
  // Everything is written but for the name.
  EXPECT_FALSE(writer_.take(false));
  EXPECT_THAT(names(), ElementsAre());
  EXPECT_EQ(message_of([&] { writer_.begin(live, {}); }, kExitFailed),
            "checkpoint writer: one checkpoint is in flight already");
  go_on.set_value();
  EXPECT_EQ(writer_.take(true)->path, store_.path_of_step(7));
  const auto c = CheckpointStore::load(env_, store_.path_of_step(7));
  EXPECT_EQ(c.model.at("w").to_vector<float>(), std::vector<float>(6, 7));
  EXPECT_EQ(c.optimizer.at("step").to_vector<int64_t>(), std::vector<int64_t>{7});
}

TEST_F(CheckpointWriterTest, TheMemoryOfTheCopyIsUsedAgain) {
  write(1);
  const auto before = arena({}).figures();
  for (int64_t step = 2; step <= 5; ++step) write(step);
  EXPECT_EQ(arena({}).figures().current, before.current);
}

TEST_F(CheckpointWriterTest, DestructionWaits) {
  {
    CheckpointWriter writer(faulty_, faulty_store_, 2);
    writer.begin(tiny_snapshot(3), {});
  }
  EXPECT_EQ(CheckpointStore::load(env_, store_.latest()).position.step, 3);
}

// Fails the k-th operation that could fail, for every k, before and after it is done.
TEST_F(CheckpointWriterTest, AFailureAtAnyStageLeavesTheNewestAndNoRest) {
  const std::set<std::string> may_fail{"create", "append", "commit", "create_directories", "remove_all", "rename"};
  for (const bool replace : {false, true}) {
    for (const bool behind : {false, true}) {
      for (int k = 1;; ++k) {
        faulty_.before = faulty_.after = nullptr;
        env_.remove_all(checkpoints_);
        ASSERT_EQ(write(1).problem, "");
        ASSERT_EQ(write(2).problem, "");
        const int64_t step = replace ? 2 : 3;
        int seen = 0;
        std::string failed;
        const auto hook = [&](const std::string& operation, const std::string& path) {
          if (may_fail.count(operation) == 0 || ++seen != k) return;
          failed = operation + " " + path;
          fail("{}: planted", path);
        };
        (behind ? faulty_.after : faulty_.before) = hook;
        const auto outcome = write(step, step);
        faulty_.before = faulty_.after = nullptr;
        if (seen < k) {
          ASSERT_EQ(outcome.problem, "");
          EXPECT_GT(k, 15);
          break;
        }
        // What is there can be loaded whatever happened, and is no older than what was there before.
        store_.recover();
        const auto newest = store_.load_newest();
        EXPECT_GE(newest.position.step, 2) << failed;
        if (outcome.path.empty()) {
          EXPECT_THAT(outcome.problem, AllOf(HasSubstr("planted"), HasSubstr("checkpoints"))) << failed;
        } else {
          EXPECT_EQ(newest.position.step, step) << failed;
          EXPECT_EQ(newest.position.best_step, step) << failed;
        }
        for (const auto& name : names(true)) EXPECT_TRUE(name.starts_with("step-")) << name << " after " << failed;
        for (const auto& path : store_.list()) CheckpointStore::load(env_, path);
        // And the next one goes well.
        ASSERT_EQ(write(4).problem, "") << failed;
      }
    }
  }
}

TEST_F(CheckpointWriterTest, PartialFilesAreGoneAtOnce) {
  write(1);
  faulty_.before = [](const std::string& operation, const std::string& path) {
    if (operation == "append" && path.ends_with("optimizer.safetensors")) fail("{}: no space left", path);
  };
  const auto outcome = write(2);
  EXPECT_EQ(outcome.path, "");
  EXPECT_THAT(outcome.problem, HasSubstr("optimizer.safetensors: no space left"));
  EXPECT_THAT(names(true), ElementsAre("step-00000001"));
}

TEST_F(CheckpointWriterTest, OldOnesThatCannotBeRemovedAreToldOfButTheNewOneCounts) {
  write(1), write(2);
  faulty_.before = [](const std::string& operation, const std::string& path) {
    if (operation == "rename" && path.ends_with(".removing-step-00000001")) fail("{}: planted", path);
  };
  const auto outcome = write(3);
  EXPECT_EQ(outcome.path, store_.path_of_step(3));
  EXPECT_THAT(outcome.problem, HasSubstr(".removing-step-00000001: planted"));
}

TEST_F(CheckpointWriterTest, WithoutRoomNothingIsBegun) {
  write(1);
  faulty_.free = 1000;
  std::atomic<int> created = 0;
  faulty_.before = [&](const std::string& operation, const std::string&) { created += operation == "create"; };
  const auto outcome = write(2);
  EXPECT_EQ(outcome.path, "");
  EXPECT_THAT(outcome.problem, AllOf(HasSubstr("step-00000002: no room: a checkpoint takes "), HasSubstr("are free")));
  EXPECT_EQ(created, 0);
  EXPECT_THAT(names(true), ElementsAre("step-00000001"));
  faulty_.free.reset();
  EXPECT_EQ(write(3).problem, "");
}

TEST_F(CheckpointWriterTest, TheSizeSaidBeforehandIsALittleMoreThanTheTruth) {
  Snapshot s = tiny_snapshot(1);
  s.model.emplace_back("large", Tensor::zeros({1000, 1000}, DType::f32));
  const auto path = store_.write(s);
  uint64_t bytes = 0;
  for (const auto& name : env_.list(path)) bytes += env_.open(path + "/" + name)->size();
  EXPECT_GE(bytes_on_disk(s), bytes);
  EXPECT_LE(bytes_on_disk(s), bytes * 103 / 100);
}

TEST_F(CheckpointWriterTest, ShortageIsSaidBeforeTheFirstStep) {
  constexpr uint64_t kMiB = 1 << 20;
  faulty_.free = 30 * kMiB;
  EXPECT_EQ(space_warning(faulty_, faulty_store_, 10 * kMiB, 3), "");
  EXPECT_EQ(space_warning(faulty_, faulty_store_, 10 * kMiB, 4),
            checkpoints_ +
                ": room for 40.0 MiB is needed (4 checkpoints of 10.0 MiB at once, 0 there already), but "
                "30.0 MiB are free");
  write(1);
  EXPECT_EQ(space_warning(faulty_, faulty_store_, 10 * kMiB, 4), "");
}

}  // namespace
}  // namespace gfsa::train
