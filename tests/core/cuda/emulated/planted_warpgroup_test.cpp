// Planted bugs of mbarriers and box copies. Products have theirs in planted_product_test.cpp.
#include "core/cuda/emulated/planted_warpgroup.h"

namespace gfsa::emulated {
namespace {

TEST_F(PlantedWarpgroup, Nothing) {
  EXPECT_FALSE(found([&] { launch(Fine{map()}, one_block(), y.data()); }).kind);
}

PLANTED(NeverInitialised, Global<float>) { BUG mbarrier_arrive(barriers(), 0); }
TEST_F(PlantedWarpgroup, NeverInitialised) {
  expect_finding_at_bug<NeverInitialised>(FindingKind::uninitialised, {"uninitialised", "shared array of 16 bytes"},
                                          [&] { launch(NeverInitialised{}, one_block(), y.data()); });
}

PLANTED(NoMbarrier, Global<float>) {
  if (thread_x() == 0) store(barriers(), 0, uint64_t{1} << 32);
  sync_block();
  BUG mbarrier_wait(barriers(), 0, 0);
}
TEST_F(PlantedWarpgroup, NoMbarrier) {
  expect_finding_at_bug<NoMbarrier>(FindingKind::mbarrier, {"the word at byte 32768 of shared memory is no mbarrier"},
                                    [&] { launch(NoMbarrier{}, one_block(), y.data()); });
}

PLANTED(StoredOver, Global<float>) {
  set_up(1);
  if (thread_x() == 5) store(barriers(), 0, uint64_t{0});
  sync_block();
  BUG mbarrier_arrive(barriers(), 0);
}
TEST_F(PlantedWarpgroup, StoredOver) {
  expect_finding_at_bug<StoredOver>(FindingKind::mbarrier, {"no mbarrier any more", "byte 32768"},
                                    [&] { launch(StoredOver{}, one_block(), y.data()); });
}

PLANTED(StoredOverMeanwhile, Global<float>) {
  set_up(1);
  if (thread_x() == 5) {
    store(barriers(), 0, uint64_t{0});
  } else {
    mbarrier_arrive(barriers(), 0);
  }
}
TEST_F(PlantedWarpgroup, StoredOverMeanwhile) {
  expect_finding(FindingKind::shared_race, {"race in shared memory, byte 32768", "atomic"},
                 [&] { launch(StoredOverMeanwhile{}, one_block(), y.data()); });
}

PLANTED(InitialisedTwice, Global<float>) {
  set_up(1);
  BUG if (thread_x() == 0) mbarrier_init(barriers(), 0, 2);
}
TEST_F(PlantedWarpgroup, InitialisedTwice) {
  expect_finding_at_bug<InitialisedTwice>(FindingKind::mbarrier, {"which is an mbarrier in use"},
                                          [&] { launch(InitialisedTwice{}, one_block(), y.data()); });
}

PLANTED(NoArrivals, Global<float>) { BUG mbarrier_init(barriers(), 0, 0); }
TEST_F(PlantedWarpgroup, InitialisedForNobody) {
  expect_finding_at_bug<NoArrivals>(FindingKind::mbarrier, {"with 0 arrivals"},
                                    [&] { launch(NoArrivals{}, one_block(), y.data()); });
}

PLANTED(NoBarrierAfterInit, Global<float>) {
  if (thread_x() == 0) {
    mbarrier_init(barriers(), 0, 128);
    mbarrier_init_fence();
  }
  BUG mbarrier_arrive(barriers(), 0);
}
TEST_F(PlantedWarpgroup, NoBarrierAfterInit) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Found f = found([&] { launch(NoBarrierAfterInit{}, one_block(), y.data()); }, seed);
    ASSERT_TRUE(f.kind == FindingKind::shared_race || f.kind == FindingKind::uninitialised) << f.text;
    EXPECT_THAT(f.text, testing::HasSubstr(":" + std::to_string(NoBarrierAfterInit::line)));
  }
}

PLANTED(TooManyArrivals, Global<float>) {
  set_up(1);
  if (thread_x() == 0) mbarrier_arrive_expect(barriers(), 0, 128);
  sync_block();
  BUG if (thread_x() == 1) mbarrier_arrive(barriers(), 0);
}
TEST_F(PlantedWarpgroup, TooManyArrivals) {
  expect_finding_at_bug<TooManyArrivals>(FindingKind::mbarrier, {"an arrival too many", "waits for 128 bytes"},
                                         [&] { launch(TooManyArrivals{}, one_block(), y.data()); });
}

PLANTED(WaitsForTooFew, Global<float>) {
  set_up(128);
  if (thread_x() != 7) mbarrier_arrive(barriers(), 0);
  BUG mbarrier_wait(barriers(), 0, 0);
}
TEST_F(PlantedWarpgroup, AThreadDoesNotArrive) {
  expect_finding_at_bug<WaitsForTooFew>(
      FindingKind::deadlock,
      {"phase 0 (parity 0) of the mbarrier at byte 32768", "lacks 1 of 128 arrivals", "threads 0-127 wait for it at"},
      [&] { launch(WaitsForTooFew{}, one_block(), y.data()); });
}

PLANTED(WaitsForALaterPhase, Global<float>) {
  set_up(128);
  mbarrier_arrive(barriers(), 0);
  mbarrier_wait(barriers(), 0, 0);
  BUG mbarrier_wait(barriers(), 0, 1);
}
TEST_F(PlantedWarpgroup, APhaseThatNeverEnds) {
  expect_finding_at_bug<WaitsForALaterPhase>(FindingKind::deadlock, {"phase 1 (parity 1)", "lacks 128 of 128 arrivals"},
                                             [&] { launch(WaitsForALaterPhase{}, one_block(), y.data()); });
}

PLANTED(WrongParity, Global<float>) {
  set_up(1);
  BUG mbarrier_wait(barriers(), 0, 2);
}
TEST_F(PlantedWarpgroup, NoParity) {
  expect_finding_at_bug<WrongParity>(FindingKind::mbarrier, {"parity 2"},
                                     [&] { launch(WrongParity{}, one_block(), y.data()); });
}

PLANTED(LaneWaitsAlone, Global<float> y) {
  set_up(1);
  BUG if (lane() == 0) mbarrier_wait(barriers(), 0, 0);
  store(y, thread_x(), warp_sum(1.0f));
}
TEST_F(PlantedWarpgroup, ALaneWaitsWhileTheOthersWaitForIt) {
  expect_finding_at_bug<LaneWaitsAlone>(FindingKind::deadlock, {"threads 0, 32, 64, 96 wait for it", "wait elsewhere"},
                                        [&] { launch(LaneWaitsAlone{}, one_block(), y.data()); });
}

// What is done after the arrival is not before what follows the wait.
PLANTED(StoresAfterArrival, Global<float> y) {
  const Shared<float> cells = dynamic_shared<float>(0, 128);
  set_up(128);
  mbarrier_arrive(barriers(), 0);
  store(cells, thread_x(), 1.0f);
  mbarrier_wait(barriers(), 0, 0);
  store(y, thread_x(), load(cells, thread_x() ^ 64));
}
TEST_F(PlantedWarpgroup, StoresAfterTheArrival) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Found f = found([&] { launch(StoresAfterArrival{}, one_block(), y.data()); }, seed);
    ASSERT_TRUE(f.kind == FindingKind::shared_race || f.kind == FindingKind::uninitialised) << f.text;
  }
}

// Nor what a thread does that nobody waited for: the wait of another one orders nothing here.
PLANTED(AnotherWaits, Global<float> y) {
  const Shared<float> cells = dynamic_shared<float>(0, 128);
  set_up(128);
  store(cells, thread_x(), 1.0f);
  mbarrier_arrive(barriers(), 0);
  if (thread_x() != 3) mbarrier_wait(barriers(), 0, 0);
  store(y, thread_x(), load(cells, thread_x() ^ 64));
}
TEST_F(PlantedWarpgroup, OneDoesNotWait) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Found f = found([&] { launch(AnotherWaits{}, one_block(), y.data()); }, seed);
    ASSERT_TRUE(f.kind == FindingKind::shared_race || f.kind == FindingKind::uninitialised) << f.text;
    EXPECT_THAT(f.text, testing::HasSubstr("thread 3 "));
  }
}

struct NoInitFence : WithMap {
  static constexpr const char* kName = "NoInitFence";
  inline static unsigned line = 0;
  void operator()(Global<float>) const {
    if (thread_x() == 0) mbarrier_init(barriers(), 0, 1);
    sync_block();
    BUG if (thread_x() == 0) copy_box_async(tile(), 0, map, {}, barriers(), 0);
  }
};
TEST_F(PlantedWarpgroup, NoFenceOfTheInitialisation) {
  expect_finding_at_bug<NoInitFence>(FindingKind::mbarrier, {"has not called mbarrier_init_fence"},
                                     [&] { launch(NoInitFence{map()}, one_block(), y.data()); });
}

PLANTED_WITH_MAP(ReadsBeforeTheWait, Global<float> y) {
  set_up(1);
  bring_tile();
  sync_block();
  BUG store(y, thread_x(), to_float(load(tile(), thread_x())));
}
TEST_F(PlantedWarpgroup, ReadsABoxBeforeTheWait) {
  expect_finding_at_bug<ReadsBeforeTheWait>(FindingKind::missing_wait,
                                            {"missing wait: read of 2 bytes", "which the copy_box_async by thread 0 "},
                                            [&] { launch(ReadsBeforeTheWait{map()}, one_block(), y.data()); });
}

PLANTED_WITH_MAP(AnotherWaitsForTheBox, Global<float> y) {
  set_up(1);
  bring_tile();
  sync_block();
  if (warp() != 2) mbarrier_wait(barriers(), 0, 0);
  BUG store(y, thread_x(), to_float(load(tile(), thread_x())));
}
TEST_F(PlantedWarpgroup, AnotherThreadWaitsForTheBox) {
  expect_finding_at_bug<AnotherWaitsForTheBox>(FindingKind::missing_wait,
                                               {"missing wait: read", "warp 2 ", "copy_box_async"},
                                               [&] { launch(AnotherWaitsForTheBox{map()}, one_block(), y.data()); });
}

PLANTED_WITH_MAP(NobodyWaits, Global<float>) {
  set_up(1);
  BUG bring_tile();
}
TEST_F(PlantedWarpgroup, TheBlockEndsBeforeItsBoxes) {
  expect_finding_at_bug<NobodyWaits>(FindingKind::missing_wait, {"the block ends", "8192 bytes to byte 0"},
                                     [&] { launch(NobodyWaits{map()}, one_block(), y.data()); });
}

PLANTED_WITH_MAP(RefillsWithoutEmpty, Global<float> y) {
  set_up(1);
  float sum = 0;
  for (uint32_t i = 0; i < 2; ++i) {
    bring_tile();
    mbarrier_wait(barriers(), 0, i);
    sum += to_float(load(tile(), thread_x()));
  }
  store(y, thread_x(), sum);
}
TEST_F(PlantedWarpgroup, ABoxOverATileThatIsStillRead) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Found f = found([&] { launch(RefillsWithoutEmpty{map()}, one_block(), y.data()); }, seed);
    ASSERT_TRUE(f.kind == FindingKind::shared_race || f.kind == FindingKind::missing_wait) << f.text;
  }
}

// The issue is the write: what the thread stored before is in order, what another stored is not.
PLANTED_WITH_MAP(OverAStore, Global<float> y) {
  set_up(1);
  if (thread_x() == 64) store(tile(), 0, to_bfloat16(1.0f));
  bring_tile();
  mbarrier_wait(barriers(), 0, 0);
  store(y, thread_x(), to_float(load(tile(), thread_x())));
}
TEST_F(PlantedWarpgroup, ABoxOverAStore) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Found f = found([&] { launch(OverAStore{map()}, one_block(), y.data()); }, seed);
    ASSERT_TRUE(f.kind == FindingKind::shared_race || f.kind == FindingKind::missing_wait) << f.text;
  }
}

PLANTED_WITH_MAP(ExpectsMore, Global<float>) {
  set_up(1);
  if (thread_x() == 0) {
    mbarrier_arrive_expect(barriers(), 0, 3 * 8192);
    copy_box_async(tile(), 0, map, {}, barriers(), 0);
    copy_box_async(tile(), 4096, map, {}, barriers(), 0);
  }
  BUG mbarrier_wait(barriers(), 0, 0);
}
TEST_F(PlantedWarpgroup, MoreBytesExpectedThanCopied) {
  expect_finding_at_bug<ExpectsMore>(FindingKind::deadlock, {"lacks 8192 bytes", "threads 0-127 wait"},
                                     [&] { launch(ExpectsMore{map()}, one_block(), y.data()); });
}

PLANTED_WITH_MAP(ExpectsLess, Global<float>) {
  set_up(1);
  BUG if (thread_x() == 0) {
    copy_box_async(tile(), 0, map, {}, barriers(), 0);
    copy_box_async(tile(), 4096, map, {}, barriers(), 0);
    mbarrier_arrive_expect(barriers(), 0, 8192);
  }
  mbarrier_wait(barriers(), 0, 0);
}
TEST_F(PlantedWarpgroup, FewerBytesExpectedThanCopied) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Found f = found([&] { launch(ExpectsLess{map()}, one_block(), y.data()); }, seed);
    ASSERT_TRUE(f.kind == FindingKind::mbarrier || f.kind == FindingKind::deadlock) << f.text;
  }
}

PLANTED_WITH_MAP(BadDestination, Global<float>, int64_t at) {
  set_up(1);
  BUG if (thread_x() == 0) copy_box_async(tile(), at, map, {}, barriers(), 0);
}
TEST_F(PlantedWarpgroup, DestinationsOfBoxes) {
  expect_finding_at_bug<BadDestination>(FindingKind::misaligned, {"copy_box_async to byte 256 "},
                                        [&] { launch(BadDestination{map()}, one_block(), y.data(), 128); });
  expect_finding_at_bug<BadDestination>(FindingKind::out_of_bounds, {"copy_box_async of 8192 bytes", "offset 30720"},
                                        [&] { launch(BadDestination{map()}, one_block(), y.data(), 15 * 1024); });
  expect_finding_at_bug<BadDestination>(FindingKind::out_of_bounds, {"offset -1024"},
                                        [&] { launch(BadDestination{map()}, one_block(), y.data(), -512); });
}

PLANTED_WITH_MAP(ReadsOne, Global<float> y, int64_t i) {
  set_up(1);
  bring_tile();
  mbarrier_wait(barriers(), 0, 0);
  BUG if (thread_x() == 0) store(y, 0, to_float(load(tile(), i)));
}
TEST_F(PlantedWarpgroup, BytesThatNobodyWrote) {
  Array<bfloat16> fresh(runtime(), 4096);
  runtime().zero(fresh.data(), 2 * 4000);  // the last 96 elements are the upper part of row 62 and row 63
  const BoxedTensor tensor{fresh.data(), {64, 64, 1, 1, 1}, {1, 64, 0, 0, 0}, 64};
  EXPECT_FALSE(found([&] { launch(ReadsOne{tensor_map(tensor)}, one_block(), y.data(), 5); }).kind);
  expect_finding_at_bug<ReadsOne>(FindingKind::uninitialised, {"uninitialised: read of 2 bytes in shared memory"},
                                  [&] { launch(ReadsOne{tensor_map(tensor)}, one_block(), y.data(), 63 * 64); });
}

TEST_F(PlantedWarpgroup, ReleasedTensor) {
  expect_finding(FindingKind::use_after_free, {"kernel ReadsOne", "which was released"}, [&] {
    TensorMap gone;
    {
      Array<bfloat16> brief(runtime(), std::vector<bfloat16>(4096));
      gone = tensor_map({brief.data(), {64, 64, 1, 1, 1}, {1, 64, 0, 0, 0}, 64});
    }
    launch(ReadsOne{gone}, one_block(), y.data(), 0);
  });
}

TEST_F(PlantedWarpgroup, TensorBeyondItsMemory) {
  expect_finding(FindingKind::out_of_bounds, {"copy_box_async of 128 bytes from global memory", "of 8192 bytes"}, [&] {
    launch(ReadsOne{tensor_map({x.data() + 64, {64, 64, 1, 1, 1}, {1, 64, 0, 0, 0}, 64})}, one_block(), y.data(), 0);
  });
}

PLANTED_WITH_MAP(OneBlockWrites, Global<bfloat16> x) {
  set_up(1);
  if (block_x() == 0) {
    bring_tile();
    mbarrier_wait(barriers(), 0, 0);
  } else if (thread_x() == 0) {
    store(x, 100, to_bfloat16(1.0f));
  }
}
TEST_F(PlantedWarpgroup, ABoxOfWhatAnotherBlockWrites) {
  expect_finding(FindingKind::global_race, {"race in global memory"}, [&] {
    launch(OneBlockWrites{map()}, {.grid = {2}, .block = {128}, .shared_bytes = kSharedBytes}, x.data());
  });
}

// After the issue, and in order with it, but a box that comes late reads what was not meant.
PLANTED_WITH_MAP(WritesBeforeItComes, Global<bfloat16> x) {
  set_up(1);
  bring_tile();
  sync_block();
  if (thread_x() == 9) store(x, 9, to_bfloat16(1.0f));
  sync_block();
  mbarrier_wait(barriers(), 0, 0);
}
TEST_F(PlantedWarpgroup, WritesWhatALateBoxReads) {
  int times = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Found f = found([&] { launch(WritesBeforeItComes{map()}, one_block(), x.data()); }, seed);
    times += f.kind == FindingKind::global_race;
  }
  EXPECT_GE(times, 8) << "most boxes come late";
}

// In place: the write comes after the wait for the box that read it.
PLANTED_WITH_MAP(WritesBehindTheBox, Global<bfloat16> x, bool waits) {
  set_up(1);
  bring_tile();
  if (waits || thread_x() == 0) mbarrier_wait(barriers(), 0, 0);
  store(x, thread_x(), to_bfloat16(1.0f));
}
TEST_F(PlantedWarpgroup, WritesWhatABoxReads) {
  expect_finding(FindingKind::global_race, {"race in global memory"},
                 [&] { launch(WritesBehindTheBox{map()}, one_block(), x.data(), false); });
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Found f = found([&] { launch(WritesBehindTheBox{map()}, one_block(), x.data(), true); }, seed);
    ASSERT_FALSE(f.kind) << f.text;
  }
}

PLANTED_WITH_MAP(UsesOne, Global<float>, int which) {
  BUG if (which == 0) mbarrier_init(barriers(), 0, 1);
  if (which == 1) mbarrier_init_fence();
  if (which == 2) mbarrier_arrive(barriers(), 0);
  if (which == 3) mbarrier_arrive_expect(barriers(), 0, 1);
  if (which == 4) mbarrier_wait(barriers(), 0, 0);
  if (which == 5) copy_box_async(tile(), 0, map, {}, barriers(), 0);
  if (which == 6) prefetch_map(map);
  float d[8][4] = {};
  const uint32_t a[4] = {};
  if (which == 7) wgmma<Major::k>(d, 0, 0, true);
  if (which == 8) wgmma<Major::mn>(d, a, 0, true);
  if (which == 9) wgmma_fence();
  if (which == 10) wgmma_commit();
  if (which == 11) wgmma_wait<0>(d);
  if (which == 12) fence_async_proxy();
  if (which == 13) give_registers<40>();
  if (which == 14) take_registers<40>();
}
TEST_F(PlantedWarpgroup, LimitsOfSm80) {
  runtime().synchronize();
  emulator::set_architecture(80);
  EXPECT_FALSE(runtime().has_warpgroups());
  for (int which = 0; which < 15; ++which) {
    const Found f = found([&] { launch(UsesOne{map()}, one_block(), y.data(), which); });
    EXPECT_EQ(f.kind, FindingKind::bad_launch) << which << f.text;
    EXPECT_THAT(f.text, testing::HasSubstr("needs the limits of sm_90"));
  }
  EXPECT_FALSE(found([&] { launch(UsesOne{map()}, one_block(), y.data(), 15); }).kind);
  emulator::set_architecture(90);
  EXPECT_TRUE(runtime().has_warpgroups());
  EXPECT_ANY_THROW(emulator::set_architecture(70));
}

}  // namespace
}  // namespace gfsa::emulated
