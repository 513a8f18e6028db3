#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "data/loader/order.h"
#include "formats/safetensors.h"
#include "loader_fixture.h"

namespace gfsa::data {
namespace {

using testing::HasSubstr;

std::vector<int64_t> indices(const EpochPlan& plan) {
  std::vector<int64_t> out;
  for (const auto& s : plan.samples) out.push_back(s.index);
  return out;
}

TEST(Order, IsAPermutationAndAPureFunctionOfSeedAndEpoch) {
  const UniformOrder order({.samples = 1000, .batch_size = 64, .seed = 7, .drop_last = false});
  const auto first = order.plan(3), again = order.plan(3);
  EXPECT_EQ(first.samples, again.samples);
  EXPECT_EQ(first.batches(), 16);
  EXPECT_EQ(first.batches(), order.batches(3));
  EXPECT_EQ(first.batch(15).size(), 1000u - 15 * 64);
  auto sorted = indices(first);
  EXPECT_FALSE(std::is_sorted(sorted.begin(), sorted.end()));
  std::sort(sorted.begin(), sorted.end());
  for (int64_t i = 0; i < 1000; ++i) ASSERT_EQ(sorted[i], i);
  for (int64_t i = 0; i < 1000; ++i) ASSERT_EQ(first.samples[i].position, static_cast<uint64_t>(i));
  EXPECT_NE(indices(first), indices(order.plan(4)));
  EXPECT_NE(indices(first), indices(UniformOrder({.samples = 1000, .batch_size = 64, .seed = 8}).plan(3)));
  // The batch size cuts the same order elsewhere.
  const UniformOrder other({.samples = 1000, .batch_size = 50, .seed = 7, .drop_last = false});
  EXPECT_EQ(first.samples, other.plan(3).samples);
}

TEST(Order, ShufflesUniformly) {
  // Of 2000 permutations of 6, each place holds each index 333 times on average, deviation 17.
  int counts[6][6] = {};
  for (int64_t epoch = 0; epoch < 2000; ++epoch) {
    const auto order = shuffled(6, 1, epoch);
    for (int i = 0; i < 6; ++i) ++counts[i][order[i]];
  }
  for (const auto& row : counts) {
    for (int count : row) EXPECT_NEAR(count, 333, 85);
  }
}

TEST(Order, SequentialAndDropLast) {
  const UniformOrder all({.samples = 10, .batch_size = 4, .shuffle = false, .drop_last = false});
  EXPECT_EQ(indices(all.plan(5)), (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(all.plan(0).batch(2).size(), 2u);
  const UniformOrder dropped({.samples = 10, .batch_size = 4, .shuffle = false, .drop_last = true});
  EXPECT_EQ(indices(dropped.plan(5)), (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(Order, RanksShareTheGlobalBatches) {
  const UniformOrder one({.samples = 103, .batch_size = 12, .seed = 3});
  const auto whole = one.plan(1);
  std::vector<EpochPlan> ranks;
  for (int64_t r = 0; r < 3; ++r) {
    ranks.push_back(UniformOrder({.samples = 103, .batch_size = 4, .seed = 3, .rank = r, .world = 3}).plan(1));
    ASSERT_EQ(ranks.back().batches(), whole.batches());
  }
  for (int64_t b = 0; b < whole.batches(); ++b) {
    std::vector<SampleRef> joined;
    for (const auto& plan : ranks) joined.insert(joined.end(), plan.batch(b).begin(), plan.batch(b).end());
    std::sort(joined.begin(), joined.end(), [](auto& x, auto& y) { return x.position < y.position; });
    EXPECT_EQ(joined, std::vector<SampleRef>(whole.batch(b).begin(), whole.batch(b).end())) << b;
  }
}

TEST(Order, EvenRanksWrapAroundAndOthersDoNot) {
  for (bool even : {true, false}) {
    std::multiset<int64_t> met;
    for (int64_t r = 0; r < 4; ++r) {
      const UniformOrder order(
          {.samples = 10, .batch_size = 8, .shuffle = false, .drop_last = false, .even = even, .rank = r, .world = 4});
      const auto plan = order.plan(0);
      EXPECT_EQ(plan.samples.size(), even || r < 2 ? 3u : 2u);
      for (const auto& s : plan.samples) met.insert(s.index);
    }
    EXPECT_EQ(met.size(), even ? 12u : 10u);
    EXPECT_EQ(std::set<int64_t>(met.begin(), met.end()).size(), 10u);
  }
}

TEST(Order, RepeatedAugmentationIsTimms) {
  const auto file = SafetensorsFile::open(GFSA_SOURCE_DIR "/tests/golden/repeat_augment.safetensors");
  const auto values = [&](const std::string& name) {
    const auto& t = file.at(name);
    std::vector<int64_t> out(t.bytes / sizeof(int64_t));
    std::memcpy(out.data(), t.data, t.bytes);
    return out;
  };
  int compared = 0;
  for (const auto& name : file.names()) {
    int n, repeats, world, rank;
    if (std::sscanf(name.c_str(), "n%d_r%d_w%d.rank%d", &n, &repeats, &world, &rank) != 4) continue;
    const auto order = values(fmt::format("n{}_r{}_w{}.indices", n, repeats, world));
    std::vector<int64_t> got;
    std::set<std::pair<uint64_t, int64_t>> positions;
    for (const auto& s : rank_samples(order, repeats, true, rank, world)) {
      got.push_back(s.index);
      EXPECT_LT(s.copy, static_cast<uint32_t>(repeats));
      EXPECT_EQ(s.position % static_cast<uint64_t>(world), static_cast<uint64_t>(rank));
      EXPECT_TRUE(positions.emplace(s.position, 0).second);
    }
    EXPECT_EQ(got, values(name)) << name;
    ++compared;
  }
  EXPECT_EQ(compared, 24);
}

TEST(Order, RepeatedAugmentationGivesCopiesOfAThird) {
  const UniformOrder order({.samples = 512, .batch_size = 64, .seed = 1, .repeats = 3});
  const auto plan = order.plan(0);
  ASSERT_EQ(plan.samples.size(), 512u);
  for (size_t i = 0; i < 510; i += 3) {
    for (uint32_t c = 0; c < 3; ++c) {
      EXPECT_EQ(plan.samples[i + c].index, plan.samples[i].index);
      EXPECT_EQ(plan.samples[i + c].copy, c);
    }
  }
  const auto all = indices(plan);
  EXPECT_EQ(std::set<int64_t>(all.begin(), all.end()).size(), 171u);
}

TEST(Order, RefusesWhatGivesNoBatch) {
  EXPECT_THAT(error_of([] { UniformOrder({.samples = 0}); }), HasSubstr("there are no samples"));
  EXPECT_THAT(error_of([] { UniformOrder({.samples = 5, .batch_size = 0}); }), HasSubstr("at least 1"));
  EXPECT_THAT(error_of([] { UniformOrder({.samples = 5, .batch_size = 8}); }),
              HasSubstr("5 samples do not fill one batch of 8; expected a batch size of at most 5"));
  EXPECT_THAT(error_of([] { UniformOrder({.samples = int64_t{1} << 33, .batch_size = 8}); }), HasSubstr("2^32"));
}

}  // namespace
}  // namespace gfsa::data
