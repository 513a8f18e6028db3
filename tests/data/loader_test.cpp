#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "loader_fixture.h"

namespace gfsa::data {
namespace {

using testing::HasSubstr;

const UniformOrderOptions kOrder{.samples = 45, .batch_size = 4, .seed = 9, .drop_last = false};

TEST(Batch, NamesWhatItHas) {
  Batch batch;
  batch.set("images", Tensor::zeros({2}, DType::f32));
  batch.set("labels", Tensor::zeros({3}, DType::i64));
  batch.set("images", Tensor::zeros({4}, DType::f32));
  EXPECT_EQ(batch.names(), (std::vector<std::string>{"images", "labels"}));
  EXPECT_EQ(batch.at("images").dim(0), 4);
  EXPECT_EQ(error_of([&] { batch.at("label"); }),
            "the batch has no tensor 'label', it has: images, labels; did you mean 'labels'?");
}

TEST(Loader, GivesTheSameBatchesForAnyNumberOfWorkers) {
  const UniformOrder order(kOrder);
  NumberMaker reference(45);
  Loader inline_loader(reference, order, loader_config(0), {}, 3);
  const auto expected = read_all(inline_loader);
  ASSERT_EQ(expected.size(), 3u * 12);
  EXPECT_EQ(expected[11].samples.size(), 1u);  // the rest
  EXPECT_EQ(expected[12].epoch, 1);
  for (int workers = 1; workers <= 4; ++workers) {
    for (int prefetch : {1, 2, 5}) {
      NumberMaker maker(45);
      maker.slow = true;
      Loader loader(maker, order, loader_config(workers, prefetch), {}, 3);
      EXPECT_EQ(read_all(loader), expected) << workers << " workers, prefetch " << prefetch;
      EXPECT_EQ(maker.fills, 3 * 45);
      EXPECT_EQ(maker.finishes, 3 * 12);
      EXPECT_EQ(loader.figures().samples, 3 * 45);
    }
  }
}

TEST(Loader, ResumesAtEveryBatch) {
  const UniformOrder order({.samples = 30, .batch_size = 4, .seed = 2});
  NumberMaker maker(30);
  Loader whole(maker, order, loader_config(0), {}, 2);
  std::vector<LoaderPosition> positions{whole.position()};
  std::vector<Seen> expected;
  while (auto batch = whole.next()) {
    expected.push_back(seen(*batch));
    positions.push_back(whole.position());
  }
  ASSERT_EQ(expected.size(), 14u);
  EXPECT_EQ(positions[7], (LoaderPosition{1, 0}));
  for (size_t k = 0; k < positions.size(); ++k) {
    for (int workers : {0, 3}) {
      Loader rest(maker, order, loader_config(workers), positions[k], 2);
      EXPECT_EQ(rest.position(), positions[k]);
      EXPECT_EQ(read_all(rest), std::vector<Seen>(expected.begin() + static_cast<int64_t>(k), expected.end())) << k;
    }
  }
  // "After the last batch" is the start of the next epoch; beyond it the data have changed.
  EXPECT_EQ(Loader(maker, order, loader_config(0), {0, 7}, 2).position(), (LoaderPosition{1, 0}));
  EXPECT_THAT(error_of([&] {
                Loader(maker, order, loader_config(0), {0, 8}, 2);
              }),
              HasSubstr("stopped after batch 8 of epoch 0, but an epoch of these data has 7 batches"));
}

TEST(Loader, NothingAfterTheEnd) {
  NumberMaker maker(8);
  const UniformOrder order({.samples = 8, .batch_size = 4});
  for (int workers : {0, 2}) {
    Loader loader(maker, order, loader_config(workers), {}, 1);
    EXPECT_EQ(read_all(loader).size(), 2u);
    EXPECT_FALSE(loader.next());
    EXPECT_FALSE(loader.next());
  }
}

TEST(Loader, PassesOnWhatABrokenSampleThrows) {
  const UniformOrder order({.samples = 40, .batch_size = 8, .shuffle = false});
  for (int workers : {0, 1, 4}) {
    NumberMaker maker(40);
    maker.broken = {21, 18, 23, 35};
    Loader loader(maker, order, loader_config(workers, 4), {}, 1);
    EXPECT_TRUE(loader.next());
    EXPECT_TRUE(loader.next());
    // The first of the batch in order, whatever thread met which first; and again.
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(error_of([&] { loader.next(); }), "data: sample 18: cannot read number-18");
    }
  }
}

TEST(Loader, PassesOnOtherExceptionsWithTheSamplesName) {
  const UniformOrder order({.samples = 4, .batch_size = 4});
  for (const char* on_error : {"fail", "skip"}) {  // a failure of ours is never skipped
    for (int workers : {0, 2}) {
      NumberMaker maker(4);
      maker.bug = 2;
      Loader loader(maker, order, loader_config(workers, 1, on_error), {}, 1);
      try {
        loader.next();
        ADD_FAILURE();
      } catch (const Error& e) {
        EXPECT_EQ(e.message(), "data: sample 2 (number-2): a bug");
        EXPECT_EQ(e.exit_code(), kExitFailed);
      }
    }
  }
}

TEST(Loader, SkipsBrokenSamplesDeterministically) {
  const UniformOrder order(kOrder);
  std::vector<Seen> expected;
  for (int workers : {0, 1, 3}) {
    NumberMaker maker(45);
    maker.broken = {7, 8, 44};
    maker.slow = workers > 0;
    Loader loader(maker, order, loader_config(workers, 3, "skip"), {}, 2);
    const auto got = read_all(loader);
    if (workers == 0) expected = got;
    EXPECT_EQ(got, expected);
    EXPECT_EQ(loader.figures().skipped, 3);
    const auto skipped = loader.skipped();
    ASSERT_EQ(skipped.size(), 3u);
    EXPECT_EQ(skipped[2].name, "number-44");
    EXPECT_EQ(skipped[2].why, "cannot read number-44");
  }
  // 7 and 8 became 9; 44 wrapped around to 0; all others are as without errors.
  NumberMaker sound(45);
  Loader loader(sound, order, loader_config(0), {}, 2);
  const auto without = read_all(loader);
  for (size_t b = 0; b < expected.size(); ++b) {
    ASSERT_EQ(expected[b].noise, without[b].noise);  // same positions, same random numbers
    for (size_t i = 0; i < expected[b].samples.size(); ++i) {
      const int64_t index = without[b].samples[i];
      EXPECT_EQ(expected[b].samples[i], index == 7 || index == 8 ? 9 : index == 44 ? 0 : index);
    }
  }
}

TEST(Loader, FailsWhereNothingIsSound) {
  NumberMaker maker(5);
  maker.broken = {0, 1, 2, 3, 4};
  const UniformOrder order({.samples = 5, .batch_size = 2, .shuffle = false});
  for (int workers : {0, 2}) {
    Loader loader(maker, order, loader_config(workers, 2, "skip"));
    EXPECT_THAT(error_of([&] { loader.next(); }), HasSubstr("5 samples in a row from 0 (number-0) are broken"));
  }
}

class Faulty : public NumberMaker {
 public:
  explicit Faulty(bool in_finish) : NumberMaker(20), in_finish_(in_finish) {}
  void allocate(Batch& batch, std::span<const SampleRef> samples) override {
    if (!in_finish_ && batch.index == 2) fail("no memory");
    NumberMaker::allocate(batch, samples);
  }
  void finish(Batch& batch) override {
    if (in_finish_ && batch.index == 2) fail("no memory");
    NumberMaker::finish(batch);
  }

 private:
  bool in_finish_;
};

TEST(Loader, PassesOnErrorsOfWholeBatches) {
  const UniformOrder order({.samples = 20, .batch_size = 4});
  for (bool in_finish : {false, true}) {
    for (int workers : {0, 3}) {
      Faulty maker(in_finish);
      Loader loader(maker, order, loader_config(workers));
      EXPECT_TRUE(loader.next());
      EXPECT_TRUE(loader.next());
      EXPECT_EQ(error_of([&] { loader.next(); }), "no memory");
    }
  }
}

class BrokenOrder : public BatchOrder {
 public:
  EpochPlan plan(int64_t epoch) const override {
    if (epoch == 1) fail("no order");
    EpochPlan plan;
    plan.samples = {{0, 0, 0}, {1, 0, 1}};
    plan.cuts = {0, 2};
    return plan;
  }
};

TEST(Loader, PassesOnErrorsOfTheOrder) {
  for (int workers : {0, 2}) {
    NumberMaker maker(2);
    const BrokenOrder order;
    Loader loader(maker, order, loader_config(workers));
    EXPECT_TRUE(loader.next());
    EXPECT_EQ(error_of([&] { loader.next(); }), "no order");
  }
}

TEST(Loader, StopsAtAnyMoment) {
  const UniformOrder order({.samples = 64, .batch_size = 16});
  for (int round = 0; round < 60; ++round) {
    NumberMaker maker(64);
    maker.slow = round % 2 == 0;
    if (round % 5 == 0) maker.broken = {3};
    Loader loader(maker, order, loader_config(1 + round % 4, 1 + round % 3));
    try {
      for (int i = 0; i < round % 7; ++i) loader.next();
    } catch (const Error&) {
    }
  }
}

TEST(Loader, MeasuresWaiting) {
  NumberMaker maker(64);
  maker.slow = true;
  const UniformOrder order({.samples = 64, .batch_size = 16});
  Loader here(maker, order, loader_config(0), {}, 1);
  EXPECT_EQ(here.figures().waiting_share(), 0);
  read_all(here);
  const auto all_waiting = here.figures();
  EXPECT_EQ(all_waiting.batches, 4);
  EXPECT_GT(all_waiting.waiting_share(), 0.5);
  EXPECT_LE(all_waiting.waiting_share(), 1);

  // A caller that is slower than the workers hardly waits, but for the first batch.
  Loader ahead(maker, order, loader_config(2, 2), {}, 3);
  while (ahead.next()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_LT(ahead.figures().waiting_share(), 0.5);
}

}  // namespace
}  // namespace gfsa::data
