// A dozen broken inputs through the programs themselves: exit code 2, the message and nothing else on standard error,
// nothing on standard output, no file made.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "bad_input/bad_input.h"
#include "base/env.h"
#include "support/process.h"

namespace gfsa::bad_input_test {
namespace {

struct Call {
  std::string program;
  std::vector<std::string> arguments;
  std::string message;  // all of it
};

TEST(BadInputPrograms, SayItOnceAndLeaveNothing) {
  const test::TemporaryFolder folder;
  write(folder / "good.yaml", kBase);
  write(folder / "typo.yaml", before_base("sede: 1\n"));
  write(folder / "png.yaml", golden("images/rgb.png"));
  write(folder / "bomb.yaml", "a: " + std::string(100000, '[') + std::string(100000, ']'));
  write(folder / "set/train/a/1.png", golden("images/rgb.png").substr(0, 100));
  write(folder / "set/val/a/1.png", golden("images/rgb.png"));
  write(folder / "evil.tar", tar_member("../../evil.png", "x") + tar_end());
  write(folder / "w.safetensors", std::string(7, 'x') + '\x80' + "{}");
  const std::vector<Call> calls = {
      {"gfsa-train", {"--config", "typo.yaml"}, "typo.yaml:1:1: sede: unknown key; did you mean 'seed'?\n"},
      {"gfsa-train",
       {"--config", "good.yaml", "train.stpes=1"},
       "command line: train.stpes: unknown key; did you mean 'train.steps'?\n"},
      {"gfsa-train", {"--config", "png.yaml"}, "png.yaml:2:1: has the byte 0x1a, expected YAML text\n"},
      {"gfsa-train", {"--config", "bomb.yaml"}, "bomb.yaml:1:35: nested deeper than 32 levels\n"},
      {"gfsa-train", {"--config", "set"}, "set: is a folder, expected a file\n"},
      {"gfsa-train", {"--resume", "nowhere"}, "--resume: nowhere holds no run (it has no config.yaml)\n"},
      {"gfsa-train",
       {"--config", "good.yaml", "--bencmark", "3"},
       "--bencmark: unknown option; did you mean '--benchmark'?; --help lists all\n"},
      {"gfsa-train",
       {"--config", "good.yaml", "data={source: image_archive, path: evil.tar}"},
       "evil.tar: entry '../../evil.png': expected a relative name without '..'\n"},
      {"gfsa-train",
       {"--config", "good.yaml", "init_from=w.safetensors"},
       "w.safetensors: not a safetensors file: header of 9257281492872624248 bytes, expected at most 100000000\n"},
      {"gfsa-eval",
       {"nowhere"},
       "nowhere: does not exist, expected a run directory, a checkpoint folder or a .safetensors file\n"},
      {"gfsa-eval",
       {"w.safetensors"},
       "w.safetensors: weights alone do not tell the model; give its YAML with --config\n"},
      {"gfsa-eval",
       {"w.safetensors", "--config", "good.yaml"},
       "w.safetensors: not a safetensors file: header of 9257281492872624248 bytes, expected at most 100000000\n"},
      {"gfsa-eval",
       {"set"},
       "set: is no run: it has neither config.yaml nor checkpoints/; expected a run directory, a checkpoint folder or "
       "a .safetensors file\n"},
  };
  const auto before = Env::real().list(folder.path());
  for (const Call& call : calls) {
    std::vector<std::string> command{std::string(GFSA_BINARY_DIR) + "/" + call.program};
    command.insert(command.end(), call.arguments.begin(), call.arguments.end());
    const auto result = test::run_process(command, {.folder = folder.path(), .environment = {{"GFSA_LOG", "info"}}});
    EXPECT_EQ(result.exit_code, 2) << call.program << ": " << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(result.err, call.message);
    EXPECT_EQ(Env::real().list(folder.path()), before) << result.err;
  }
}

// A sample that turns out to be broken while the run is on: the same code and one message; what the run has written so
// far is whole.
TEST(BadInputPrograms, ABrokenPictureEndsTheRun) {
  const test::TemporaryFolder folder;
  write(folder / "good.yaml", kBase);
  for (const char* split : {"train", "val"}) {
    write(folder / fmt::format("set/{}/a/1.png", split), golden("images/rgb.png"));
  }
  write(folder / "set/train/a/2.png", golden("images/rgb.png").substr(0, 100));
  const auto result = test::run_process({std::string(GFSA_BINARY_DIR) + "/gfsa-train", "--config", "good.yaml",
                                         "train.batch_size=2", "data={source: image_folder, path: set}"},
                                        {.folder = folder.path(), .environment = {{"GFSA_LOG", "warn"}}});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, "data: sample 1: set/train/a/2.png: truncated PNG: the data ends before the picture does\n");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path())) {
    EXPECT_FALSE(entry.path().string().ends_with(".tmp")) << entry.path();
  }
}

}  // namespace
}  // namespace gfsa::bad_input_test
