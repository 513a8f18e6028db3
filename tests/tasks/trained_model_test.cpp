#include "tasks/trained_model.h"

#include <gmock/gmock.h>

#include "tasks/evaluation_report.h"
#include "tasks/tiny_run.h"
#include "train/evaluate.h"

namespace gfsa::tasks {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string refused(const ModelChoice& choice) {
  return refusal([&] { TrainedModel model(choice); });
}

int64_t classes(TrainedModel& model) { return image_task(model).model_config().classes(); }

TEST(TrainedModel, ARunIsItsNewestCheckpoint) {
  TemporaryFolder folder;
  write_checkpoint(folder / "run", {.step = 8});
  const std::string newest = write_checkpoint(folder / "run", {.step = 16});
  TrainedModel model({.path = folder / "run/"});
  EXPECT_EQ(model.name(), folder / "run");
  EXPECT_EQ(model.weights(), newest + "/model.safetensors");
  EXPECT_EQ(model.run_directory(), folder / "run");
  EXPECT_EQ(model.position()->step, 16);
  EXPECT_EQ(classes(model), 10);  // counted in the weights: the YAML leaves it open
  EXPECT_EQ(model.task().model_text(), "vit, depth 2");
  EXPECT_EQ(model.task().attention_text(), "gfsa");
}

TEST(TrainedModel, BestIsTheStepThatTheNewestCheckpointNames) {
  TemporaryFolder folder;
  const std::string best = write_checkpoint(folder / "run", {.step = 8, .best_step = 8});
  write_checkpoint(folder / "run", {.step = 16, .best_step = 8});
  EXPECT_EQ(TrainedModel({.path = folder / "run", .best = true}).weights(), best + "/model.safetensors");
  Env::real().remove_all(best);
  EXPECT_THAT(refused({.path = folder / "run", .best = true}),
              AllOf(HasSubstr("step 8 was the best, but its checkpoint is gone"), HasSubstr("step-00000016")));
}

TEST(TrainedModel, ACheckpointFolderAndAFileInsideItNeedNoConfig) {
  TemporaryFolder folder;
  const std::string checkpoint = write_checkpoint(folder / "run");
  TrainedModel model({.path = checkpoint});
  EXPECT_EQ(model.run_directory(), folder / "run");
  TrainedModel file({.path = checkpoint + "/model.safetensors"});
  EXPECT_EQ(file.run_directory(), "");
  EXPECT_FALSE(file.position().has_value());
  EXPECT_EQ(classes(file), 10);
}

TEST(TrainedModel, ABareFileTakesItsConfigFromTheCommandLine) {
  TemporaryFolder folder;
  const std::string checkpoint = write_checkpoint(folder / "run");
  Env& env = Env::real();
  env.write(folder / "weights.safetensors", env.read(checkpoint + "/model.safetensors"));
  env.write(folder / "tiny.yaml", kTinyConfig);
  EXPECT_THAT(refused({.path = folder / "weights.safetensors"}), HasSubstr("give its YAML with --config"));
  TrainedModel model({.path = folder / "weights.safetensors", .config = folder / "tiny.yaml"});
  EXPECT_EQ(classes(model), 10);
}

TEST(TrainedModel, AveragedWeightsAreOthers) {
  TemporaryFolder folder;
  const std::string checkpoint = write_checkpoint(folder / "run", {.ema = true});
  TrainedModel model({.path = folder / "run", .ema = true});
  EXPECT_TRUE(model.averaged());
  EXPECT_EQ(model.weights(), checkpoint + "/ema.safetensors");
  TrainedModel plain({.path = folder / "run"});
  const auto loss = [](TrainedModel& m) { return evaluate(m, "val", 32).figures.at(2).estimate.value; };
  EXPECT_NE(loss(model), loss(plain));
}

TEST(TrainedModel, RefusesWhatIsNoModel) {
  TemporaryFolder folder;
  Env& env = Env::real();
  const std::string checkpoint = write_checkpoint(folder / "run");
  EXPECT_THAT(refused({.path = folder / "rum"}), AllOf(HasSubstr("does not exist"), HasSubstr("did you mean 'run'?")));
  EXPECT_THAT(refused({.path = folder / "no/run"}), HasSubstr("there is no folder"));
  EXPECT_THAT(refused({.path = checkpoint + "/state.json"}), HasSubstr("is a file, expected a run directory"));
  EXPECT_THAT(refused({.path = folder / "run", .config = "x.yaml"}), HasSubstr("has its own config.yaml"));
  EXPECT_THAT(refused({.path = folder / "run", .ema = true}),
              HasSubstr("trained without train.ema.decay; leave out --ema"));
  EXPECT_THAT(refused({.path = folder / "run", .best = true}), HasSubstr("has not been evaluated yet"));
  EXPECT_THAT(refused({.path = checkpoint, .best = true}), HasSubstr("this is one checkpoint"));
  EXPECT_THAT(refused({.path = checkpoint + "/model.safetensors", .ema = true}),
              HasSubstr("--ema chooses within a run"));
  env.create_directories(folder / "empty");
  EXPECT_THAT(refused({.path = folder / "empty"}), HasSubstr("is no run"));
  env.write(folder / "empty/config.yaml", kTinyConfig);
  EXPECT_THAT(refused({.path = folder / "empty"}), HasSubstr("has written no checkpoint yet"));
  env.remove_all(checkpoint + "/state.json");
  EXPECT_THAT(refused({.path = checkpoint}), HasSubstr("was never finished"));
}

TEST(TrainedModel, OneErrorListsAllWeightsThatDoNotFit) {
  TemporaryFolder folder;
  write_checkpoint(folder / "run");
  const std::string deeper = refused({.path = folder / "run", .overrides = {"model.depth=3", "model.classes=12"}});
  EXPECT_THAT(deeper, AllOf(HasSubstr("missing tensor blocks.2.attn.qkv.weight"),
                            HasSubstr("missing tensor blocks.2.mlp.fc1.bias"),
                            HasSubstr("misshapen tensor head.weight: [10, 16], expected [12, 16]")));
  EXPECT_THAT(refused({.path = folder / "run", .overrides = {"attention=softmax"}}),
              HasSubstr("unexpected tensor blocks.0.attn.gfsa.wK"));
  EXPECT_THAT(refused({.path = folder / "run", .overrides = {"model.dephh=3"}}),
              HasSubstr("command line: model.dephh: unknown key"));
}

TEST(Evaluate, RefusesSplitsAndDataThatDoNotFit) {
  TemporaryFolder folder;
  write_checkpoint(folder / "run");
  TrainedModel model({.path = folder / "run"});
  EXPECT_THAT(refusal([&] { evaluate(model, "vall", 8); }),
              AllOf(HasSubstr("no split 'vall'"), HasSubstr("train, val or test")));

  TrainedModel small({.path = folder / "run", .overrides = {"data.val_limit=12"}});
  EXPECT_EQ(evaluate(small, "val", 8).samples, 12);
}

// Bit for bit, by blocks of one size (forward_blocks.h); the last block is not full.
TEST(Evaluate, DoesNotDependOnTheBatchSize) {
  TemporaryFolder folder;
  write_checkpoint(folder / "run");
  TrainedModel model({.path = folder / "run"});
  const auto batches = model.task().eval_batches("val");
  const auto samples = [&](int64_t batch_size) {
    auto run = train::evaluate(model.task(), *batches, batch_size, {});
    return dynamic_cast<ImageEvaluation&>(*run.evaluation).samples();
  };
  const auto whole = samples(70);
  ASSERT_EQ(whole.size(), 70u);
  EXPECT_NE(whole[0].loss, whole[1].loss);
  for (const int64_t batch_size : {1, 7, 64}) {
    const auto other = samples(batch_size);
    ASSERT_EQ(other.size(), 70u);
    for (size_t i = 0; i < 70; ++i) {
      EXPECT_EQ(other[i].predicted, whole[i].predicted) << batch_size << " " << i;
      EXPECT_EQ(other[i].loss, whole[i].loss) << batch_size << " " << i;
    }
  }
}

}  // namespace
}  // namespace gfsa::tasks
