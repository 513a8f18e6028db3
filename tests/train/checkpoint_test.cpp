// Checkpoint folders: what is kept, what a killed process leaves, which one a run goes on from.
#include "train/checkpoint/store.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "train/checkpoint/manifest.h"
#include "train/tiny_checkpoint.h"

namespace gfsa::train {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class CheckpointTest : public CheckpointFolder {
 protected:
  std::string save(int64_t step, int64_t keep_last = 2, int64_t best = -1) {
    const auto path = store_.write(tiny_snapshot(step, best));
    store_.prune(keep_last, {best});
    return path;
  }
};

TEST_F(CheckpointTest, ComesBackAsItWas) {
  const auto path = save(7, 2, 5);
  EXPECT_EQ(path, folder_ / "checkpoints/step-00000007");
  EXPECT_EQ(store_.latest(), path);
  const auto c = CheckpointStore::load(env_, path);
  EXPECT_EQ(c.position.step, 7);
  EXPECT_EQ(c.position.epoch, 1);
  EXPECT_EQ(c.position.batch, 3);
  EXPECT_EQ(c.position.samples, 112);
  EXPECT_EQ(c.position.best, 0.25);
  EXPECT_EQ(c.position.best_step, 5);
  EXPECT_EQ(c.position.evaluated_step, 7);
  EXPECT_EQ(c.position.non_finite_in_a_row, 2);
  EXPECT_EQ(c.position.rollback_step, 6);
  ASSERT_EQ(c.position.last_eval.size(), 2u);
  EXPECT_EQ(c.position.last_eval[0], (std::pair<std::string, double>{"top1", 12.5}));
  EXPECT_TRUE(std::isnan(c.position.last_eval[1].second));
  EXPECT_EQ(c.model.at("w").to_vector<float>(), std::vector<float>(6, 7));
  EXPECT_TRUE(c.ema.empty());
  // Only files of tensors have a header in the manifest.
  const std::string manifest = env_.read(path + "/manifest.json");
  size_t headers = 0;
  for (size_t at = 0; (at = manifest.find("\"header\"", at)) != std::string::npos; ++at) ++headers;
  EXPECT_EQ(headers, 2u);
}

TEST_F(CheckpointTest, KeepsTheNewestAndTheBest) {
  for (int64_t step = 1; step <= 5; ++step) save(step, 2, 2);
  EXPECT_THAT(names(), ElementsAre("step-00000002", "step-00000004", "step-00000005"));
  save(6, 2, 6);
  EXPECT_THAT(names(), ElementsAre("step-00000005", "step-00000006"));
  save(7, 1);
  EXPECT_THAT(names(true), ElementsAre("step-00000007"));
}

TEST_F(CheckpointTest, TheSameStepIsReplaced) {
  save(3);
  const auto path = save(3, 2, 3);
  EXPECT_EQ(CheckpointStore::load_position(env_, path).best_step, 3);
  EXPECT_THAT(names(true), ElementsAre("step-00000003"));
}

TEST_F(CheckpointTest, WhatAKilledProcessLeavesIsIgnoredAndCleaned) {
  save(3);
  // Half-written; half-removed; complete, killed just before it got its name.
  env_.create_directories(checkpoints_ + "/.writing-step-00000004");
  env_.write(checkpoints_ + "/.writing-step-00000004/model.safetensors", "half");
  env_.create_directories(checkpoints_ + "/.removing-step-00000001");
  save(5);
  env_.rename(checkpoints_ + "/step-00000005", checkpoints_ + "/.writing-step-00000005");
  EXPECT_THAT(names(), ElementsAre("step-00000003"));
  store_.recover();
  EXPECT_THAT(names(true), ElementsAre("step-00000003", "step-00000005"));
  EXPECT_EQ(store_.load_newest().position.step, 5);
  // Written again and killed before the old one made way: the old one stays.
  std::filesystem::copy(store_.latest(), checkpoints_ + "/.writing-step-00000005");
  store_.recover();
  EXPECT_THAT(names(true), ElementsAre("step-00000003", "step-00000005"));
}

TEST_F(CheckpointTest, CompleteIsWhatTheManifestSays) {
  const std::string writing = checkpoints_ + "/.writing-step-00000005";
  for (const char* file :
       {"model.safetensors", "optimizer.safetensors", "config.yaml", "state.json", "manifest.json"}) {
    save(5);
    env_.rename(checkpoints_ + "/step-00000005", writing);
    env_.remove_all(writing + "/" + file);
    store_.recover();
    EXPECT_THAT(names(true), ElementsAre()) << file;
    save(5);
    env_.rename(checkpoints_ + "/step-00000005", writing);
    const std::string content = env_.read(writing + "/" + file);
    env_.write(writing + "/" + file, content.substr(0, content.size() - 1));
    store_.recover();
    EXPECT_THAT(names(true), ElementsAre()) << file;
  }
}

TEST_F(CheckpointTest, KilledBetweenTheTwoRenamesOfAReplacementOneOfThemIsTaken) {
  const std::string removing = checkpoints_ + "/.removing-step-00000005",
                    writing = checkpoints_ + "/.writing-step-00000005";
  const auto prepare = [&] {
    save(5, 2, 1);
    env_.rename(checkpoints_ + "/step-00000005", removing);
    save(5, 2, 4);
    env_.rename(checkpoints_ + "/step-00000005", writing);
  };
  prepare();
  store_.recover();
  EXPECT_THAT(names(true), ElementsAre("step-00000005"));
  EXPECT_EQ(store_.load_newest().position.best_step, 4);
  env_.remove_all(store_.latest());
  prepare();
  env_.remove_all(writing + "/manifest.json");
  store_.recover();
  EXPECT_THAT(names(true), ElementsAre("step-00000005"));
  EXPECT_EQ(store_.load_newest().position.best_step, 1);
}

TEST_F(CheckpointTest, AHalfWrittenFolderOfTheSameNameDoesNotMixIn) {
  env_.create_directories(folder_ / "checkpoints/.writing-step-00000004");
  env_.write(folder_ / "checkpoints/.writing-step-00000004/ema.safetensors", "half");
  EXPECT_TRUE(CheckpointStore::load(env_, save(4)).ema.empty());
}

TEST_F(CheckpointTest, ADamagedOneIsSetAsideAndTheOneBeforeTaken) {
  for (int64_t step = 1; step <= 4; ++step) save(step, 9);
  flip(checkpoints_ + "/step-00000004/state.json", 20);
  env_.remove_all(checkpoints_ + "/step-00000003/optimizer.safetensors");
  EXPECT_EQ(store_.load_newest().position.step, 2);
  EXPECT_THAT(names(true),
              ElementsAre("damaged-step-00000003", "damaged-step-00000004", "step-00000001", "step-00000002"));
  save(4, 9);
  flip(checkpoints_ + "/step-00000004/config.yaml", 0);
  EXPECT_EQ(store_.load_newest().position.step, 2);
  EXPECT_THAT(names(true), testing::Contains("damaged-step-00000004.2"));
}

TEST_F(CheckpointTest, IfAllAreDamagedNothingIsTouchedAndEachIsTold) {
  save(1);
  save(2);
  flip(checkpoints_ + "/step-00000001/model.safetensors", 0);
  flip(checkpoints_ + "/step-00000002/manifest.json", 5);
  EXPECT_THAT(message_of([&] { store_.load_newest(); }),
              AllOf(HasSubstr("no checkpoint is whole"), HasSubstr("step-00000001/model.safetensors: header: damaged"),
                    HasSubstr("step-00000002/manifest.json: damaged")));
  EXPECT_THAT(names(true), ElementsAre("step-00000001", "step-00000002"));
}

TEST_F(CheckpointTest, AFileThatCannotBeReadNowIsNotForgotten) {
  save(1);
  EXPECT_EQ(store_.advice_without(store_.latest()), "");
  save(2);
  save(3, 9);
  flip(checkpoints_ + "/step-00000002/model.safetensors", 0);
  EXPECT_EQ(store_.advice_without(store_.latest()), "; " + checkpoints_ + "/step-00000001 is whole");
}

TEST_F(CheckpointTest, OneOfAnotherVersionIsNeitherReadNorRenamed) {
  save(1);
  const auto newest = save(2);
  // What the version before this one wrote.
  env_.remove_all(newest + "/manifest.json");
  env_.write(newest + "/state.json", "{\n  \"format\": 1,\n  \"step\": 2\n}\n");
  EXPECT_THAT(message_of([&] { store_.load_newest(); }),
              AllOf(HasSubstr(newest + ": was written by an older version of this program (checkpoint format 1)"),
                    HasSubstr("expected format 2")));
  // What one after it may write, with a checksum that fits.
  std::string text = manifest_text({});
  text.replace(text.find("\"format\": 2"), 11, "\"format\": 3");
  const size_t own = text.find("  \"manifest\"");
  text = text.substr(0, own) + "  \"manifest\": \"" + checksum128(text.substr(0, own)) + "\"\n}\n";
  env_.write(newest + "/manifest.json", text);
  EXPECT_THAT(message_of([&] { store_.load_newest(); }), HasSubstr("manifest.json: checkpoint format 3, expected 2"));
  EXPECT_THAT(names(true), ElementsAre("step-00000001", "step-00000002"));
}

TEST(Position, TheBestIsFiniteAndBetter) {
  Position p;
  const std::pair<std::string, bool> more{"top1", true}, less{"loss", false};
  p.step = 1;
  EXPECT_FALSE(p.note_if_best({{"top1", NAN}}, more));
  EXPECT_TRUE(p.note_if_best({{"loss", 1}, {"top1", 40}}, more));
  p.step = 2;
  EXPECT_FALSE(p.note_if_best({{"top1", 40}}, more));
  EXPECT_FALSE(p.note_if_best({{"top1", NAN}}, more));
  EXPECT_EQ(p.best_step, 1);
  EXPECT_TRUE(p.note_if_best({{"top1", 41}}, more));
  EXPECT_EQ(p.best_step, 2);
  EXPECT_TRUE(p.note_if_best({{"loss", 0.5}}, less));
  EXPECT_FALSE(p.note_if_best({{"loss", 0.6}}, less));
  EXPECT_FALSE(p.note_if_best({{"loss", 0.5}}, less));
}

TEST(Position, AStateThatIsNoneIsToldWithItsFile) {
  const std::string good = state_text({});
  EXPECT_EQ(parse_state(good, "f").step, 0);
  for (const std::string bad : {"", "{", "[1]", "{}", "nonsense"}) {
    EXPECT_THAT(message_of([&] { parse_state(bad, "f"); }), HasSubstr("f: damaged, this is not a checkpoint's state"));
  }
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return message_of([&] { parse_state(text, "f"); });
  };
  EXPECT_THAT(with("\"step\": 0", "\"step\": \"3\""), HasSubstr("f: 'step' is \"3\", expected a whole number"));
  EXPECT_THAT(with("\"step\": 0", "\"step\": -3"), HasSubstr("f: the position is negative"));
}

}  // namespace
}  // namespace gfsa::train
