#include "core/philox.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "core/cpu/philox_block.h"
#include "core/cpu/simd.h"

namespace gfsa {
namespace {

std::array<uint32_t, 4> block(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  RandomKey k;
  k.key = static_cast<uint64_t>(key[1]) << 32 | key[0];
  k.step = counter[3];
  return philox(k, counter[2], static_cast<uint64_t>(counter[1]) << 32 | counter[0]);
}

// Random123's kat_vectors, "philox4x32 10".
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(block({0, 0, 0, 0}, {0, 0}), (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(block({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(block({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, SeedStreamAndStepEachGiveOtherNumbers) {
  std::set<uint32_t> first;
  for (uint64_t seed : {1, 2}) {
    for (const char* stream : {"dropout", "init"}) {
      for (uint64_t step : {0, 1}) first.insert(philox(RandomKey(seed, stream, step), 0, 0)[0]);
    }
  }
  EXPECT_EQ(first.size(), 8u);
  EXPECT_EQ(philox(RandomKey(1, "init", 3), 4, 5), philox(RandomKey(1, "init", 3), 4, 5));
}

TEST(Philox, SequenceReadsTheBlocksInOrder) {
  const RandomKey key(5, "x");
  RandomSequence s(key, 7);
  for (uint64_t index : {0, 1, 2}) {
    for (uint32_t expected : philox(key, 7, index)) EXPECT_EQ(s.bits(), expected);
  }
}

TEST(Philox, BlocksAreTheSameNumbersOnEveryInstructionSet) {
  const simd::Isa active = simd::active();
  RandomKey key(0xFEDCBA9876543210ull, "block", 0xFFFFFFFFu);
  for (simd::Isa isa : {simd::Isa::baseline, simd::Isa::avx2, simd::Isa::avx512}) {
    if (isa > simd::supported()) continue;
    simd::set_active(isa);
    // First numbers whose lower half carries into the upper one, within a register's counters and between them.
    for (uint64_t first : {uint64_t{0}, uint64_t{5}, uint64_t{0xFFFFFFFD}, uint64_t{0xFFFFFFF8}, uint64_t{1} << 40}) {
      for (int64_t counters : {1, 3, 4, 7, 8, 9, 16, 29}) {
        const auto room = static_cast<size_t>((counters + kPhiloxLanes - 1) / kPhiloxLanes * kPhiloxLanes * 4);
        std::vector<uint32_t> got(room + 1, 77);
        philox_block(key, 0x89ABCDEFu, first, counters, got.data());
        for (int64_t i = 0; i < counters; ++i) {
          const auto expected = philox(key, 0x89ABCDEFu, first + static_cast<uint64_t>(i));
          for (size_t lane = 0; lane < 4; ++lane) {
            ASSERT_EQ(got[static_cast<size_t>(4 * i) + lane], expected[lane])
                << simd::name(isa) << ", first " << first << ", counter " << i << ", lane " << lane;
          }
        }
        ASSERT_EQ(got.back(), 77u) << simd::name(isa);
      }
    }
  }
  simd::set_active(active);
}

TEST(Philox, Distributions) {
  RandomSequence s(RandomKey(1, "test"));
  constexpr int kDraws = 200000;
  double sum = 0, squares = 0, uniform = 0;
  std::array<int, 7> counts{};
  for (int i = 0; i < kDraws; ++i) {
    const double x = s.normal(), u = s.uniform(2, 4);
    sum += x, squares += x * x, uniform += u;
    ASSERT_TRUE(u >= 2 && u < 4);
    ++counts[s.below(7)];
  }
  // Five standard deviations.
  EXPECT_NEAR(sum / kDraws, 0, 5 / std::sqrt(kDraws));
  EXPECT_NEAR(squares / kDraws, 1, 5 * std::sqrt(2.0 / kDraws));
  EXPECT_NEAR(uniform / kDraws, 3, 5 * 2 / std::sqrt(12.0 * kDraws));
  for (int n : counts) EXPECT_NEAR(n, kDraws / 7.0, 5 * std::sqrt(kDraws * 6.0 / 49));
  EXPECT_EQ(s.below(1), 0u);
  EXPECT_EQ(uniform_from_bits(0), 0.0f);
  EXPECT_LT(uniform_from_bits(~0u), 1.0f);
}

}  // namespace
}  // namespace gfsa
