// Planted bugs of waiting: barriers, collectives, deadlocks, launches, streams.
#include "core/cuda/emulated/planted.h"

namespace gfsa::emulated {
namespace {

PLANTED(TwoBarriers, Global<float> y) {
  if (thread_x() < 40) {
    sync_block();
  } else {
    BUG sync_block();
  }
  store(y, thread_x(), 1.0f);
}
TEST(PlantedSync, BarriersInBothBranches) {
  Array<float> y(runtime(), 64);
  expect_finding(FindingKind::divergent_barrier,
                 {"divergent barrier", "this thread is here, while thread", "planted_sync_test.cpp"},
                 [&] { launch(TwoBarriers{}, {.grid = {1}, .block = {64}}, y.data()); });
}

PLANTED(LeavesEarly, Global<float> y, uint32_t n) {
  if (thread_x() >= n) return;
  BUG sync_block();
  store(y, thread_x(), 1.0f);
}
TEST(PlantedSync, BarrierAfterAReturn) {
  Array<float> y(runtime(), 64);
  expect_finding_at_bug<LeavesEarly>(FindingKind::exited_thread,
                                     {"threads 0-49 wait for threads 50-63, which ended before"},
                                     [&] { launch(LeavesEarly{}, {.grid = {1}, .block = {64}}, y.data(), 50u); });
}

PLANTED(ShuffleAfterReturn, Global<float> y, uint32_t n) {
  if (thread_x() >= n) return;
  BUG store(y, thread_x(), warp_sum(1.0f));
}
TEST(PlantedSync, ReductionWithEndedLanes) {
  Array<float> y(runtime(), 64);
  expect_finding_at_bug<ShuffleAfterReturn>(
      FindingKind::exited_thread,
      {"warp reduction with mask 0xffffffff", "of warp 1 wait for lanes 18-31, which ended before"},
      [&] { launch(ShuffleAfterReturn{}, {.grid = {1}, .block = {64}}, y.data(), 50u); });
}

PLANTED(ShuffleInABranch, Global<float> y) {
  float v = 1;
  BUG if (lane() < 16) v = shuffle_xor(v, 1);
  sync_block();
  store(y, thread_x(), v);
}
TEST(PlantedSync, ShuffleWithInactiveLanes) {
  Array<float> y(runtime(), 32);
  expect_finding_at_bug<ShuffleInABranch>(FindingKind::inactive_lane,
                                          {"lanes 0-15 of warp 0 wait for lanes 16-31, not active here"},
                                          [&] { launch(ShuffleInABranch{}, {.grid = {1}, .block = {32}}, y.data()); });
}

PLANTED(ReadsOutsideOfMask, Global<float> y) {
  if (lane() < 16) {
    BUG store(y, lane(), shuffle(static_cast<float>(lane()), 16 + static_cast<int>(lane()), 0xFFFFu));
  }
}
TEST(PlantedSync, ShuffleFromALaneThatTheMaskDoesNotName) {
  Array<float> y(runtime(), 32);
  expect_finding_at_bug<ReadsOutsideOfMask>(
      FindingKind::inactive_lane, {"lane 0 of warp 0 reads lane 16, which the mask does not name"},
      [&] { launch(ReadsOutsideOfMask{}, {.grid = {1}, .block = {32}}, y.data()); });
}

PLANTED(NotInItsMask, Global<float> y) { BUG store(y, lane(), shuffle(1.0f, 0, 0x7FFFFFFFu)); }
TEST(PlantedSync, LaneOutsideOfItsOwnMask) {
  Array<float> y(runtime(), 32);
  expect_finding_at_bug<NotInItsMask>(FindingKind::inactive_lane, {"does not name the calling lane", "thread 31 "},
                                      [&] { launch(NotInItsMask{}, {.grid = {1}, .block = {32}}, y.data()); });
}

PLANTED(HalfAWarp, Global<float> y) { BUG store(y, thread_x(), warp_sum(1.0f)); }
TEST(PlantedSync, MaskNamesLanesThatTheBlockDoesNotHave) {
  Array<float> y(runtime(), 48);
  expect_finding_at_bug<HalfAWarp>(FindingKind::inactive_lane, {"block of 48 threads has only 16 lanes"},
                                   [&] { launch(HalfAWarp{}, {.grid = {1}, .block = {48}}, y.data()); });
}

PLANTED(DifferentShuffles, Global<float> y) {
  float v = 1;
  if (lane() % 2 == 0) {
    v = shuffle_xor(v, 1);
  } else {
    BUG v = shuffle_xor(v, 1);
  }
  store(y, lane(), v);
}
TEST(PlantedSync, ShufflesInBothBranches) {
  Array<float> y(runtime(), 32);
  expect_finding(FindingKind::divergent_barrier, {"divergent warp", "shuffle"},
                 [&] { launch(DifferentShuffles{}, {.grid = {1}, .block = {32}}, y.data()); });
}

PLANTED(VoteAndShuffle, Global<uint32_t> y) {
  uint32_t v = 1;
  if (lane() < 16) {
    v = vote_ballot(true);
  } else {
    BUG v = shuffle_xor(v, 1);
  }
  store(y, lane(), v);
}
TEST(PlantedSync, VoteMeetsShuffle) {
  Array<uint32_t> y(runtime(), 32);
  expect_finding(FindingKind::divergent_barrier, {"not active here"},
                 [&] { launch(VoteAndShuffle{}, {.grid = {1}, .block = {32}}, y.data()); });
}

PLANTED(MmaInABranch, Global<float> y) {
  float d[4] = {};
  const uint32_t a[4] = {}, b[2] = {};
  BUG if (lane() != 7) mma_bf16(d, a, b);
  store(y, lane(), d[0]);
}
TEST(PlantedSync, MmaWithoutOneLane) {
  Array<float> y(runtime(), 32);
  expect_finding_at_bug<MmaInABranch>(FindingKind::exited_thread, {"mma with mask", "wait for lane 7"},
                                      [&] { launch(MmaInABranch{}, {.grid = {1}, .block = {32}}, y.data()); });
}

PLANTED(MisalignedRows, Global<uint32_t> y) {
  GFSA_SHARED(bfloat16, rows, 32 * 9);
  for (int i = 0; i < 9; ++i) store(rows, lane() * 9 + i, to_bfloat16(0.0f));
  sync_warp();
  uint32_t r[1];
  BUG ldmatrix(r, rows + lane() * 9);
  store(y, lane(), r[0]);
}
TEST(PlantedSync, LdmatrixOfMisalignedRows) {
  Array<uint32_t> y(runtime(), 32);
  expect_finding_at_bug<MisalignedRows>(FindingKind::misaligned, {"read of 16 bytes in shared memory"},
                                        [&] { launch(MisalignedRows{}, {.grid = {1}, .block = {32}}, y.data()); });
}

PLANTED(WaitsForTooMany, Global<float> y) {
  if (warp() < 2) {
    BUG sync_named(1, 96);
  }
  store(y, thread_x(), 1.0f);
}
TEST(PlantedSync, NamedBarrierThatIsNeverFull) {
  Array<float> y(runtime(), 96);
  expect_finding_at_bug<WaitsForTooMany>(
      FindingKind::deadlock, {"named barrier 1 waits for 96 threads and has 64 (threads 0-63)", "threads 64-95 ended"},
      [&] { launch(WaitsForTooMany{}, {.grid = {1}, .block = {96}}, y.data()); });
}

PLANTED(CrossedBarriers, Global<float> y) {
  if (warp() == 0) {
    sync_named(1, 64);
    sync_named(2, 64);
  } else {
    sync_named(2, 64);
    sync_named(1, 64);
  }
  store(y, thread_x(), 1.0f);
}
TEST(PlantedSync, NamedBarriersInDifferentOrder) {
  Array<float> y(runtime(), 64);
  expect_finding(FindingKind::deadlock, {"deadlock: named barrier"},
                 [&] { launch(CrossedBarriers{}, {.grid = {1}, .block = {64}}, y.data()); });
}

PLANTED(DisagreeOnCount, Global<float> y) {
  BUG sync_named(1, warp() == 0 ? 64 : 96);
  store(y, thread_x(), 1.0f);
}
TEST(PlantedSync, NamedBarrierOfDifferentCounts) {
  Array<float> y(runtime(), 64);
  expect_finding_at_bug<DisagreeOnCount>(FindingKind::divergent_barrier, {"named barrier 1"},
                                         [&] { launch(DisagreeOnCount{}, {.grid = {1}, .block = {64}}, y.data()); });
}

PLANTED(Spins, Global<uint32_t> y) {
  while (atomic_cas(y, 0, 1u, 1u) != 1u) {
  }
}
TEST(PlantedSync, SpinsForAFlagThatNobodySets) {
  Array<uint32_t> y(runtime(), std::vector<uint32_t>{0});
  const Found f = found([&] { launch(Spins{}, {.grid = {1}, .block = {1}}, y.data()); });
  EXPECT_EQ(f.kind, FindingKind::endless) << f.text;
}

PLANTED(Nothing, Global<float> y) {
  GFSA_SHARED(float, cells, 32);
  store(cells, thread_x() % 32, 0.0f);
  store(y, 0, 0.0f);
}
struct AtMost64 {
  static constexpr const char* kName = "at_most_64";
  static constexpr int kMaxThreads = 64;
  void operator()(Global<float>) const {}
};
TEST(PlantedSync, Limits) {
  Array<float> y(runtime(), 1);
  const Shape shape{3, 5};
  const auto expect = [&](const Launch& how, const char* part) {
    expect_finding(FindingKind::bad_launch, {"launch of kernel Nothing (op norm [3, 5])", part},
                   [&] { launch(Nothing{}, how, y.data()); });
  };
  expect({.grid = {1}, .block = {1025}, .op = "norm", .shapes = {&shape}}, "at most 1024");
  expect({.grid = {0}, .block = {32}, .op = "norm", .shapes = {&shape}}, "is empty");
  expect({.grid = {1, 65536}, .block = {32}, .op = "norm", .shapes = {&shape}}, "is larger than");
  expect({.grid = {1}, .block = {1, 1, 65}, .op = "norm", .shapes = {&shape}}, "64 in z");
  expect({.grid = {1}, .block = {32}, .shared_bytes = 300u << 10, .op = "norm", .shapes = {&shape}},
         "bytes of dynamic");
  expect_finding(FindingKind::bad_launch, {"at_most_64", "kMaxThreads is 64"},
                 [&] { launch(AtMost64{}, {.grid = {1}, .block = {128}}, y.data()); });
}

PLANTED(TooMuchStatic, Global<float> y) {
  BUG GFSA_SHARED(float, cells, 12 * 1024 + 1);
  store(cells, 0, 0.0f);
  store(y, 0, load(cells, 0));
}
TEST(PlantedSync, TooMuchStaticSharedMemory) {
  Array<float> y(runtime(), 1);
  expect_finding_at_bug<TooMuchStatic>(FindingKind::bad_launch, {"bytes of static shared memory, more than 49152"},
                                       [&] { launch(TooMuchStatic{}, {.grid = {1}, .block = {1}}, y.data()); });
}

PLANTED(WriteOne, Global<float> y) { store(y, thread_x(), 1.0f); }
PLANTED(ReadOne, Global<const float> x, Global<float> y) { BUG store(y, thread_x(), load(x, thread_x())); }
TEST(PlantedSync, StreamThatNoEventOrders) {
  const Stream first = runtime().create_stream(), second = runtime().create_stream();
  int times = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Array<float> x(runtime(), 32), y(runtime(), 32);
    const Found f = found(
        [&] {
          launch(WriteOne{}, {.grid = {1}, .block = {32}, .stream = first}, x.data());
          launch(ReadOne{}, {.grid = {1}, .block = {32}, .stream = second}, x.data(), y.data());
        },
        seed);
    times += f.kind == FindingKind::uninitialised;
  }
  EXPECT_GE(times, 4) << "the second kernel runs first now and then";
  EXPECT_LE(times, 19);
  runtime().destroy(first);
  runtime().destroy(second);
}

TEST(PlantedSync, HostReadsBeforeTheCopyArrives) {
  Array<float> x(runtime(), counting<float>(32));
  auto* host = static_cast<float*>(runtime().allocate_pinned(32 * sizeof(float)));
  runtime().copy_async(Transfer::to_host, host, x.data(), 32 * sizeof(float), {});
  EXPECT_TRUE(std::isnan(host[5])) << "an asynchronous copy is late until somebody waits for it";
  runtime().synchronize();
  EXPECT_EQ(host[5], 5.0f);
  // The host's next batch before the last one was copied: the copy sees the new one.
  runtime().copy_async(Transfer::to_device, x.data(), host, 32 * sizeof(float), {});
  host[5] = 70.0f;
  EXPECT_EQ(x.values()[5], 70.0f);
  runtime().release_pinned(host);
}

TEST(PlantedSync, AsynchronousCopyWithPageableMemory) {
  Array<float> x(runtime(), counting<float>(32));
  std::vector<float> host(32);
  expect_finding(FindingKind::stream, {"host memory that is not pinned"},
                 [&] { runtime().copy_async(Transfer::to_host, host.data(), x.data(), 32 * sizeof(float), {}); });
}

TEST(PlantedSync, CopyBeyondTheEnd) {
  Array<float> x(runtime(), counting<float>(32));
  std::vector<float> host(33);
  expect_finding(FindingKind::out_of_bounds, {"copy to the host of 132 bytes", "of 128 bytes"},
                 [&] { runtime().copy_to_host(host.data(), x.data(), 33 * sizeof(float)); });
}

TEST(PlantedSync, EventThatNobodyRecords) {
  const Stream first = runtime().create_stream(), second = runtime().create_stream();
  const Event a = runtime().create_event(), b = runtime().create_event();
  // Waiting for an event without a record is no wait; a cycle cannot be built, so nothing here hangs.
  runtime().wait(first, a);
  runtime().record(b, first);
  runtime().wait(second, b);
  EXPECT_FALSE(found([&] { runtime().synchronize(second); }).kind);
  for (const Stream s : {first, second}) runtime().destroy(s);
  for (const Event e : {a, b}) runtime().destroy(e);
}

TEST(PlantedSync, Captures) {
  Array<float> y(runtime(), 32);
  const Stream first = runtime().create_stream(), second = runtime().create_stream();
  const Event fork = runtime().create_event();
  runtime().synchronize();
  runtime().begin_capture(first);
  expect_finding(FindingKind::stream, {"synchronize while a stream is being captured"},
                 [&] { runtime().synchronize(first); });
  launch(WriteOne{}, {.grid = {1}, .block = {32}, .stream = first}, y.data());
  runtime().record(fork, first);
  runtime().wait(second, fork);
  launch(WriteOne{}, {.grid = {1}, .block = {32}, .stream = second}, y.data());
  const Found f = found([&] { runtime().end_capture(first); });
  EXPECT_THAT(f.text, testing::HasSubstr("was not waited for"));
  for (const Stream s : {first, second}) runtime().destroy(s);
  runtime().destroy(fork);
}

}  // namespace
}  // namespace gfsa::emulated
