// gfsa-train's command line: help, what each wrong argument is told, where files are looked for.
#include "e2e/train_program.h"

namespace gfsa {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class TrainCliTest : public TrainProgramTest {
 protected:
  // What a refused command says; it must end with exit code 2, print no result and leave no file.
  std::string refused(const std::vector<std::string>& arguments) const {
    const auto before = Env::real().list(folder_.path());
    const auto result = train(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(Env::real().list(folder_.path()), before);
    return result.err;
  }
};

TEST_F(TrainCliTest, HelpHasExamplesAndExitCodes) {
  const auto result = train({"--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, AllOf(HasSubstr("--config vit_gfsa.yaml"), HasSubstr("--resume runs/vit_gfsa"),
                                HasSubstr("Exit codes: 0 done"), HasSubstr("--show-batch FILE")));
}

TEST_F(TrainCliTest, WrongArguments) {
  EXPECT_THAT(refused({}),
              AllOf(HasSubstr("--config FILE is missing"), HasSubstr("gfsa-train --config vit_gfsa.yaml")));
  EXPECT_THAT(refused({"--cofnig", "tiny.yaml"}), HasSubstr("--cofnig"));
  EXPECT_THAT(refused({"--config", "tiny.yaml", "--benchmark", "0"}), HasSubstr("--benchmark"));
  EXPECT_THAT(refused({"--config", "tiny.yaml", "nonsense"}), HasSubstr("'nonsense' is not understood"));
  EXPECT_THAT(refused({"--help-config", "optimiser.lr"}), HasSubstr("did you mean 'optimizer.lr'?"));
}

TEST_F(TrainCliTest, FilesAreLookedForHereAndBesideTheProgram) {
  // The test's folder has no configs/: this one is the source tree's, found from the build folder.
  EXPECT_EQ(train({"--config", "vit_gfsa.yaml", "--print-config"}).exit_code, 0);
  EXPECT_THAT(refused({"--config", "vit_gfsa"}),
              AllOf(HasSubstr("did you mean 'vit_gfsa.yaml'?"), HasSubstr("There are: ")));
  Env::real().create_directories(folder_ / "configs");
  Env::real().write(folder_ / "configs/mine.yaml", kTinyConfig);
  EXPECT_THAT(train({"--config", "mine.yaml", "--print-config"}).out, HasSubstr("# configs/mine.yaml:3"));
}

TEST_F(TrainCliTest, ConfigErrorsComeAllAtOnceWithTheirPlace) {
  Env::real().write(folder_ / "bad.yaml",
                    "task: image_classification\nmodel: {name: vit, width: 16, haeds: 2}\noptimizer: {lr: fast}\n"
                    "data: {source: procedural}\ntrain: {epochs: 1}\n");
  EXPECT_THAT(refused({"--config", "bad.yaml", "seed=-1"}),
              AllOf(HasSubstr("bad.yaml:2:31: model.haeds: unknown key; did you mean 'model.heads'?"),
                    HasSubstr("bad.yaml:3:17: optimizer.lr:"), HasSubstr("command line: seed:")));
}

TEST_F(TrainCliTest, PrintConfigShowsOrigins) {
  const auto result = train({"--config", "tiny.yaml", "seed=5", "--print-config"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, AllOf(testing::ContainsRegex("seed: 5 +# command line"),
                                testing::ContainsRegex("width: 16 +# tiny.yaml:3"),
                                testing::ContainsRegex("precision: f32 +# default"), HasSubstr("run_dir: runs/tiny")));
  EXPECT_EQ(Env::real().list(folder_.path()), std::vector<std::string>{"tiny.yaml"});
}

TEST_F(TrainCliTest, HelpConfigExplainsKeys) {
  const auto all = train({"--help-config"});
  EXPECT_EQ(all.exit_code, 0);
  for (const char* key : {"optimizer", "model", "checkpoint", "init_from", "run_dir"})
    EXPECT_THAT(all.out, HasSubstr(key));
  const auto one = train({"--help-config", "optimizer.lr"});
  EXPECT_EQ(one.exit_code, 0);
  EXPECT_THAT(one.out, AllOf(HasSubstr("optimizer.lr"), HasSubstr("learning rate"), HasSubstr("on resume")));
}

TEST_F(TrainCliTest, ADeviceThatIsNotThereSaysWhyAndWhatToDo) {
  Env::real().write(folder_ / "gpu.yaml", std::string(kTinyConfig) + "device: cuda:63\n");
  EXPECT_THAT(refused({"--config", "gpu.yaml"}), HasSubstr("gpu.yaml:12: device: 'cuda:63' cannot be used: " +
                                                           why_not({DeviceType::cuda, 63}) + "; use device: cpu\n"));
  EXPECT_THAT(refused({"--config", "tiny.yaml", "device=cuda:63"}), HasSubstr("command line: device: 'cuda:63'"));
  EXPECT_EQ(train({"--config", "gpu.yaml", "device=cpu", "train.epochs=1", "run_dir=run"}).exit_code, 0);
  EXPECT_THAT(train({"--resume", "run", "device=cuda:63"}).err, HasSubstr("command line: device: 'cuda:63'"));
  EXPECT_THAT(refused({"--config", "tiny.yaml", "device=gpu"}),
              HasSubstr("command line: device: 'gpu' is not a device, expected cpu, cuda, cuda:N or emulated"));
}

TEST_F(TrainCliTest, DevicesListsWhatIsThereAndWhyTheOthersAreNot) {
  const auto result = train({"--devices"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out, AllOf(testing::ContainsRegex("cpu  .* threads, .* free of "), HasSubstr("\ncuda:0 "),
                                HasSubstr("\nemulated ")));
  for (const Device device : {Device{DeviceType::cuda, 0}, Device{DeviceType::emulated, 0}}) {
    const std::string why = why_not(device);
    const std::string line = fmt::format("\n{:<10}  no: {}", device.text(), why);
    EXPECT_EQ(result.out.find(line) != std::string::npos, !why.empty()) << device.text();
  }
}

TEST_F(TrainCliTest, DryRunLeavesNothingBehind) {
  Env::real().create_directories(folder_ / "tmp");
  const auto result = test::run_process(command({"--config", "tiny.yaml", "--dry-run"}),
                                        {.folder = folder_.path(), .environment = {{"TMPDIR", folder_ / "tmp"}}});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("blocks.*.attn"), HasSubstr("10,142"), HasSubstr("attention in training"),
                                HasSubstr("one step"), HasSubstr("memory"), HasSubstr("one evaluation batch"),
                                HasSubstr("one checkpoint"), HasSubstr("nothing left behind")));
  EXPECT_EQ(Env::real().list(folder_.path()), (std::vector<std::string>{"tiny.yaml", "tmp"}));
  EXPECT_TRUE(Env::real().list(folder_ / "tmp").empty());
}

TEST_F(TrainCliTest, ShowBatchWritesAPicture) {
  const auto result = train({"--config", "tiny.yaml", "--show-batch", "batch.png"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(read("batch.png").substr(1, 3), "PNG");
  EXPECT_EQ(Env::real().list(folder_.path()), (std::vector<std::string>{"batch.png", "tiny.yaml"}));
}

TEST_F(TrainCliTest, ResumeTakesItsFolderFromTheConfigAndOverridesAfterIt) {
  EXPECT_THAT(refused({"--resume", "nowhere"}), HasSubstr("--resume: nowhere holds no run"));
  EXPECT_THAT(refused({"--config", "tiny.yaml", "--resume"}), HasSubstr("--resume: runs/tiny holds no run"));
  ASSERT_EQ(train({"--config", "tiny.yaml", "train.epochs=1"}).exit_code, 0);
  EXPECT_TRUE(exists("runs/tiny/checkpoints/step-00000008"));
  EXPECT_THAT(refused({"--config", "tiny.yaml", "train.epochs=1"}), HasSubstr("runs/tiny holds a run already"));
  const auto changed = refused({"--config", "tiny.yaml", "--resume", "seed=1", "attention.K=4"});
  EXPECT_THAT(changed, AllOf(HasSubstr("seed: 0 -> 1"), HasSubstr("attention.K: 3 -> 4")));
  const auto result = train({"--config", "tiny.yaml", "--resume", "train.epochs=2"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(exists("runs/tiny/checkpoints/step-00000016"));
}

TEST_F(TrainCliTest, DamagedCheckpointsAreOneClearError) {
  ASSERT_EQ(train({"--config", "tiny.yaml", "train.epochs=1"}).exit_code, 0);
  const std::string newest = folder_ / "runs/tiny/checkpoints/step-00000008";
  const std::string state = Env::real().read(newest + "/state.json");
  Env::real().write(newest + "/state.json", state.substr(0, state.size() / 2));
  EXPECT_THAT(refused({"--resume", "runs/tiny"}), HasSubstr("step-00000008/state.json: damaged"));
  Env::real().write(newest + "/state.json", state);

  // A whole one, but of another model.
  const auto good = train::CheckpointStore::load(Env::real(), newest);
  train::Snapshot other;
  other.position = good.position;
  other.config = read("runs/tiny/config.yaml");
  other.optimizer = {good.optimizer.begin(), good.optimizer.end()};
  for (const auto& [name, tensor] : good.model) {
    if (name != "blocks.1.attn.gfsa.wK") other.model.emplace_back(name == "head.weight" ? "head.wieght" : name, tensor);
  }
  train::CheckpointStore(Env::real(), folder_ / "runs/tiny").write(other);
  EXPECT_THAT(refused({"--resume", "runs/tiny"}),
              AllOf(HasSubstr("missing tensor blocks.1.attn.gfsa.wK"), HasSubstr("missing tensor head.weight"),
                    HasSubstr("unexpected tensor head.wieght"), HasSubstr("did you mean 'head.weight'?")));
}

}  // namespace
}  // namespace gfsa
