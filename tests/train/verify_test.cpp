// What --verify looks at in a run directory, and that it sees each kind of damage.
#include "train/verify.h"

#include <gmock/gmock.h>

#include <map>

#include "base/strings.h"
#include "base/threads.h"
#include "config/printer.h"
#include "train/tiny_checkpoint.h"
#include "train/trainer.h"

namespace gfsa::train {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using State = VerifyRow::State;

class VerifyTest : public CheckpointFolder {
 protected:
  VerifyTest() {
    set_threads(1);
    const auto config = fake_config({"run_dir=" + folder_.path()});
    EXPECT_EQ(run_training(*config, config::print_config(*config), false), kExitDone);
  }
  ~VerifyTest() override { set_threads(0); }

  // The one row that is bad, of a run in which `file` is `content` meanwhile.
  std::string told(const std::string& file, const std::string& content) {
    const std::string path = folder_ / file;
    const std::string good = env_.read(path);
    env_.write(path, content);
    const auto rows = verify_run(env_, fake_registry(), folder_.path());
    env_.write(path, good);
    EXPECT_FALSE(all_good(rows));
    std::string details;
    for (const auto& row : rows) details += row.state == State::kBad ? row.what + ": " + row.detail + "\n" : "";
    return details;
  }
};

TEST_F(VerifyTest, AWholeRunIsGood) {
  const auto rows = verify_run(env_, fake_registry(), folder_.path());
  EXPECT_TRUE(all_good(rows)) << to_text(rows);
  std::map<std::string, std::string> details;
  for (const auto& row : rows) details[row.what] = row.detail;
  EXPECT_EQ(details.at("config.yaml"), "task fake, seed 3");
  EXPECT_EQ(details.at("metrics.jsonl"), "21 rows");
  EXPECT_THAT(details.at("environment.json"), HasSubstr("version "));
  uint64_t bytes = 0;  // of all files but the manifest, which cannot name its own size
  for (const auto& name : env_.list(checkpoints_ + "/step-00000012")) {
    if (name != "manifest.json") bytes += env_.open(checkpoints_ + "/step-00000012/" + name)->size();
  }
  EXPECT_EQ(details.at("checkpoints/step-00000012"), "step 12, " + human_bytes(static_cast<double>(bytes)));
  EXPECT_THAT(to_text(rows), AllOf(HasSubstr("config.yaml"), HasSubstr("  good  "), HasSubstr("the run is whole\n")));
}

TEST_F(VerifyTest, EachKindOfDamageIsSeen) {
  EXPECT_THAT(told("config.yaml", "task: fake\nsamplse: 3\n"), HasSubstr("config.yaml: "));
  EXPECT_THAT(told("environment.json", "{\"version\": "),
              HasSubstr("environment.json: damaged, expected a JSON object"));
  EXPECT_THAT(told("environment.json", "{\"version\": \"1\"}"), HasSubstr("'started' is missing"));
  const std::string metrics = env_.read(folder_ / "metrics.jsonl");
  EXPECT_THAT(told("metrics.jsonl", "{\"kind\n" + metrics), HasSubstr("metrics.jsonl: line 1: is no row"));
  for (const auto& path : store_.list()) {
    const std::string checkpoint = path.substr(folder_.path().size() + 1);
    for (const auto& file : env_.list(path)) {
      std::string content = env_.read(path + "/" + file);
      content.back() = static_cast<char>(content.back() ^ 1);
      EXPECT_THAT(told(checkpoint + "/" + file, content), HasSubstr(checkpoint + ": " + path + "/" + file)) << file;
    }
  }
  EXPECT_TRUE(all_good(verify_run(env_, fake_registry(), folder_.path())));
}

TEST_F(VerifyTest, WhatAKilledProcessLeavesIsNoDamage) {
  env_.append(folder_ / "metrics.jsonl", "{\"kind\":\"tra");
  env_.create_directories(checkpoints_ + "/.writing-step-00000099");
  env_.create_directories(checkpoints_ + "/damaged-step-00000001");
  const auto rows = verify_run(env_, fake_registry(), folder_.path());
  EXPECT_TRUE(all_good(rows)) << to_text(rows);
  EXPECT_THAT(to_text(rows), AllOf(HasSubstr("a torn last line that --resume drops"),
                                   HasSubstr("left by a process that ended"), HasSubstr("not part of the run")));
}

TEST_F(VerifyTest, AValueThatIsNotFiniteIsDamage) {
  Snapshot s = tiny_snapshot(20);
  s.model[0].second.data<float>()[2] = std::numeric_limits<float>::infinity();
  const auto path = store_.write(s);
  EXPECT_THAT(
      to_text(verify_run(env_, fake_registry(), folder_.path())),
      AllOf(HasSubstr(path + "/model.safetensors: tensor 'w': is not finite"), HasSubstr("1 of 6 are damaged")));
}

TEST_F(VerifyTest, WhatIsNoRunIsRefused) {
  const auto refused = [&](const std::string& path) {
    return message_of([&] { verify_run(env_, fake_registry(), path); });
  };
  EXPECT_THAT(refused(folder_ / "nowhere"), HasSubstr("does not exist, expected a run directory"));
  EXPECT_THAT(refused(folder_ / "tensorboard"), HasSubstr("is no run"));
}

}  // namespace
}  // namespace gfsa::train
