// Several seeds: gfsa-train --seeds and what gfsa-eval makes of such runs; also what both programs say of themselves.
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "e2e/train_program.h"
#include "formats/image.h"

namespace gfsa {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class SeedsTest : public TrainProgramTest {
 protected:
  test::ProcessResult evaluate(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), std::string(GFSA_BINARY_DIR) + "/gfsa-eval");
    return test::run_process(arguments, options());
  }
  std::string refused(const std::vector<std::string>& arguments) const {
    const auto result = train(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    return result.err;
  }
};

TEST_F(SeedsTest, MakeARunEachThatIsTheRunOfThatSeed) {
  const auto all = train({"--config", "tiny.yaml", "--seeds", "0,3", "run_dir=runs", "train.epochs=1"});
  ASSERT_EQ(all.exit_code, 0) << all.err;
  EXPECT_THAT(all.out, AllOf(HasSubstr("seed  run"), HasSubstr("0     runs/seed-0  done"), HasSubstr("mean"),
                             HasSubstr("2 done"), HasSubstr("sd")));
  ASSERT_EQ(train({"--config", "tiny.yaml", "seed=3", "run_dir=alone", "train.epochs=1"}).exit_code, 0);
  EXPECT_EQ(metrics("runs/seed-3"), metrics("alone"));
  EXPECT_TRUE(tensors("runs/seed-3") == tensors("alone"));

  // Again: nothing is trained. One seed more: that one alone. Longer: all go on.
  const auto again = train({"--config", "tiny.yaml", "--seeds", "0,3", "run_dir=runs", "train.epochs=1"});
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_EQ(again.out, all.out);
  EXPECT_THAT(again.err, AllOf(HasSubstr("seed 0 (1 of 2): finished at step 8: skipped"),
                               HasSubstr("seed 3 (2 of 2): finished"), Not(HasSubstr("evaluation"))));
  const auto longer = train({"--resume", "runs", "train.epochs=2"});
  EXPECT_EQ(longer.exit_code, 0) << longer.err;
  EXPECT_TRUE(exists("runs/seed-0/checkpoints/step-00000016"));
  EXPECT_TRUE(exists("runs/seed-3/checkpoints/step-00000016"));
  ASSERT_EQ(train({"--resume", "alone", "train.epochs=2"}).exit_code, 0);
  EXPECT_TRUE(tensors("runs/seed-3") == tensors("alone"));

  EXPECT_THAT(refused({"--config", "tiny.yaml", "--seeds", "0,3", "run_dir=runs", "attention.K=4"}),
              HasSubstr("--seeds: runs/seed-0 was made with another value of attention.K: 3 -> 4"));
  EXPECT_THAT(refused({"--config", "tiny.yaml", "--seeds", "0,1", "run_dir=alone"}), HasSubstr("holds a single run"));
}

TEST_F(SeedsTest, StoppedBySignalTheSameCommandGoesOn) {
  const std::vector<std::string> arguments{"--config", "tiny.yaml", "--seeds", "0,1,2", "run_dir=stopped"};
  const auto straight = train({"--config", "tiny.yaml", "--seeds", "0,1,2", "run_dir=straight"});
  ASSERT_EQ(straight.exit_code, 0) << straight.err;
  for (const int signal : {SIGTERM, SIGINT}) {
    const size_t lines = signal == SIGTERM ? 3 : 20;
    test::Process process(command(arguments), options());
    while (process.running() && train::read_metrics(Env::real(), folder_ / "stopped/seed-1").size() < lines) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    process.send(signal);
    const auto result = process.wait();
    ASSERT_EQ(result.exit_code, 128 + signal) << result.err;
    EXPECT_THAT(result.err, HasSubstr("the same command goes on"));
    EXPECT_FALSE(exists("stopped/seed-2/metrics.jsonl"));
  }
  const auto result = train(arguments);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const std::string seed : {"seed-0", "seed-1", "seed-2"}) {
    EXPECT_EQ(metrics("stopped/" + seed), metrics("straight/" + seed));
    EXPECT_TRUE(tensors("stopped/" + seed) == tensors("straight/" + seed));
  }
}

TEST_F(SeedsTest, WrongArguments) {
  EXPECT_THAT(refused({"--config", "tiny.yaml", "--seeds", "0,x"}), HasSubstr("'x' is no seed"));
  EXPECT_THAT(refused({"--config", "tiny.yaml", "--seeds", "1,1"}), HasSubstr("1 stands twice"));
  EXPECT_THAT(refused({"--config", "tiny.yaml", "--seeds", "1,2", "seed=3"}), HasSubstr("leave one of the two out"));
  EXPECT_THAT(refused({"--config", "tiny.yaml", "--seeds", "1,2", "--benchmark", "2"}), HasSubstr("leave out --seeds"));
  EXPECT_THAT(refused({"--resume", "nowhere", "--seeds", "1,2"}), HasSubstr("no folder seed-N"));
  EXPECT_EQ(Env::real().list(folder_.path()), std::vector<std::string>{"tiny.yaml"});
}

TEST_F(SeedsTest, DryRunIsOfOne) {
  const auto result = train({"--config", "tiny.yaml", "--seeds", "4,5", "--dry-run"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("dry run of seed 4"), HasSubstr("tensors at the peak"), HasSubstr("runs/tiny/seed-4")));
  EXPECT_EQ(Env::real().list(folder_.path()), std::vector<std::string>{"tiny.yaml"});
}

TEST_F(SeedsTest, EvaluationComparesVariants) {
  for (const std::string attention : {"gfsa", "softmax"}) {
    const auto r = train({"--config", "tiny.yaml", "--seeds", "0,1,2", "attention=" + attention, "run_dir=" + attention,
                          "train.epochs=1"});
    ASSERT_EQ(r.exit_code, 0) << r.err;
  }
  const auto result = evaluate({"gfsa", "softmax", "--output", "table.csv"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("gfsa/seed-2"), HasSubstr("attention=softmax - attention=gfsa"),
                                HasSubstr("paired t-test (two-sided)"), HasSubstr("95% intervals: Student's t")));
  const std::string runs = read("table.csv"), variants = read("table_variants.csv");
  EXPECT_EQ(std::count(runs.begin(), runs.end(), '\n'), 1 + 6);
  EXPECT_EQ(std::count(variants.begin(), variants.end(), '\n'), 1 + 6 + 3);
  EXPECT_EQ(read("table_variants.png").substr(1, 3), "PNG");
  const auto unequal = evaluate({"gfsa/seed-0", "gfsa/seed-1", "softmax/seed-1", "softmax/seed-2"});
  EXPECT_THAT(unequal.out, HasSubstr("Welch's t-test (two-sided)"));
  const auto single = evaluate({"gfsa", "softmax/seed-1"});
  EXPECT_THAT(single.out, HasSubstr("nothing can be tested with fewer than 2 seeds"));
}

TEST_F(SeedsTest, ARunThatCannotFitIsRefusedAndLeavesNothing) {
  const auto message = refused({"--config", "tiny.yaml", "run_dir=run", "train.batch_size=10000000",
                                "data.train_size=10000000", "augment.repeated=1", "train.accumulate=1"});
  EXPECT_THAT(message, AllOf(HasSubstr("memory: this run would take"), HasSubstr("at its peak"),
                             HasSubstr("lower train.batch_size (10000000")));
  EXPECT_FALSE(exists("run"));
  const auto dry = train({"--config", "tiny.yaml", "--dry-run", "train.batch_size=10000000", "data.train_size=10000000",
                          "augment.repeated=1", "train.accumulate=1"});
  EXPECT_EQ(dry.exit_code, 2);
  EXPECT_THAT(dry.err, HasSubstr("memory: this run would take"));
}

TEST_F(SeedsTest, ProgramsTellTheirVersionAndTheNearestOption) {
  const auto version = train({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.out, testing::MatchesRegex("gfsa-train [0-9.]+ \\(commit [^,]+, [A-Za-z]+ [0-9.]+\\)\n.*oneDNN "
                                                 "[0-9.]+, fmt [0-9.]+.*\n"));
  EXPECT_THAT(evaluate({"--version"}).out, testing::StartsWith("gfsa-eval "));
  EXPECT_THAT(refused({"--resmue", "x"}), HasSubstr("--resmue: unknown option; did you mean '--resume'?"));
  EXPECT_THAT(refused({"--config", "tiny.yaml", "--dryrun"}), HasSubstr("did you mean '--dry-run'?"));
  EXPECT_THAT(refused({"--seed=4"}), HasSubstr("did you mean '--seeds'?"));
  EXPECT_THAT(refused({"--zzzzzzz"}), AllOf(HasSubstr("--zzzzzzz: unknown option; --help lists all")));
  const auto eval = evaluate({"run", "--batchsize", "3"});
  EXPECT_EQ(eval.exit_code, 2);
  EXPECT_THAT(eval.err, HasSubstr("did you mean '--batch-size'?"));
}

}  // namespace
}  // namespace gfsa
