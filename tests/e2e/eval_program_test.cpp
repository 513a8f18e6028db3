// gfsa-eval as a user calls it: what it prints, leaves behind and returns, on a run that gfsa-train has just made.
#include <gmock/gmock.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "formats/tensor_file.h"

namespace gfsa {
namespace {

using testing::HasSubstr;

struct Outcome {
  int exit_code;
  std::string output;  // both streams
};

Outcome call(const std::string& program, const std::string& arguments) {
  FILE* pipe = popen(fmt::format("{}/{} {} 2>&1", GFSA_BINARY_DIR, program, arguments).c_str(), "r");
  std::string output;
  std::array<char, 4096> buffer;
  while (const size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) output.append(buffer.data(), n);
  return {WEXITSTATUS(pclose(pipe)), output};
}

class EvalProgram : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string pattern = (std::filesystem::temp_directory_path() / "gfsa_eval_XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    Env::real().write(folder_ + "/tiny.yaml", R"(
model: {name: vit, width: 16, heads: 2, depth: 2, patch: 8, image_size: 32}
attention: gfsa
data: {source: procedural, train_size: 64, val_size: 40}
train: {epochs: 1, batch_size: 32}
threads: 1
)");
    const auto trained = call("gfsa-train", fmt::format("--config {0}/tiny.yaml run_dir={0}/run", folder_));
    ASSERT_EQ(trained.exit_code, 0) << trained.output;
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(folder_); }
  static std::string file(const std::string& name) { return folder_ + "/" + name; }
  static inline std::string folder_;
};

TEST_F(EvalProgram, EvaluatesARun) {
  const auto r = call("gfsa-eval", fmt::format("{} --data val_limit=30 --output {}", file("run"), file("out.json")));
  ASSERT_EQ(r.exit_code, 0) << r.output;
  EXPECT_THAT(r.output, HasSubstr("95% interval"));
  EXPECT_THAT(r.output, HasSubstr("most frequent mistake"));
  EXPECT_TRUE(Env::real().exists(file("run/eval/confusion_val.png")));
  const auto j = nlohmann::json::parse(Env::real().read(file("out.json")));
  EXPECT_EQ(j["samples"], 30);
  EXPECT_EQ(j["step"], 2);
}

TEST_F(EvalProgram, GivesTheFiguresOfTheRunItself) {
  const auto r = call("gfsa-eval", fmt::format("{} --batch-size 7 --output {}", file("run"), file("own.json")));
  ASSERT_EQ(r.exit_code, 0) << r.output;
  const auto j = nlohmann::json::parse(Env::real().read(file("own.json")));
  const auto state = nlohmann::json::parse(Env::real().read(file("run/checkpoints/step-00000002/state.json")));
  EXPECT_EQ(j["loss"]["value"].get<double>(), state["last_eval"]["loss"].get<double>());
}

TEST_F(EvalProgram, ComparesRuns) {
  const auto r =
      call("gfsa-eval", fmt::format("{0} {0}/checkpoints/step-00000002 --output {1}", file("run"), file("table.csv")));
  ASSERT_EQ(r.exit_code, 0) << r.output;
  EXPECT_THAT(r.output, HasSubstr("samples/s"));
  const std::string csv = Env::real().read(file("table.csv"));
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 3);
}

TEST_F(EvalProgram, VerifiesARunAndRefusesWhatIsDamaged) {
  namespace fs = std::filesystem;
  const auto good = call("gfsa-eval", "--verify " + file("run"));
  EXPECT_EQ(good.exit_code, 0) << good.output;
  EXPECT_THAT(good.output, HasSubstr("the run is whole"));

  fs::copy(file("run"), file("damaged"), fs::copy_options::recursive);
  fs::copy(file("run/checkpoints/step-00000002"), file("damaged/checkpoints/step-00000001"));
  const std::string weights = file("damaged/checkpoints/step-00000002/model.safetensors");
  std::string content = Env::real().read(weights);
  content.back() = static_cast<char>(content.back() ^ 1);
  Env::real().write(weights, content);
  const auto bad = call("gfsa-eval", "--verify " + file("damaged"));
  EXPECT_EQ(bad.exit_code, 2) << bad.output;
  EXPECT_THAT(bad.output, HasSubstr("BAD   " + weights + ": tensor '"));
  EXPECT_THAT(bad.output, HasSubstr("1 of 5 are damaged"));
  const auto refused = call("gfsa-eval", file("damaged"));
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.output, HasSubstr(weights + ": tensor '"));
  EXPECT_THAT(refused.output, HasSubstr("; " + file("damaged/checkpoints/step-00000001") + " is whole"));
  EXPECT_TRUE(Env::real().exists(weights));  // only --resume renames
  fs::remove_all(file("damaged"));
}

TEST_F(EvalProgram, PredictsABareFile) {
  Env& env = Env::real();
  env.write(file("bare.safetensors"), env.read(file("run/checkpoints/step-00000002/model.safetensors")));
  write_tensors(env, file("in.safetensors"), {{"images", Tensor::zeros({3, 3, 32, 32}, DType::f32)}});
  const auto r =
      call("gfsa-eval", fmt::format("{0}/bare.safetensors --config {0}/tiny.yaml --predict {0}/in.safetensors "
                                    "--output {0}/logits.safetensors",
                                    folder_));
  ASSERT_EQ(r.exit_code, 0) << r.output;
  EXPECT_EQ(read_tensors(file("logits.safetensors")).at("logits").shape(), (Shape{3, 10}));
}

TEST_F(EvalProgram, Diagnoses) {
  const auto r = call("gfsa-eval", fmt::format("{} --diagnose {} --diagnose-samples 3", file("run"), file("figures")));
  ASSERT_EQ(r.exit_code, 0) << r.output;
  EXPECT_EQ(Env::real().list(file("figures")).size(), 8u);
}

TEST_F(EvalProgram, BadInputIsExitCode2AndOneMessage) {
  const struct {
    std::string arguments, message;
  } cases[] = {
      {"", "nothing to evaluate"},
      {file("rum"), "did you mean 'run'?"},
      {file("tiny.yaml"), "is a file, expected a run directory"},
      {file("run") + " --ema", "leave out --ema"},
      {file("run") + " --split nowhere", "no split 'nowhere', expected train, val or test"},
      {file("run") + " --output x.txt", "ends in .json or .csv"},
      {file("run") + " --predict x --output y.json", "must name a .safetensors file"},
      {file("run") + " --predict x --diagnose y", "choose one"},
      {file("run") + " " + file("run") + " --diagnose y", "takes one model, 2 are named"},
      {file("run") + " --data pathh=x", "data.pathh: unknown key"},
      {file("run") + " --batch-size 0", "--batch-size"},
      {"--nonsense", "--nonsense"},
  };
  for (const auto& c : cases) {
    const auto r = call("gfsa-eval", c.arguments);
    EXPECT_EQ(r.exit_code, 2) << c.arguments << "\n" << r.output;
    EXPECT_THAT(r.output, HasSubstr(c.message)) << c.arguments;
  }
}

TEST_F(EvalProgram, HelpHasExamples) {
  const auto r = call("gfsa-eval", "--help");
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_THAT(r.output, HasSubstr("gfsa-eval runs/softmax runs/gfsa --output table.csv"));
}

}  // namespace
}  // namespace gfsa
