// What a run asks of its checkpoints: room for all that will be there at once, and word of each as soon as it counts.
#include "train/checkpoint/keeper.h"

#include <gmock/gmock.h>

#include <chrono>
#include <thread>

#include "support/faulty_env.h"
#include "train/tiny_checkpoint.h"

namespace gfsa::train {
namespace {

using testing::HasSubstr;
using testing::Not;

// What the keeper says on standard error while f(keeper) runs.
template <class F>
std::string said(const std::vector<std::string>& overrides, test::FaultyEnv& env, const F& f) {
  const auto config = fake_config(overrides);
  Session session(*config);
  Progress progress;
  CheckpointKeeper keeper(env, session, "task: fake\n", progress, false);
  testing::internal::CaptureStderr();
  try {
    f(keeper, session);
  } catch (...) {
    testing::internal::GetCapturedStderr();
    throw;
  }
  return testing::internal::GetCapturedStderr();
}

TEST(CheckpointKeeper, AsksForRoomForAllThatWillBeThereAtOnce) {
  struct Case {
    std::vector<std::string> overrides;
    uint64_t folders;  // those that are kept, and the one being written
  };
  const std::vector<Case> cases{
      {{"checkpoint.keep_last=1", "checkpoint.keep_best=false"}, 2},
      {{"checkpoint.keep_last=3", "checkpoint.keep_best=false"}, 4},
      {{"checkpoint.keep_last=1", "checkpoint.keep_best=true"}, 3},
      {{"checkpoint.keep_last=2", "checkpoint.keep_best=true", "train.on_non_finite=rollback"}, 5},
  };
  for (const auto& [given, folders] : cases) {
    test::TemporaryFolder folder;
    test::FaultyEnv env;
    auto overrides = given;
    overrides.push_back("run_dir=" + (folder / "run"));
    const auto ask = [&, folders = folders](uint64_t missing) {
      return said(overrides, env, [&](CheckpointKeeper& keeper, const Session& session) {
        env.free = folders * bytes_on_disk(session.snapshot("task: fake\n")) - missing;
        keeper.warn_if_short_of_space();
      });
    };
    EXPECT_EQ(ask(0), "") << fmt::format("{}", fmt::join(given, " "));
    EXPECT_THAT(ask(1), HasSubstr(fmt::format("{} checkpoints of ", folders)));
  }
}

TEST(CheckpointKeeper, TellsOfACheckpointWithoutWaitingForTheNextOne) {
  test::TemporaryFolder folder;
  test::FaultyEnv env;
  const std::string told = said({"run_dir=" + (folder / "run")}, env, [&](CheckpointKeeper& keeper, const Session&) {
    keeper.write();
    const std::string path = folder / "run/checkpoints/step-00000000/manifest.json";
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    // Told a moment after it has its name.
    for (int after = 0; after < 50 && std::chrono::steady_clock::now() < end;) {
      keeper.report();
      after += Env::real().exists(path) ? 1 : 0;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  });
  EXPECT_THAT(told, HasSubstr("checkpoint " + (folder / "run/checkpoints/step-00000000")));
  EXPECT_THAT(told, Not(HasSubstr("warning")));
}

class ReplacedCheckpoint : public CheckpointFolder {};

TEST_F(ReplacedCheckpoint, ComesBackWhereTheNewOneCannotTakeItsName) {
  test::FaultyEnv faulty;
  CheckpointStore store(faulty, folder_.path());
  store.write(tiny_snapshot(3));
  int renamed = 0;
  faulty.before = [&](const std::string& operation, const std::string& path) {
    // The first rename takes the former one away, the second one fails.
    if (operation == "rename" && ++renamed == 2) fail("{}: planted", path);
  };
  EXPECT_THROW(store.write(tiny_snapshot(3, 3)), Error);
  EXPECT_EQ(renamed, 3);
  EXPECT_THAT(names(true), testing::ElementsAre("step-00000003"));
  EXPECT_EQ(CheckpointStore::load(env_, store_.latest()).position.best_step, -1);
}

}  // namespace
}  // namespace gfsa::train
