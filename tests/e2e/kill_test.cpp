// kill -9 at random moments: the run goes on from a checkpoint no older than the last that it announced, and ends as if
// nothing had happened.
#include <csignal>
#include <iostream>

#include "e2e/disturbed_run.h"

namespace gfsa {
namespace {

class KillTest : public DisturbedRunTest {
 protected:
  // A checkpoint after every step, so that most moments lie in the writing, the renaming and the removing of one.
  KillTest()
      : DisturbedRunTest({"train.epochs=2", "data.train_size=64", "data.val_size=16", "checkpoint.every_steps=1",
                          "eval.every_steps=3"}) {}

  // Kills it after that time; what it said.
  std::string killed(const std::vector<std::string>& arguments, double after_seconds) const {
    test::Process process(command(arguments), options());
    sleep_seconds(after_seconds);
    process.send(SIGKILL);
    const auto result = process.wait();
    EXPECT_TRUE(result.exit_code == 128 + SIGKILL || result.exit_code == 0) << result.err;
    return result.err;
  }
};

TEST_F(KillTest, AtRandomMomentsOfRunAndResume) {
  auto random = moments();
  std::uniform_real_distribution<double> moment(0, 1.3 * seconds_);
  const int64_t kills = soak(25, 1000);
  int64_t done = 0;
  int number = 0;
  for (; done < kills && !HasFailure(); ++number) {
    const std::string run = "run" + std::to_string(number);
    int64_t safe = -1;
    // Up to three times the same run: also while it loads, rewinds and tidies up to go on.
    const int times = 1 + static_cast<int>(random() % 3);
    for (int time = 0; time < times; ++time, ++done) {
      const double after = moment(random);
      const std::string what = fmt::format("{}, kill {} after {:.4f} s", run, time + 1, after);
      const std::string err = killed(resume(run), after);
      if (const auto steps = announced(err); !steps.empty()) safe = std::max(safe, steps.back());
      EXPECT_GE(newest_step(run), safe) << what << ": " << err;
    }
    const std::string what = fmt::format("{}, killed {} times", run, times);
    const auto result = train(resume(run));
    ASSERT_EQ(result.exit_code, 0) << what << ": " << result.err;
    if (const size_t at = result.err.find("going on after step "); at != std::string::npos) {
      EXPECT_GE(std::stoll(result.err.substr(at + 20)), safe) << what;
    } else {
      EXPECT_EQ(safe, -1) << what << ": " << result.err;
    }
    expect_undisturbed_end(run, what);
    expect_tidy(run, what);
    Env::real().remove_all(folder_ / run);
  }
  std::cout << "count: " << done << " kills\ncount: " << number << " runs\n";
}

}  // namespace
}  // namespace gfsa
