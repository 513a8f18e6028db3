// What a run directory accepts, and what becomes of its logs when the disk does not take them.
#include "train/run_directory.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "base/log.h"
#include "support/temporary_folder.h"
#include "train/run_lock.h"

namespace gfsa::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class RunDirectoryTest : public testing::Test {
 protected:
  static MetricsRow row(int64_t step, const std::string& kind = "train") {
    return {.kind = kind, .step = step, .epoch = 1, .figures = {{"loss", 0.5}}, .coefficients = {}};
  }
  std::vector<std::string> logged() {
    std::vector<std::string> out;
    for (const auto& r : read_metrics(env_, run_)) out.push_back(fmt::format("{} {}", r.kind, r.step));
    return out;
  }
  // Bytes of all event files.
  size_t events() {
    size_t bytes = 0;
    for (const auto& name : env_.list(run_ + "/tensorboard")) bytes += env_.read(run_ + "/tensorboard/" + name).size();
    return bytes;
  }

  test::TemporaryFolder folder_;
  std::string run_ = folder_ / "run";
  Env& env_ = Env::real();
};

TEST_F(RunDirectoryTest, RowsWaitUntilTheDiskTakesThem) {
  RunDirectory directory(env_, run_);
  directory.log(row(1));
  const size_t before = events();
  env_.rename(run_ + "/metrics.jsonl", run_ + "/kept");
  env_.create_directories(run_ + "/metrics.jsonl");
  env_.rename(run_ + "/tensorboard", run_ + "/kept_events");
  env_.write(run_ + "/tensorboard", "");
  directory.log(row(2));
  directory.log(row(3));
  const auto lost = directory.unwritten();
  ASSERT_EQ(lost.size(), 2u);
  EXPECT_THAT(lost[0], HasSubstr("run/metrics.jsonl: "));
  EXPECT_THAT(lost[1], HasSubstr("run/tensorboard/events.out.tfevents."));
  env_.remove_all(run_ + "/metrics.jsonl");
  env_.rename(run_ + "/kept", run_ + "/metrics.jsonl");
  env_.remove_all(run_ + "/tensorboard");
  env_.rename(run_ + "/kept_events", run_ + "/tensorboard");
  EXPECT_THAT(directory.unwritten(), ElementsAre());
  EXPECT_THAT(logged(), ElementsAre("train 1", "train 2", "train 3"));
  EXPECT_GT(events(), before);
}

TEST_F(RunDirectoryTest, RewindForgetsWhatCameAfterThePosition) {
  {
    RunDirectory directory(env_, run_);
    for (const int64_t step : {1, 2}) directory.log(row(step));
    for (const char* kind : {"eval", "coefficients"}) directory.log(row(2, kind));
    directory.log(row(3));
  }
  env_.append(run_ + "/metrics.jsonl", "{\"kind\":\"tr");
  Position position;
  position.step = 2;
  position.evaluated_step = 2;
  RunDirectory(env_, run_).rewind(position);
  EXPECT_THAT(logged(), ElementsAre("train 1", "train 2", "eval 2", "coefficients 2"));
  const size_t long_events = events();
  position.evaluated_step = 1;
  RunDirectory directory(env_, run_);
  directory.rewind(position);
  EXPECT_THAT(logged(), ElementsAre("train 1", "train 2"));
  EXPECT_LT(events(), long_events);
  directory.log(row(3));
  EXPECT_THAT(logged(), ElementsAre("train 1", "train 2", "train 3"));
}

TEST_F(RunDirectoryTest, AFreshRunIsToldWhoHasTheFolder) {
  env_.write(folder_ / "x", "");
  const RunDirectory directory(env_, run_);
  directory.require_fresh();
  env_.create_directories(run_);
  directory.require_fresh();
  const auto refusal = [&] {
    try {
      directory.require_fresh();
    } catch (const Error& e) {
      return e.message();
    }
    return std::string();
  };
  env_.write(run_ + "/config.yaml", "");
  EXPECT_THAT(refusal(), HasSubstr("continue it with --resume"));
  // process 1 always lives
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  env_.write(run_ + "/lock", fmt::format(R"({{"pid":1,"host":"{}","started":"today"}})", host));
  EXPECT_THAT(refusal(), HasSubstr(fmt::format("process 1 on {}, since today is at work on it", host)));
}

}  // namespace
}  // namespace gfsa::train
