// gfsa-train stopped by signals at moments of its run: exit codes, the checkpoint, the same end after --resume.
#include <csignal>

#include <chrono>
#include <thread>

#include "e2e/train_program.h"

namespace gfsa {
namespace {

using testing::HasSubstr;

class TrainSignalsTest : public TrainProgramTest {
 protected:
  // Starts a run and sends the signal once `lines` lines of metrics are there.
  test::ProcessResult stopped(const std::string& run, int signal, size_t lines,
                              const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"--config", "tiny.yaml", "run_dir=" + run};
    arguments.insert(arguments.end(), more.begin(), more.end());
    test::Process process(command(arguments), options());
    while (process.running() && train::read_metrics(Env::real(), folder_ / run).size() < lines) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    process.send(signal);
    return process.wait();
  }
  static int64_t newest_step(const std::string& run_dir) {
    const auto newest = train::CheckpointStore(Env::real(), run_dir).latest();
    return newest.empty() ? -1 : train::CheckpointStore::load_position(Env::real(), newest).step;
  }
};

TEST_F(TrainSignalsTest, StoppedAndResumedTheRunEndsAsIfUndisturbed) {
  const std::vector<std::string> longer{"train.epochs=8"};
  ASSERT_EQ(train({"--config", "tiny.yaml", "run_dir=straight", longer[0]}).exit_code, 0);
  const auto expected_metrics = metrics("straight");
  const auto expected_tensors = tensors("straight");
  int number = 0;
  for (const auto& [signal, lines] : std::vector<std::pair<int, size_t>>{
           {SIGTERM, 1}, {SIGINT, 4}, {SIGTERM, 9}, {SIGINT, 11}, {SIGTERM, 20}, {SIGTERM, 37}}) {
    const std::string run = "stopped" + std::to_string(number++);
    const auto result = stopped(run, signal, lines, longer);
    ASSERT_EQ(result.exit_code, 128 + signal) << result.err;
    EXPECT_THAT(result.err,
                HasSubstr(signal == SIGINT ? "stopped by SIGINT after step" : "stopped by SIGTERM after step"));
    EXPECT_THAT(result.err, HasSubstr("go on with --resume " + run));
    EXPECT_GE(newest_step(folder_ / run), static_cast<int64_t>(lines) / 3);
    const auto resumed = train({"--resume", run});
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_THAT(resumed.err, HasSubstr("going on after step"));
    EXPECT_EQ(metrics(run), expected_metrics);
    EXPECT_TRUE(tensors(run) == expected_tensors);
  }
}

TEST_F(TrainSignalsTest, KilledWithoutWarningItGoesOnFromTheLastCheckpoint) {
  ASSERT_EQ(train({"--config", "tiny.yaml", "run_dir=straight", "precision=bf16"}).exit_code, 0);
  int number = 0;
  for (const size_t lines : {2, 13, 24}) {  // before the first checkpoint, and after it
    const std::string run = "killed" + std::to_string(number++);
    ASSERT_EQ(stopped(run, SIGKILL, lines, {"precision=bf16"}).exit_code, 128 + SIGKILL);
    const auto resumed = train({"--resume", run});
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_EQ(metrics(run), metrics("straight"));
    EXPECT_TRUE(tensors(run) == tensors("straight"));
  }
}

TEST_F(TrainSignalsTest, UserSignalWritesACheckpointAndTheRunGoesOn) {
  const auto result =
      stopped("run", SIGUSR1, 3, {"checkpoint.every_epochs=0", "checkpoint.keep_best=false", "checkpoint.keep_last=9"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(Env::real().list(folder_ / "run/checkpoints").size(), 2u);
}

}  // namespace
}  // namespace gfsa
