// Checkpoint folders: what is kept, what a killed process leaves, what damage is told.
#include "train/checkpoint.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "support/temporary_folder.h"
#include "train/fake_task.h"

namespace gfsa::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CheckpointTest : public testing::Test {
 protected:
  std::string save(int64_t step, int64_t keep_last = 2, int64_t best = -1) {
    Snapshot s;
    s.position.step = step;
    s.position.epoch = 1;
    s.position.batch = 3;
    s.position.samples = 16 * step;
    s.position.best_step = best;
    if (best >= 0) s.position.best = 0.25;
    s.position.evaluated_step = step;
    s.position.last_eval = {{"top1", 12.5}, {"loss", std::numeric_limits<double>::quiet_NaN()}};
    s.model = {{"w", Tensor::full({2, 3}, static_cast<double>(step), DType::f32)}};
    s.optimizer = {{"step", Tensor::full({1}, static_cast<double>(step), DType::i64)}};
    s.config = "task: fake\n";
    return store_.save(s, keep_last, best >= 0);
  }
  std::vector<std::string> names(bool all = false) {
    std::vector<std::string> out;
    for (const auto& path : store_.list()) out.push_back(std::filesystem::path(path).filename().string());
    return all ? env_.list(folder_ / "checkpoints") : out;
  }

  test::TemporaryFolder folder_;
  Env& env_ = Env::real();
  CheckpointStore store_{env_, folder_.path()};
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
  ASSERT_EQ(c.position.last_eval.size(), 2u);
  EXPECT_EQ(c.position.last_eval[0], (std::pair<std::string, double>{"top1", 12.5}));
  EXPECT_TRUE(std::isnan(c.position.last_eval[1].second));
  EXPECT_EQ(c.model.at("w").to_vector<float>(), std::vector<float>(6, 7));
  EXPECT_TRUE(c.ema.empty());
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
  const std::string checkpoints = folder_ / "checkpoints";
  // Half-written; half-removed; complete, killed just before it got its name.
  env_.create_directories(checkpoints + "/.writing-step-00000004");
  env_.write(checkpoints + "/.writing-step-00000004/model.safetensors", "half");
  env_.create_directories(checkpoints + "/.removing-step-00000001");
  save(5);
  env_.rename(checkpoints + "/step-00000005", checkpoints + "/.writing-step-00000005");
  EXPECT_THAT(names(), ElementsAre("step-00000003"));
  store_.recover();
  EXPECT_THAT(names(true), ElementsAre("step-00000003", "step-00000005"));
  EXPECT_EQ(CheckpointStore::load(env_, store_.latest()).position.step, 5);
  // Written again and killed before the old one made way: the old one stays.
  std::filesystem::copy(store_.latest(), checkpoints + "/.writing-step-00000005");
  store_.recover();
  EXPECT_THAT(names(true), ElementsAre("step-00000003", "step-00000005"));
}

TEST_F(CheckpointTest, AHalfWrittenFolderOfTheSameNameDoesNotMixIn) {
  env_.create_directories(folder_ / "checkpoints/.writing-step-00000004");
  env_.write(folder_ / "checkpoints/.writing-step-00000004/ema.safetensors", "half");
  EXPECT_TRUE(CheckpointStore::load(env_, save(4)).ema.empty());
}

TEST_F(CheckpointTest, DamageIsOneClearError) {
  const auto path = save(3);
  const auto state = path + "/state.json";
  const std::string good = env_.read(state);
  const auto error = [&] { return message_of([&] { CheckpointStore::load(env_, path); }); };
  for (const std::string bad : {"", "{", "[1]", "{}", "nonsense"}) {
    env_.write(state, bad);
    EXPECT_THAT(error(), HasSubstr(state + ": damaged")) << bad;
  }
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    env_.write(state, text);
    return error();
  };
  EXPECT_THAT(with("\"format\": 1", "\"format\": 9"), HasSubstr("checkpoint format 9, expected 1"));
  EXPECT_THAT(with("\"step\": 3", "\"step\": \"3\""), HasSubstr("damaged"));
  EXPECT_THAT(with("\"step\": 3", "\"step\": -3"), HasSubstr("negative"));
  env_.write(state, good);
  env_.write(path + "/optimizer.safetensors", "short");
  EXPECT_THAT(error(), HasSubstr(path + "/optimizer.safetensors"));
  env_.remove_all(path + "/model.safetensors");
  EXPECT_THAT(error(), HasSubstr(path + "/model.safetensors"));
  env_.remove_all(state);
  EXPECT_THAT(error(), HasSubstr("state.json: cannot be read: No such file"));
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
}

}  // namespace
}  // namespace gfsa::train
