// Two processes on one run directory: the second is told who has it, and the first does not notice.
#include <csignal>

#include "e2e/disturbed_run.h"

namespace gfsa {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class TwoProcessesTest : public DisturbedRunTest {
 protected:
  TwoProcessesTest() : DisturbedRunTest({"train.epochs=6", "data.train_size=64", "checkpoint.every_steps=1"}) {}

  // Waits until the run has logged steps.
  void wait_for_steps(test::Process& process, const std::string& run) {
    while (process.running() && train::read_metrics(Env::real(), folder_ / run).size() < 4) sleep_seconds(0.001);
  }
};

TEST_F(TwoProcessesTest, TheSecondIsRefusedAndTheFirstGoesOn) {
  test::Process first(command(start("run")), options());
  wait_for_steps(first, "run");
  first.send(SIGSTOP);  // it holds the run for as long as this test wants
  const std::string holder = fmt::format("process {} on ", first.id());
  for (const auto& arguments : {start("run"), std::vector<std::string>{"--resume", "run"}}) {
    const auto second = train(arguments);
    EXPECT_EQ(second.exit_code, 2);
    EXPECT_THAT(second.err, AllOf(HasSubstr("run"), HasSubstr(holder), HasSubstr(", since 20")));
    EXPECT_TRUE(exists("run/lock"));
  }
  first.send(SIGCONT);
  const auto result = first.wait();
  ASSERT_EQ(result.exit_code, 0) << result.err;
  expect_undisturbed_end("run", result.err);
  expect_tidy("run", result.err);
}

TEST_F(TwoProcessesTest, TheLockOfAKilledRunIsTakenOverWithOneLine) {
  test::Process first(command(start("run")), options());
  wait_for_steps(first, "run");
  first.send(SIGKILL);
  first.wait();
  ASSERT_TRUE(exists("run/lock"));
  const auto second = train({"--resume", "run"});
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(second.err, HasSubstr(fmt::format("run/lock: left behind by process {} on ", first.id())));
  expect_undisturbed_end("run", second.err);
  expect_tidy("run", second.err);
}

}  // namespace
}  // namespace gfsa
