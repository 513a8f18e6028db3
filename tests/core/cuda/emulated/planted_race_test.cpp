// Planted bugs of order: races in shared memory, in global memory, copies that have not arrived.
#include "core/cuda/emulated/planted.h"

namespace gfsa::emulated {
namespace {

PLANTED(NoBarrier, Global<float> y) {
  GFSA_SHARED(float, cells, 64);
  for (int i = 0; i < 64; ++i) store(y, thread_x() * 64 + i, 0.0f);
  if (thread_x() == 0) {
    for (int i = 0; i < 64; ++i) store(cells, i, 1.0f);
  }
  sync_block();
  store(cells, thread_x(), 2.0f);
  BUG store(y, thread_x(), load(cells, 63 - thread_x()));
}
TEST(PlantedRace, WriteThenReadWithoutBarrier) {
  Array<float> y(runtime(), 64 * 64);
  // Either thread may be the one that notices, at its read or at its write.
  expect_finding(FindingKind::shared_race, {"kernel NoBarrier", "thread ", "warp ", "planted_race_test.cpp:"},
                 [&] { launch(NoBarrier{}, {.grid = {1}, .block = {64}}, y.data()); });
  const Found f = found([&] { launch(NoBarrier{}, {.grid = {1}, .block = {64}}, y.data()); });
  EXPECT_THAT(f.text, testing::HasSubstr("planted_race_test.cpp:" + std::to_string(NoBarrier::line)));
  EXPECT_THAT(f.text, testing::HasSubstr("planted_race_test.cpp:" + std::to_string(NoBarrier::line - 1)));
}

PLANTED(BothWrite, Global<float> y) {
  GFSA_SHARED(float, cell, 1);
  BUG store(cell, 0, static_cast<float>(thread_x()));
  sync_block();
  store(y, thread_x(), load(cell, 0));
}
TEST(PlantedRace, TwoWriters) {
  Array<float> y(runtime(), 64);
  expect_finding_at_bug<BothWrite>(FindingKind::shared_race, {"write here, write by"},
                                   [&] { launch(BothWrite{}, {.grid = {1}, .block = {64}}, y.data()); });
}

// The barrier between reading and refilling a tile is missing.
PLANTED(RefillsTooEarly, Global<const float> x, Global<float> y) {
  GFSA_SHARED(float, tile, 64);
  float sum = 0;
  for (int round = 0; round < 3; ++round) {
    BUG store(tile, thread_x(), load(x, thread_x()));
    sync_block();
    for (int i = 0; i < 64; ++i) sum += load(tile, i);
  }
  store(y, thread_x(), sum);
}
TEST(PlantedRace, WriteAfterReadByMany) {
  Array<float> x(runtime(), counting<float>(64)), y(runtime(), 64);
  expect_finding(FindingKind::shared_race, {"race in shared memory"},
                 [&] { launch(RefillsTooEarly{}, {.grid = {1}, .block = {64}}, x.data(), y.data()); });
}

// A reader that is neither the last nor the only one.
PLANTED(OneOfManyReaders, Global<float> y) {
  GFSA_SHARED(float, cell, 1);
  if (thread_x() == 0) store(cell, 0, 1.0f);
  sync_block();
  const float v = load(cell, 0);
  if (warp() == 0) sync_warp();
  BUG if (thread_x() == 0) store(cell, 0, v + 1);
  store(y, thread_x(), v);
}
TEST(PlantedRace, OneOfManyReaders) {
  Array<float> y(runtime(), 64);
  expect_finding(FindingKind::shared_race, {"race in shared memory"},
                 [&] { launch(OneOfManyReaders{}, {.grid = {1}, .block = {64}}, y.data()); });
}

// Lanes run together on old GPUs; since Volta they need sync_warp. A shuffle orders no memory.
PLANTED(WarpSynchronous, Global<float> y) {
  GFSA_SHARED(float, cells, 32);
  store(cells, lane(), static_cast<float>(lane()));
  const float unused = shuffle_xor(1.0f, 1);
  BUG store(y, lane(), load(cells, lane() ^ 1) + unused);
}
TEST(PlantedRace, MissingSyncWarp) {
  Array<float> y(runtime(), 32);
  expect_finding_at_bug<WarpSynchronous>(FindingKind::shared_race, {"read here, write by"},
                                         [&] { launch(WarpSynchronous{}, {.grid = {1}, .block = {32}}, y.data()); });
}

// Halves of a word are apart, the same half is not.
PLANTED(SameHalf, Global<float> y, bool wrong) {
  GFSA_SHARED(bfloat16, cells, 64);
  BUG store(cells, wrong ? thread_x() / 2 * 2 : thread_x(), to_bfloat16(1.0f));
  sync_block();
  store(y, thread_x(), to_float(load(cells, wrong ? 0 : thread_x())));
}
TEST(PlantedRace, HalvesOfAWord) {
  Array<float> y(runtime(), 32);
  EXPECT_FALSE(found([&] { launch(SameHalf{}, {.grid = {1}, .block = {32}}, y.data(), false); }).kind);
  expect_finding_at_bug<SameHalf>(FindingKind::shared_race, {"race in shared memory"},
                                  [&] { launch(SameHalf{}, {.grid = {1}, .block = {32}}, y.data(), true); });
}

PLANTED(AtomicAndPlain, Global<float> y) {
  GFSA_SHARED(float, sum, 1);
  if (thread_x() == 0) store(sum, 0, 0.0f);
  sync_block();
  atomic_add(sum, 0, 1.0f);
  BUG if (thread_x() == 5) store(y, 0, load(sum, 0));
}
TEST(PlantedRace, AtomicAndPlainRead) {
  Array<float> y(runtime(), 1);
  expect_finding(FindingKind::shared_race, {"atomic"},
                 [&] { launch(AtomicAndPlain{}, {.grid = {1}, .block = {64}}, y.data()); });
}

// Only warps 0 and 1 meet at the named barrier; warp 2 reads as well.
PLANTED(NotInTheBarrier, Global<float> y, uint32_t readers) {
  GFSA_SHARED(float, cells, 32);
  if (warp() == 0) store(cells, lane(), 0.0f);
  sync_block();
  if (warp() == 0) store(cells, lane(), 1.0f);
  if (warp() < 2) sync_named(1, 64);
  BUG if (warp() > 0 && warp() <= readers) store(y, thread_x(), load(cells, lane()));
}
TEST(PlantedRace, NamedBarrierOfOthers) {
  Array<float> y(runtime(), 96);
  EXPECT_FALSE(found([&] { launch(NotInTheBarrier{}, {.grid = {1}, .block = {96}}, y.data(), 1u); }).kind);
  expect_finding(FindingKind::shared_race, {"race in shared memory", "warp 2"},
                 [&] { launch(NotInTheBarrier{}, {.grid = {1}, .block = {96}}, y.data(), 2u); });
}

// The sum of atomics is there after a barrier.
PLANTED(AtomicThenRead, Global<float> y, Global<float> sum) {
  GFSA_SHARED(float, cell, 1);
  if (thread_x() == 0) store(cell, 0, 0.0f);
  sync_block();
  atomic_add(cell, 0, 1.0f);
  atomic_add(sum, block_x(), 1.0f);
  sync_block();
  store(y, global_x(), load(cell, 0) + load(sum, block_x()));
}
TEST(PlantedRace, NoneBetweenAtomicsAndReadsAfterABarrier) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Array<float> y(runtime(), 128), sum(runtime(), std::vector<float>(2, 0.0f));
    const Found f = found([&] { launch(AtomicThenRead{}, {.grid = {2}, .block = {64}}, y.data(), sum.data()); }, seed);
    EXPECT_FALSE(f.kind) << f.text;
    EXPECT_EQ(y.values(), std::vector<float>(128, 128.0f));
  }
}

PLANTED(SumIsNotThereYet, Global<float> sum, Global<float> y) {
  atomic_add(sum, 0, 1.0f);
  BUG if (thread_x() == 0) store(y, block_x(), load(sum, 0));
}
TEST(PlantedRace, ReadsWhatOtherBlocksAddUp) {
  Array<float> y(runtime(), 8), sum(runtime(), counting<float>(1));
  expect_finding(FindingKind::global_race, {"race in global memory"},
                 [&] { launch(SumIsNotThereYet{}, {.grid = {8}, .block = {1}}, sum.data(), y.data()); });
}

PLANTED(Overlapping, Global<float> y) { BUG store(y, block_x() * 31 + thread_x(), 1.0f); }
TEST(PlantedRace, BlocksWriteTheSameWord) {
  Array<float> y(runtime(), 64);
  expect_finding_at_bug<Overlapping>(FindingKind::global_race,
                                     {"race in global memory", "of 256 bytes, offset 124", "block"},
                                     [&] { launch(Overlapping{}, {.grid = {2}, .block = {32}}, y.data()); });
}

PLANTED(ReadsOtherBlock, InPlace<float> y) {
  const int64_t i = global_x(), n = int64_t{grid_dim_x()} * block_dim_x();
  BUG store(y, i, load(y, n - 1 - i));
}
TEST(PlantedRace, BlockReadsWhatAnotherWrites) {
  expect_finding(FindingKind::global_race, {"race in global memory"}, [&] {
    Array<float> y(runtime(), counting<float>(64));
    launch(ReadsOtherBlock{}, {.grid = {2}, .block = {32}}, y.data());
  });
}

PLANTED(AllReadOneWrites, InPlace<float> y) {
  const float v = load(y, 0);
  BUG if (block_x() == 3) store(y, 0, v + 1);
}
TEST(PlantedRace, ManyBlocksReadOneWrites) {
  Array<float> y(runtime(), counting<float>(1));
  expect_finding(FindingKind::global_race, {"race in global memory"},
                 [&] { launch(AllReadOneWrites{}, {.grid = {8}, .block = {1}}, y.data()); });
}

PLANTED(GlobalWithinBlock, InPlace<float> y) {
  store(y, thread_x(), 1.0f);
  BUG store(y, 64 + thread_x(), load(y, thread_x() ^ 32));
}
TEST(PlantedRace, GlobalMemoryWithinABlock) {
  expect_finding(FindingKind::global_race, {"race in global memory", "warp "}, [&] {
    Array<float> y(runtime(), std::vector<float>(128, 0.0f));
    launch(GlobalWithinBlock{}, {.grid = {1}, .block = {64}}, y.data());
  });
}

PLANTED(FloatSum, Global<float> y) { BUG store(y, 0, load(y, 0) + 1); }
TEST(PlantedRace, SumWithoutAtomic) {
  Array<float> y(runtime(), counting<float>(1));
  expect_finding_at_bug<FloatSum>(FindingKind::global_race, {"race in global memory"},
                                  [&] { launch(FloatSum{}, {.grid = {4}, .block = {1}}, y.data()); });
}

PLANTED(NoWait, Global<const float> x, Global<float> y) {
  GFSA_SHARED(float, cells, 128);
  copy_async<16>(cells, thread_x() * 4, x, thread_x() * 4);
  copy_async_commit();
  sync_block();
  BUG store(y, thread_x(), load(cells, thread_x()));
}
TEST(PlantedRace, CopyNotWaitedFor) {
  Array<float> x(runtime(), counting<float>(128)), y(runtime(), 128);
  expect_finding_at_bug<NoWait>(FindingKind::missing_wait, {"which the copy_async by thread ", "has not waited for it"},
                                [&] { launch(NoWait{}, {.grid = {1}, .block = {32}}, x.data(), y.data()); });
}

PLANTED(WaitsForTheWrongGroup, Global<const float> x, Global<float> y) {
  GFSA_SHARED(float, cells, 64);
  copy_async<4>(cells, thread_x(), x, thread_x());
  copy_async_commit();
  copy_async<4>(cells, 32 + thread_x(), x, 32 + thread_x());
  copy_async_commit();
  copy_async_wait<1>();
  BUG store(y, thread_x(), load(cells, 32 + thread_x()));
}
TEST(PlantedRace, CopyOfALaterGroup) {
  Array<float> x(runtime(), counting<float>(64)), y(runtime(), 32);
  expect_finding_at_bug<WaitsForTheWrongGroup>(FindingKind::missing_wait, {"missing wait"}, [&] {
    launch(WaitsForTheWrongGroup{}, {.grid = {1}, .block = {32}}, x.data(), y.data());
  });
}

PLANTED(NeverCommitted, Global<const float> x, Global<float> y) {
  GFSA_SHARED(float, cells, 32);
  copy_async<4>(cells, thread_x(), x, thread_x());
  copy_async_wait<0>();
  BUG store(y, thread_x(), load(cells, thread_x()));
}
TEST(PlantedRace, CopyNeverCommitted) {
  Array<float> x(runtime(), counting<float>(32)), y(runtime(), 32);
  expect_finding_at_bug<NeverCommitted>(FindingKind::missing_wait, {"missing wait"}, [&] {
    launch(NeverCommitted{}, {.grid = {1}, .block = {32}}, x.data(), y.data());
  });
}

PLANTED(WaitWithoutBarrier, Global<const float> x, Global<float> y) {
  GFSA_SHARED(float, cells, 64);
  copy_async<4>(cells, thread_x(), x, thread_x());
  copy_async_commit();
  copy_async_wait<0>();
  BUG store(y, thread_x(), load(cells, 63 - thread_x()));
}
TEST(PlantedRace, WaitedForByItsThreadOnly) {
  Array<float> x(runtime(), counting<float>(64)), y(runtime(), 64);
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Found f =
        found([&] { launch(WaitWithoutBarrier{}, {.grid = {1}, .block = {64}}, x.data(), y.data()); }, seed);
    ASSERT_TRUE(f.kind == FindingKind::shared_race || f.kind == FindingKind::missing_wait ||
                f.kind == FindingKind::uninitialised)
        << f.text;
  }
}

PLANTED(RefillsWhileRead, Global<const float> x, Global<float> y) {
  GFSA_SHARED(float, cells, 32);
  store(cells, thread_x(), 0.0f);
  sync_block();
  const float v = load(cells, 31 - thread_x());
  BUG copy_async<4>(cells, thread_x(), x, thread_x());
  copy_async_wait_all();
  store(y, thread_x(), v);
}
TEST(PlantedRace, CopyIntoABufferThatIsStillRead) {
  Array<float> x(runtime(), counting<float>(32)), y(runtime(), 32);
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Found f = found([&] { launch(RefillsWhileRead{}, {.grid = {1}, .block = {32}}, x.data(), y.data()); }, seed);
    ASSERT_EQ(f.kind, FindingKind::shared_race) << f.text;
    EXPECT_THAT(f.text, testing::HasSubstr(":" + std::to_string(RefillsWhileRead::line)));
  }
}

PLANTED(MisalignedCopy, Global<const float> x, Global<float> y, int to, int from) {
  GFSA_SHARED(float, cells, 64);
  BUG copy_async<16>(cells, to, x, from);
  copy_async_wait_all();
  store(y, 0, load(cells, to));
}
TEST(PlantedRace, MisalignedCopy) {
  Array<float> x(runtime(), counting<float>(64)), y(runtime(), 1);
  expect_finding_at_bug<MisalignedCopy>(
      FindingKind::misaligned, {"write of 16 bytes in shared memory", "offset 4"},
      [&] { launch(MisalignedCopy{}, {.grid = {1}, .block = {1}}, x.data(), y.data(), 1, 0); });
  expect_finding_at_bug<MisalignedCopy>(
      FindingKind::misaligned, {"copy_async of 16 bytes from global memory", "offset 8"},
      [&] { launch(MisalignedCopy{}, {.grid = {1}, .block = {1}}, x.data(), y.data(), 0, 2); });
  expect_finding_at_bug<MisalignedCopy>(
      FindingKind::out_of_bounds, {"copy_async of 16 bytes from global memory", "offset 256"},
      [&] { launch(MisalignedCopy{}, {.grid = {1}, .block = {1}}, x.data(), y.data(), 0, 64); });
}

}  // namespace
}  // namespace gfsa::emulated
