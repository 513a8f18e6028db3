// Planted bugs of wgmma.
#include "core/cuda/emulated/planted_warpgroup.h"

namespace gfsa::emulated {
namespace {

// The tile at that byte, as a or b of Major::k.
uint64_t at(uint32_t byte) { return matrix_descriptor(byte, 0, 1024); }
using Sums = float[8][4];

// d += tile tile^T over 16 columns.
void multiply(Sums& d, Where where = Where::current()) { wgmma<Major::k>(d, at(0), at(0), true, where); }
void finish(Sums& d) {
  wgmma_commit();
  wgmma_wait<0>(d);
}

PLANTED_WITH_MAP(Multiplies, Global<float> y) {
  bring_and_wait();
  Sums d = {};
  wgmma_fence();
  multiply(d);
  wgmma_commit();
  store(y, thread_x(), d[3][1]);  // under way: a NaN
  wgmma_wait<0>(d);
  store(y, 128 + thread_x(), d[3][1]);
}
TEST_F(PlantedWarpgroup, AccumulatorsUnderWayAreNan) {
  launch(Multiplies{map()}, one_block(), y.data());
  const auto values = y.values();
  for (size_t i = 0; i < 128; ++i) {
    EXPECT_TRUE(std::isnan(values[i])) << i;
    EXPECT_EQ(values[128 + i], 4.0f) << i;
  }
}

PLANTED_WITH_MAP(LanesDiffer, Global<float>) {
  bring_and_wait();
  Sums d = {};
  wgmma_fence();
  BUG wgmma<Major::k>(d, at(0), at(lane() < 5 ? 0 : 32), true);
  finish(d);
}
TEST_F(PlantedWarpgroup, LanesWithDifferentTiles) {
  expect_finding_at_bug<LanesDiffer>(FindingKind::divergent_barrier, {"lanes 0 and 5 of warp"},
                                     [&] { launch(LanesDiffer{map()}, one_block(), y.data()); });
}

PLANTED_WITH_MAP(ALaneElsewhere, Global<float>) {
  bring_and_wait();
  Sums d = {};
  wgmma_fence();
  if (lane() == 7) multiply(d);
  BUG if (lane() != 7) multiply(d);
  finish(d);
}
TEST_F(PlantedWarpgroup, LanesAtDifferentPlaces) {
  expect_finding(FindingKind::divergent_barrier, {"divergent warp", "wgmma"},
                 [&] { launch(ALaneElsewhere{map()}, one_block(), y.data()); });
}

PLANTED_WITH_MAP(WarpsDiffer, Global<float>) {
  bring_and_wait();
  Sums d = {};
  wgmma_fence();
  BUG wgmma<Major::k>(d, at(warp() == 2 ? 32 : 0), at(0), true);
  finish(d);
}
TEST_F(PlantedWarpgroup, WarpsWithDifferentTiles) {
  expect_finding_at_bug<WarpsDiffer>(FindingKind::divergent_barrier, {"divergent warpgroup: product number 0 of warp"},
                                     [&] { launch(WarpsDiffer{map()}, one_block(), y.data()); });
}

PLANTED_WITH_MAP(AWarpStopsEarly, Global<float>) {
  bring_and_wait();
  Sums d = {};
  wgmma_fence();
  multiply(d);
  BUG if (warp() != 1) multiply(d);
  finish(d);
}
TEST_F(PlantedWarpgroup, AWarpIssuesFewer) {
  expect_finding_at_bug<AWarpStopsEarly>(FindingKind::divergent_barrier, {"warps 0 to 3 issued 2, 1, 2, 2 products"},
                                         [&] { launch(AWarpStopsEarly{map()}, one_block(), y.data()); });
}

TEST_F(PlantedWarpgroup, HalfAWarpgroup) {
  expect_finding(FindingKind::bad_launch, {"wgmma in a block of 64 threads"}, [&] {
    launch(Multiplies{map()}, {.grid = {1}, .block = {64}, .shared_bytes = kSharedBytes}, y.data());
  });
}

PLANTED_WITH_MAP(OfDescriptor, Global<float>, uint64_t a) {
  bring_and_wait();
  Sums d = {};
  wgmma_fence();
  BUG wgmma<Major::k>(d, a, at(0), true);
  finish(d);
}
TEST_F(PlantedWarpgroup, Descriptors) {
  const auto expect = [&](FindingKind kind, const char* part, uint64_t a) {
    expect_finding_at_bug<OfDescriptor>(kind, {part}, [&] { launch(OfDescriptor{map()}, one_block(), y.data(), a); });
  };
  expect(FindingKind::bad_launch, "swizzle mode 0", at(0) & ~(uint64_t{3} << 62));
  expect(FindingKind::bad_launch, "swizzle mode 2", uint64_t{2} << 62);
  expect(FindingKind::bad_launch, "base offset 1", at(0) | uint64_t{1} << 49);
  expect(FindingKind::out_of_bounds, "which no array holds", at(34 << 10));
  expect(FindingKind::out_of_bounds, "which no array holds", at(255 << 10));
  expect(FindingKind::uninitialised, "nobody wrote byte 0 of them", at(8192));
}

PLANTED_WITH_MAP(MultipliesTooEarly, Global<float>) {
  set_up(1);
  bring_tile();
  sync_block();
  Sums d = {};
  wgmma_fence();
  BUG multiply(d);
  wgmma_commit();
  mbarrier_wait(barriers(), 0, 0);
  wgmma_wait<0>(d);
}
TEST_F(PlantedWarpgroup, AProductOfATileThatHasNotCome) {
  expect_finding_at_bug<MultipliesTooEarly>(FindingKind::missing_wait, {"the product here", "copy_box_async"},
                                            [&] { launch(MultipliesTooEarly{map()}, one_block(), y.data()); });
}

// A lane that waits speaks for the others only after sync_warp.
PLANTED_WITH_MAP(OneLaneWaits, Global<float>, bool tells) {
  set_up(1);
  bring_tile();
  if (lane() == 0) mbarrier_wait(barriers(), 0, 0);
  if (tells) sync_warp();
  Sums d = {};
  wgmma_fence();
  BUG multiply(d);
  finish(d);
}
TEST_F(PlantedWarpgroup, OneLaneWaitsForTheTile) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Found f = found([&] { launch(OneLaneWaits{map()}, one_block(), y.data(), true); }, seed);
    ASSERT_FALSE(f.kind) << f.text;
  }
  expect_finding_at_bug<OneLaneWaits>(FindingKind::missing_wait, {"not all lanes of warp"},
                                      [&] { launch(OneLaneWaits{map()}, one_block(), y.data(), false); });
}

// Zeros, 16 bytes a thread and round.
void store_tile(Where where = Where::current()) {
  for (int i = static_cast<int>(thread_x()); i < 512; i += 128) {
    store_vector(tile(), i * 8, Vector<bfloat16, 8>{}, where);
  }
}
enum StoresHow { kRight, kNoBarrier, kNoFence, kFenceTooLate, kFenceTooEarly };
PLANTED(StoresTile, Global<float>, int how) {
  if (how == kFenceTooEarly) fence_async_proxy();
  store_tile();
  if (how == kRight || how == kNoBarrier) fence_async_proxy();
  if (how != kNoBarrier) sync_block();
  if (how == kFenceTooLate) fence_async_proxy();
  Sums d = {};
  wgmma_fence();
  BUG multiply(d);
  finish(d);
}
TEST_F(PlantedWarpgroup, StoredTiles) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Found f = found([&] { launch(StoresTile{}, one_block(), y.data(), kRight); }, seed);
    ASSERT_FALSE(f.kind) << f.text;
  }
  for (const int how : {kNoFence, kFenceTooLate, kFenceTooEarly}) {
    expect_finding_at_bug<StoresTile>(FindingKind::shared_race, {"no fence_async_proxy between"},
                                      [&] { launch(StoresTile{}, one_block(), y.data(), how); });
  }
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Found f = found([&] { launch(StoresTile{}, one_block(), y.data(), kNoBarrier); }, seed);
    ASSERT_TRUE(f.kind == FindingKind::shared_race || f.kind == FindingKind::uninitialised) << f.text;
  }
}

// Ordered after the issue, which is not enough.
PLANTED_WITH_MAP(StoresMeanwhile, Global<float>) {
  bring_and_wait();
  Sums d = {};
  wgmma_fence();
  BUG multiply(d);
  wgmma_commit();
  sync_block();
  if (thread_x() == 40) store(tile(), 5, to_bfloat16(2.0f));
  sync_block();
  wgmma_wait<0>(d);
}
TEST_F(PlantedWarpgroup, ATileThatIsStoredOverMeanwhile) {
  expect_finding_at_bug<StoresMeanwhile>(FindingKind::shared_race, {"read by the product here", "write by thread 40 "},
                                         [&] { launch(StoresMeanwhile{map()}, one_block(), y.data()); });
}

// Two tiles through one buffer; the consumers' second mbarrier says that it is empty.
PLANTED_WITH_MAP(GivesBackTooEarly, Global<float>, bool early) {
  const Shared<Mbarrier> b = barriers();
  if (thread_x() == 0) {
    mbarrier_init(b, 0, 1);
    mbarrier_init(b, 1, 4);
    mbarrier_init_fence();
  }
  sync_block();
  if (warp() == 4) {
    if (lane() != 0) return;
    for (uint32_t i = 0; i < 2; ++i) {
      mbarrier_wait(b, 1, i ^ 1);
      mbarrier_arrive_expect(b, 0, 8192);
      copy_box_async(tile(), 0, map, {}, b, 0);
    }
    return;
  }
  Sums d = {};
  for (uint32_t i = 0; i < 2; ++i) {
    mbarrier_wait(b, 0, i);
    wgmma_fence();
    multiply(d);
    wgmma_commit();
    if (early && lane() == 0) mbarrier_arrive(b, 1);
    wgmma_wait<0>(d);
    if (!early && lane() == 0) mbarrier_arrive(b, 1);
  }
}
TEST_F(PlantedWarpgroup, ABufferGivenBackTooEarly) {
  const Launch how{.grid = {1}, .block = {160}, .shared_bytes = kSharedBytes};
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Found f = found([&] { launch(GivesBackTooEarly{map()}, how, y.data(), false); }, seed);
    ASSERT_FALSE(f.kind) << f.text;
    f = found([&] { launch(GivesBackTooEarly{map()}, how, y.data(), true); }, seed);
    ASSERT_TRUE(f.kind == FindingKind::shared_race || f.kind == FindingKind::missing_wait) << f.text;
  }
}

// A store, which no mbarrier tells of, into a tile that a product has read: without an order after its wait.
PLANTED_WITH_MAP(StoresAfterTheWaitOfAnother, Global<float>) {
  bring_and_wait();
  Sums d = {};
  wgmma_fence();
  multiply(d);
  finish(d);
  if (thread_x() == 40) store(tile(), 5, to_bfloat16(2.0f));
}
TEST_F(PlantedWarpgroup, AStoreAfterItsOwnWaitOnly) {
  expect_finding(FindingKind::shared_race, {"race in shared memory", "warp 1 lane 8"},
                 [&] { launch(StoresAfterTheWaitOfAnother{map()}, one_block(), y.data()); });
}

enum TouchHow { kTouchD, kTouchA, kTouchNothing };
PLANTED_WITH_MAP(Touches, Global<float>, int how) {
  bring_and_wait();
  Sums d = {};
  uint32_t a[4] = {1, 2, 3, 4};
  wgmma_fence();
  BUG wgmma<Major::k>(d, a, at(0), true);
  wgmma_commit();
  if (how == kTouchD && thread_x() == 77) d[2][3] += 1;
  if (how == kTouchA && thread_x() == 77) a[3] = 5;
  wgmma_wait<0>(d);
}
TEST_F(PlantedWarpgroup, RegistersTouchedMeanwhile) {
  expect_finding_at_bug<Touches>(FindingKind::missing_wait, {"lane 13 changed d[2][3]"},
                                 [&] { launch(Touches{map()}, one_block(), y.data(), kTouchD); });
  expect_finding_at_bug<Touches>(FindingKind::missing_wait, {"lane 13 changed a while"},
                                 [&] { launch(Touches{map()}, one_block(), y.data(), kTouchA); });
  EXPECT_FALSE(found([&] { launch(Touches{map()}, one_block(), y.data(), kTouchNothing); }).kind);
}

PLANTED_WITH_MAP(NoFence, Global<float>, bool first) {
  bring_and_wait();
  Sums d = {};
  if (!first) wgmma_fence();
  BUG for (int i = 0; i < 2; ++i) {
    multiply(d);
    finish(d);
  }
}
TEST_F(PlantedWarpgroup, NoFenceBeforeTheFirstProduct) {
  for (const bool first : {false, true}) {
    expect_finding(FindingKind::missing_wait, {"missing wgmma_fence"},
                   [&] { launch(NoFence{map()}, one_block(), y.data(), first); });
  }
}

enum WaitHow { kNoWait, kNotCommitted, kTooFew, kNotNamed };
PLANTED_WITH_MAP(Waits, Global<float>, int how) {
  bring_and_wait();
  Sums d = {}, other = {};
  wgmma_fence();
  BUG multiply(d);
  if (how != kNotCommitted) wgmma_commit();
  if (how == kTooFew) wgmma_wait<1>(d);
  if (how == kNotCommitted) wgmma_wait<0>(d);
  if (how == kNotNamed) wgmma_wait<0>(other);
}
TEST_F(PlantedWarpgroup, WaitsForProducts) {
  const auto expect = [&](const char* part, int how) {
    expect_finding_at_bug<Waits>(FindingKind::missing_wait, {part},
                                 [&] { launch(Waits{map()}, one_block(), y.data(), how); });
  };
  expect("ends with 1 products that it has not waited for", kNoWait);
  expect("they were not committed", kNotCommitted);
  expect("ends with 1 products that it has not waited for", kTooFew);
  expect("does not name its accumulators", kNotNamed);
}

PLANTED_WITH_MAP(Overlaps, Global<float>) {
  bring_and_wait();
  float d[16][4] = {};
  wgmma_fence();
  wgmma<Major::k>(d, at(0), at(0), true);
  BUG multiply(reinterpret_cast<Sums&>(d[8]));
  finish(reinterpret_cast<Sums&>(d[8]));
}
TEST_F(PlantedWarpgroup, AccumulatorsThatOverlap) {
  expect_finding(FindingKind::missing_wait, {"d overlaps the accumulators"},
                 [&] { launch(Overlaps{map()}, one_block(), y.data()); });
}

}  // namespace
}  // namespace gfsa::emulated
