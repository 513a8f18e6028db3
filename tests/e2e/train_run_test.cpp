// What a run of gfsa-train leaves behind and prints, read by others: JSON, TensorBoard, YAML, PNG.
#include <cmath>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

#include "config/printer.h"
#include "config/reader.h"
#include "e2e/train_program.h"
#include "formats/image.h"
#include "tasks/registry.h"
#include "train/run_config.h"

namespace gfsa {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

// The Python that tests may use: the environment's GFSA_PYTHON, or what PATH has.
std::string python() {
  const char* given = std::getenv("GFSA_PYTHON");
  return given != nullptr ? given : "python3";
}

TEST_F(TrainProgramTest, TheRunDirectoryIsReadByOthers) {
  const auto result = train({"--config", "tiny.yaml", "run_dir=run", "precision=bf16"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, AllOf(HasSubstr("10,142 parameters"), HasSubstr("evaluation at step 8: top1"),
                                HasSubstr("see run/summary.md")));

  train::RunConfig config(tasks::task_registry());
  config::load(config, folder_ / "run/config.yaml");
  EXPECT_EQ(config::print_config(config), read("run/config.yaml"));
  EXPECT_EQ(config.precision, "bf16");
  EXPECT_EQ(config.run_dir, "run");

  const auto environment = json::parse(read("run/environment.json"));
  for (const char* key : {"version", "commit", "compiler", "started", "host", "system", "device_description"}) {
    EXPECT_FALSE(environment.at(key).get<std::string>().empty()) << key;
  }
  EXPECT_EQ(environment.at("threads"), 1);
  EXPECT_THAT(environment.at("data_fingerprint").get<std::string>(), HasSubstr("procedural train 120 pictures"));
  // Where there is a checkout, it is one of its commits; "-dirty" may follow.
  const auto git = [](const std::vector<std::string>& arguments) {
    std::vector<std::string> command{"git", "-C", GFSA_SOURCE_DIR};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return test::run_process(command).exit_code == 0;
  };
  const auto commit = environment.at("commit").get<std::string>();
  if (git({"rev-parse", "HEAD"})) {
    EXPECT_TRUE(git({"cat-file", "-e", commit.substr(0, 12) + "^{commit}"})) << commit;
  }

  EXPECT_THAT(read("run/summary.md"),
              AllOf(HasSubstr("| steps | 24 of 24 |"), HasSubstr("| step | epoch | top1 | top5 |"),
                    HasSubstr("![curves](curves.png)")));
  const std::string png = read("run/curves.png");
  const std::span bytes(reinterpret_cast<const uint8_t*>(png.data()), png.size());
  const Image curves = decode_image(bytes, "curves.png");
  EXPECT_GT(curves.width, 1000);
  EXPECT_GT(curves.height, 1000);
}

TEST_F(TrainProgramTest, TensorBoardReadsTheEvents) {
  if (test::run_process({python(), "-c", "import tensorboard"}).exit_code != 0) {
    GTEST_SKIP() << python() << " has no tensorboard package; set GFSA_PYTHON to one that has";
  }
  ASSERT_EQ(train({"--config", "tiny.yaml", "run_dir=run", "train.epochs=2"}).exit_code, 0);
  // The events of a resumed run are one sequence as well.
  Env::real().remove_all(folder_ / "run/checkpoints/step-00000016");
  ASSERT_EQ(train({"--resume", "run"}).exit_code, 0);
  const std::string script = std::string(GFSA_SOURCE_DIR) + "/tests/e2e/read_tensorboard.py";
  const auto result = test::run_process({python(), script, folder_ / "run/tensorboard"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  std::set<std::pair<std::string, int64_t>> seen;
  std::map<std::string, double> values;
  for (size_t begin = 0, end; (end = result.out.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const auto event = json::parse(result.out.substr(begin, end - begin));
    const auto tag = event.at("tag").get<std::string>();
    EXPECT_TRUE(seen.emplace(tag, event.at("step")).second) << "twice: " << tag << " " << event.at("step");
    values[fmt::format("{} {}", tag, event.at("step").get<int64_t>())] = event.at("value");
  }
  size_t figures = 0;
  for (const auto& row : train::read_metrics(Env::real(), folder_ / "run")) {
    for (const auto& [tag, value] : train::tags_of(row)) {
      ++figures;
      const std::string key = fmt::format("{} {}", tag, row.step);
      ASSERT_TRUE(values.contains(key)) << key;
      EXPECT_NEAR(values[key], value, 1e-6 * std::abs(value)) << key;
    }
  }
  EXPECT_EQ(figures, values.size());
  EXPECT_TRUE(values.contains("coefficients/blocks.1.attn.gfsa.wK/1 16"));
}

TEST_F(TrainProgramTest, BenchmarkPrintsOneJsonObject) {
  for (const std::string precision : {"f32", "bf16"}) {
    const auto result = train({"--config", "tiny.yaml", "--benchmark", "2", "precision=" + precision});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const auto j = json::parse(result.out);
    EXPECT_EQ(j.at("precision"), precision);
    EXPECT_EQ(j.at("batch"), 16);
    EXPECT_EQ(j.at("steps"), 2);
    for (const char* key : {"median", "min", "max"}) EXPECT_GT(j.at("step_ms").at(key), 0) << key;
    for (const char* key : {"samples_per_second", "flop_per_step", "flop_per_second", "gemm_flop_per_second",
                            "gemm_share", "peak_tensor_mb", "peak_rss_mb", "parameters", "loss"}) {
      EXPECT_GT(j.at(key), 0) << key;
    }
    // bf16 by oneDNN takes AVX-512.
    if (precision == "f32") {
      EXPECT_GT(j.at("library_share"), 0);
      EXPECT_GT(j.at("library_cold_share"), 0);
    }
    EXPECT_EQ(j.at("allocations_after_step_2"), 0);
    EXPECT_EQ(Env::real().list(folder_.path()), std::vector<std::string>{"tiny.yaml"});
  }
}

TEST_F(TrainProgramTest, ALossThatIsNotFiniteEndsTheRunWithAReport) {
  const auto result = train({"--config", "tiny.yaml", "run_dir=run", "optimizer.name=sgd", "optimizer.lr=1e30",
                             "train.clip_norm=null", "schedule.warmup_steps=0"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("step 2: the loss is"), HasSubstr("The weights are as before this step"),
                                HasSubstr("its samples are "), HasSubstr("Lower optimizer.lr")));
  EXPECT_FALSE(exists("run/checkpoints"));
}

TEST_F(TrainProgramTest, APictureThatIsNotFiniteIsNamed) {
  std::vector<float> pixels(40 * 3 * 32 * 32, 0.5f);
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 40; ++i) labels.push_back(i % 4);
  pixels[23 * 3 * 32 * 32 + 7] = std::nanf("");
  write_tensors(Env::real(), folder_ / "bad.safetensors",
                {{"images", Tensor::from({40, 3, 32, 32}, pixels)}, {"labels", Tensor::from({40}, labels)}});
  const auto result = train({"--config", "tiny.yaml", "run_dir=run",
                             "data={source: safetensors, path: bad.safetensors, train_split: ., val_split: .}",
                             "augment={flip: 0.0, policy: none, erasing: 0, label_smoothing: 0.1}"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err, "bad.safetensors: images: value 7 of picture 23 is nan, expected finite numbers\n");
  EXPECT_FALSE(exists("run"));
}

}  // namespace
}  // namespace gfsa
