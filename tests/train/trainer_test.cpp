// Whole runs in one process: what the run directory holds, resume, refusals, signals at chosen moments.
#include "train/trainer.h"

#include <gmock/gmock.h>

#include <csignal>
#include <filesystem>

#include "base/threads.h"
#include "support/temporary_folder.h"
#include "train/checkpoint/store.h"
#include "train/fake_task.h"
#include "train/metrics.h"

namespace gfsa::train {
namespace {

using testing::HasSubstr;

class TrainerTest : public testing::Test {
 protected:
  TrainerTest() { set_threads(1); }
  ~TrainerTest() override { set_threads(0); }

  // A run in folder `name`; `prepare` may change the task before it begins.
  int train(const std::string& name, std::vector<std::string> overrides = {}, bool resume = false,
            const std::function<void(FakeTask&)>& prepare = {}) {
    overrides.push_back("run_dir=" + (folder_ / name));
    const auto config = fake_config(overrides);
    if (prepare) prepare(static_cast<FakeTask&>(*config->task));
    return run_training(*config, config::print_config(*config), resume);
  }
  std::string error_of(const std::string& name, const std::vector<std::string>& overrides = {}, bool resume = false) {
    return message_of([&] { train(name, overrides, resume); });
  }

  // metrics.jsonl without what depends on the machine.
  std::vector<std::string> metrics(const std::string& name) {
    std::vector<std::string> lines;
    for (auto row : read_metrics(env_, folder_ / name)) {
      std::erase_if(row.figures, [](const auto& f) {
        return f.first == "samples_per_second" || f.first == "data_wait" || f.first == "memory_mib";
      });
      lines.push_back(to_json(row));
    }
    return lines;
  }
  void expect_same_end(const std::string& a, const std::string& b) {
    EXPECT_EQ(metrics(a), metrics(b));
    for (const char* file : {"model", "ema", "optimizer"}) {
      const auto read = [&](const std::string& name) {
        return read_tensors(CheckpointStore(env_, folder_ / name).latest() + "/" + file + ".safetensors");
      };
      const auto x = read(a), y = read(b);
      ASSERT_EQ(x.size(), y.size());
      for (const auto& [tensor, value] : x) EXPECT_TRUE(same_bits(value, y.at(tensor))) << tensor;
    }
    const auto p = CheckpointStore::load_position(env_, CheckpointStore(env_, folder_ / a).latest());
    const auto q = CheckpointStore::load_position(env_, CheckpointStore(env_, folder_ / b).latest());
    EXPECT_EQ(p.step, q.step);
    EXPECT_EQ(p.best, q.best);
    EXPECT_EQ(p.best_step, q.best_step);
    EXPECT_EQ(p.last_eval, q.last_eval);
  }

  test::TemporaryFolder folder_;
  Env& env_ = Env::real();
};

TEST_F(TrainerTest, TheRunDirectoryHoldsEverything) {
  EXPECT_EQ(train("a"), kExitDone);
  for (const char* file : {"config.yaml", "environment.json", "metrics.jsonl", "summary.md", "curves.png",
                           "tensorboard", "checkpoints/step-00000012/model.safetensors"}) {
    EXPECT_TRUE(env_.exists(folder_ / "a/" + file)) << file;
  }
  const auto rows = read_metrics(env_, folder_ / "a");
  int trains = 0, evals = 0, coefficients = 0;
  for (const auto& row : rows)
    trains += row.kind == "train", evals += row.kind == "eval", coefficients += row.kind == "coefficients";
  EXPECT_EQ(trains, 12);
  EXPECT_EQ(evals, 4);
  EXPECT_EQ(coefficients, 5);  // before the first step, and with each evaluation
  EXPECT_EQ(rows.front().kind, "coefficients");
  EXPECT_EQ(rows.front().step, 0);
  EXPECT_EQ(env_.read(folder_ / "a/curves.png").substr(1, 3), "PNG");
  const auto summary = env_.read(folder_ / "a/summary.md");
  for (const char* part : {"| steps | 12 of 12 |", "| best loss |", "## Evaluations", "| 12 | 4.00 |"}) {
    EXPECT_THAT(summary, HasSubstr(part));
  }
  const auto environment = env_.read(folder_ / "a/environment.json");
  for (const char* part :
       {"\"version\"", "\"commit\"", "\"compiler\"", "\"device_description\"", "fake 44 version 1"}) {
    EXPECT_THAT(environment, HasSubstr(part));
  }
  // config.yaml loads to the same configuration.
  RunConfig back(fake_registry());
  config::load(back, folder_ / "a/config.yaml");
  EXPECT_EQ(config::print_config(back), env_.read(folder_ / "a/config.yaml"));
}

// Raises a signal inside the k-th evaluation batch of the run.
std::function<void(FakeTask&)> raise_in_evaluation(int number, int batch) {
  return [=](FakeTask& task) {
    task.before_eval_batch = [=, seen = 0]() mutable {
      if (++seen == batch) std::raise(number);
    };
  };
}

TEST_F(TrainerTest, StoppedInsideAnEvaluationItIsMadeWhenTheRunGoesOn) {
  ASSERT_EQ(train("straight", {"eval.batch_size=4"}), kExitDone);
  // 4 batches an evaluation; the last one of the second evaluation, and all of the final one.
  for (const int batch : {1, 5, 8, 14}) {
    const std::string name = "batch" + std::to_string(batch);
    const int number = batch % 2 == 0 ? SIGTERM : SIGINT;
    EXPECT_EQ(train(name, {"eval.batch_size=4"}, false, raise_in_evaluation(number, batch)), 128 + number) << batch;
    EXPECT_THAT(env_.read(folder_ / name + "/summary.md"), HasSubstr("| steps |"));
    EXPECT_EQ(train(name, {"eval.batch_size=4"}, true), kExitDone);
    expect_same_end(name, "straight");
  }
}

TEST_F(TrainerTest, ASignalInTheVeryLastBatchEndsTheRunAsDone) {
  EXPECT_EQ(train("a", {"eval.batch_size=4"}, false, raise_in_evaluation(SIGTERM, 16)), kExitDone);
  EXPECT_EQ(metrics("a").size(), 12u + 4 + 5);
}

TEST_F(TrainerTest, AUserSignalWritesACheckpointAndGoesOn) {
  const std::vector<std::string> overrides{"checkpoint.every_epochs=0", "checkpoint.keep_best=false",
                                           "checkpoint.keep_last=9"};
  EXPECT_EQ(train("a", overrides, false, raise_in_evaluation(SIGUSR1, 1)), kExitDone);
  EXPECT_EQ(env_.list(folder_ / "a/checkpoints"), (std::vector<std::string>{"step-00000003", "step-00000012"}));
}

// What a process that was killed leaves: the newest checkpoint is older than the last metrics.
TEST_F(TrainerTest, KilledAfterAnyCheckpointItEndsAsIfUndisturbed) {
  const std::vector<std::string> overrides{"checkpoint.every_steps=1", "checkpoint.keep_last=99"};
  ASSERT_EQ(train("straight", overrides), kExitDone);
  for (const int64_t kept : {0, 1, 5, 6, 11}) {
    const std::string name = "killed" + std::to_string(kept);
    std::filesystem::copy(folder_ / "straight", folder_ / name, std::filesystem::copy_options::recursive);
    for (int64_t step = kept + 1; step <= 12; ++step) {
      env_.remove_all(fmt::format("{}/checkpoints/step-{:08}", folder_ / name, step));
    }
    env_.append(folder_ / name + "/metrics.jsonl", "{\"kind\":\"tra");  // a torn line
    const std::string half = folder_ / name + "/checkpoints/.writing-step-00000099";
    env_.create_directories(half);
    env_.write(half + "/model.safetensors", "half");
    EXPECT_EQ(train(name, overrides, true), kExitDone);
    expect_same_end(name, "straight");
    EXPECT_FALSE(env_.exists(half));
    const auto events = env_.list(folder_ / name + "/tensorboard");
    EXPECT_EQ(events.size(), 1u);
  }
}

TEST_F(TrainerTest, AFinishedRunGoesOnForLonger) {
  const std::vector<std::string> constant{"schedule.name=constant", "schedule.warmup_steps=0"};
  auto longer = constant;
  longer.push_back("train.epochs=6");
  ASSERT_EQ(train("a", constant), kExitDone);
  EXPECT_EQ(train("a", constant, true), kExitDone);  // nothing is left to do
  ASSERT_EQ(train("a", longer, true), kExitDone);
  ASSERT_EQ(train("straight", longer), kExitDone);
  expect_same_end("a", "straight");
  const auto environment = env_.read(folder_ / "a/environment.json");
  EXPECT_THAT(environment, HasSubstr("\"resumed\": [\n"));
}

TEST_F(TrainerTest, AFolderWithARunIsRefused) {
  ASSERT_EQ(train("a"), kExitDone);
  const auto before = env_.read(folder_ / "a/metrics.jsonl");
  EXPECT_THAT(error_of("a"), HasSubstr("holds a run already; continue it with --resume"));
  EXPECT_EQ(env_.read(folder_ / "a/metrics.jsonl"), before);
}

TEST_F(TrainerTest, ResumeWithoutARunIsRefused) {
  ASSERT_EQ(train("first"), kExitDone);
  EXPECT_THAT(error_of("frist", {}, true), HasSubstr("holds no run (it has no config.yaml); did you mean 'first'?"));
  EXPECT_FALSE(env_.exists(folder_ / "frist"));
}

TEST_F(TrainerTest, ResumeWithAnotherConfigShowsEveryDifference) {
  ASSERT_EQ(train("a"), kExitDone);
  const auto config = env_.read(folder_ / "a/config.yaml");
  const auto message = error_of("a", {"seed=4", "train.accumulate=1", "optimizer.name=sgd", "train.epochs=9"}, true);
  EXPECT_THAT(message, HasSubstr("was made with another value of seed: 3 -> 4"));
  EXPECT_THAT(message, HasSubstr("train.accumulate: 2 -> 1"));
  EXPECT_THAT(message, HasSubstr("optimizer.name: adamw -> sgd"));
  EXPECT_THAT(message, testing::Not(HasSubstr("epochs")));
  EXPECT_EQ(env_.read(folder_ / "a/config.yaml"), config);
}

TEST_F(TrainerTest, ResumeWithOtherDataIsRefused) {
  ASSERT_EQ(train("a"), kExitDone);
  EXPECT_THAT(error_of("a", {"version=2"}, true),
              HasSubstr("was made with other training data: fake 44 version 1 -> fake 44 version 2"));
}

TEST_F(TrainerTest, BadInputLeavesNothingBehind) {
  EXPECT_THAT(error_of("a", {"eval.split=vall"}), HasSubstr("there is no split 'vall'"));
  EXPECT_FALSE(env_.exists(folder_ / "a"));
}

TEST_F(TrainerTest, NotFiniteStopsAndNeverReachesACheckpoint) {
  EXPECT_THAT(message_of(
                  [&] {
                    train("a", {"nan_sample=5", "checkpoint.every_steps=1"});
                  },
                  kExitFailed),
              HasSubstr("the loss is nan"));
  for (const auto& path : CheckpointStore(env_, folder_ / "a").list()) {
    for (const auto& [name, tensor] : read_tensors(path + "/model.safetensors")) {
      EXPECT_TRUE(std::isfinite(l2_norm(tensor.view({tensor.numel()})))) << path << " " << name;
    }
  }
  // The update itself overflows, behind a loss and a gradient that are finite.
  const std::vector<std::string> overflow{"optimizer.name=sgd",       "optimizer.lr=1e39",
                                          "schedule.name=constant",   "schedule.warmup_steps=0",
                                          "checkpoint.every_steps=1", "train.clip_norm=null"};
  EXPECT_THAT(message_of([&] { train("b", overflow); }, kExitFailed),
              HasSubstr("the update by sgd went wrong: head.weight"));
  EXPECT_FALSE(env_.exists(folder_ / "b/checkpoints"));
}

}  // namespace
}  // namespace gfsa::train
