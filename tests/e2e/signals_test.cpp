// SIGTERM, SIGINT and SIGUSR1 at random moments: while the program starts and loads, in steps, evaluations and the
// writing of checkpoints, and while a run goes on. Chosen moments are in train_signals_test.cpp.
#include <array>
#include <csignal>
#include <iostream>

#include "e2e/disturbed_run.h"

namespace gfsa {
namespace {

class SignalsTest : public DisturbedRunTest {
 protected:
  // No checkpoint but those that signals ask for and the last; the evaluations take about half of the time.
  SignalsTest()
      : DisturbedRunTest({"train.epochs=2", "data.train_size=64", "data.val_size=96", "eval.every_steps=1",
                          "checkpoint.every_epochs=0", "checkpoint.keep_best=false"}) {}

  int64_t last_logged_step(const std::string& run) const {
    const auto rows = train::read_metrics(Env::real(), folder_ / run);
    return rows.empty() ? 0 : rows.back().step;
  }
  // "stopped by SIGTERM after step N": N, or -1.
  static int64_t stopped_after(const std::string& err, int signal) {
    const std::string mark = fmt::format("stopped by {} after step ", signal == SIGINT ? "SIGINT" : "SIGTERM");
    const size_t at = err.find(mark);
    return at == std::string::npos ? -1 : std::stoll(err.substr(at + mark.size()));
  }

  static constexpr int64_t kSteps = 8;
};

TEST_F(SignalsTest, AtRandomMoments) {
  auto random = moments();
  std::uniform_real_distribution<double> moment(0, 1.2 * seconds_);
  const int64_t signals = soak(24, 200);
  int loading = 0, training = 0, over = 0;
  for (int64_t number = 0; number < signals && !HasFailure(); ++number) {
    const std::string run = fmt::format("run{}", number);
    const int signal = std::array{SIGTERM, SIGINT, SIGUSR1}[static_cast<size_t>(number % 3)];
    const double after = moment(random);
    test::Process process(command(start(run)), options());
    sleep_seconds(after);
    const bool begun = exists(run + "/lock");
    process.send(signal);
    const int64_t at = last_logged_step(run);  // the step after it may be in the making
    const auto result = process.wait(60);
    const std::string what =
        fmt::format("{}: signal {} after {:.4f} s, step {}:\n{}", run, signal, after, at, result.err);
    (at == 0 ? loading : at < kSteps ? training : over) += 1;

    const bool ended = result.exit_code == 0;
    if (signal == SIGUSR1) {
      ASSERT_TRUE(ended || (result.exit_code == 128 + signal && !begun)) << what;
      // The last step may be in the making when it comes: then there is but the last checkpoint.
      if (ended && begun && at + 1 < kSteps) {
        EXPECT_GE(announced(result.err).size(), 2u) << what;
      }
    } else if (ended) {
      EXPECT_EQ(at, kSteps) << what << "it went on";
    } else {
      ASSERT_EQ(result.exit_code, 128 + signal) << what;
      const int64_t step = stopped_after(result.err, signal);
      if (step < 0) {
        EXPECT_FALSE(begun) << what;
      } else {
        EXPECT_LE(step, at + 1) << what;
        EXPECT_EQ(newest_step(run), step) << what;
        EXPECT_THAT(announced(result.err), testing::ElementsAre(step)) << what;
      }
      EXPECT_FALSE(exists(run + "/lock")) << what;
    }
    if (ended) {
      expect_undisturbed_end(run, what);
      expect_tidy(run, what);
    } else {
      expect_resumes(run, what);
    }
    Env::real().remove_all(folder_ / run);
  }
  std::cout << "count: " << signals << " signals\n"
            << loading << " before the first step, " << training << " between, " << over << " after the last\n";
}

// The same while the program loads a checkpoint, rewinds the logs and goes on.
TEST_F(SignalsTest, WhileARunGoesOn) {
  auto random = moments();
  std::uniform_real_distribution<double> moment(0, seconds_);
  const int64_t signals = soak(6, 50);
  for (int64_t number = 0; number < signals && !HasFailure(); ++number) {
    const std::string run = fmt::format("run{}", number);
    test::Process first(command(start(run)), options());
    while (first.running() && last_logged_step(run) < 3) sleep_seconds(0.001);
    first.send(SIGTERM);
    ASSERT_EQ(first.wait().exit_code, 128 + SIGTERM);
    const int64_t before = newest_step(run);
    const int signal = number % 2 == 0 ? SIGINT : SIGTERM;
    const double after = moment(random);
    test::Process second(command(resume(run)), options());
    sleep_seconds(after);
    second.send(signal);
    const auto result = second.wait(60);
    const std::string what =
        fmt::format("{}: signal {} after {:.4f} s of going on:\n{}", run, signal, after, result.err);
    if (result.exit_code != 0) {
      ASSERT_EQ(result.exit_code, 128 + signal) << what;
    }
    EXPECT_GE(newest_step(run), before) << what;
    expect_resumes(run, what);
    Env::real().remove_all(folder_ / run);
  }
  std::cout << "count: " << signals << " signals to runs that go on\n";
}

// The user insists: it ends at once, and what was announced stands.
TEST_F(SignalsTest, ASecondInterruptEndsAtOnce) {
  test::Process process(command(start("run")), options());
  while (process.running() && last_logged_step("run") < 4) sleep_seconds(0.001);
  process.send(SIGINT);
  sleep_seconds(0.0005);
  process.send(SIGINT);
  const auto result = process.wait();
  EXPECT_EQ(result.exit_code, 128 + SIGINT) << result.err;
  expect_resumes("run", result.err);
}

}  // namespace
}  // namespace gfsa
