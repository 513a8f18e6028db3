// Planted bugs with addresses: bounds, alignment, lifetime, bytes that nobody wrote.
#include "core/cuda/emulated/planted.h"
#include "support/sanitized.h"

namespace gfsa::emulated {
namespace {

PLANTED(ReadsBeyond, Global<const float> x, Global<float> y) {
  const int64_t i = global_x();
  BUG store(y, i, load(x, i + 1));
}
TEST(PlantedMemory, GlobalReadBeyondTheEnd) {
  Array<float> x(runtime(), counting<float>(64)), y(runtime(), 64);
  expect_finding_at_bug<ReadsBeyond>(FindingKind::out_of_bounds,
                                     {"kernel ReadsBeyond", "block (1, 0, 0)", "thread 31 (31, 0, 0)",
                                      "read of 4 bytes", "of 256 bytes", "offset 256 (0 bytes beyond its end)"},
                                     [&] { launch(ReadsBeyond{}, {.grid = {2}, .block = {32}}, x.data(), y.data()); });
}

PLANTED(WritesBefore, Global<float> y) { BUG store(y, static_cast<int64_t>(thread_x()) - 1, 1.0f); }
TEST(PlantedMemory, GlobalWriteBeforeTheBeginning) {
  Array<float> y(runtime(), 64);
  expect_finding_at_bug<WritesBefore>(
      FindingKind::out_of_bounds, {"write of 4 bytes", "thread 0 ", "offset -4 (4 bytes before it)", "memory_test.cpp"},
      [&] { launch(WritesBefore{}, {.grid = {1}, .block = {32}}, y.data()); });
}

PLANTED(IndexOverflows, Global<float> y) { BUG store(y, int64_t{1} << 40, static_cast<float>(thread_x())); }
TEST(PlantedMemory, GlobalWriteFarAway) {
  Array<float> y(runtime(), 64);
  expect_finding_at_bug<IndexOverflows>(FindingKind::out_of_bounds, {"write of 4 bytes"},
                                        [&] { launch(IndexOverflows{}, {.grid = {1}, .block = {1}}, y.data()); });
}

PLANTED(IntoTheNeighbour, Global<float> y) { BUG store(y, 256, 1.0f); }
TEST(PlantedMemory, GlobalWriteIntoAnotherAllocation) {
  Array<float> y(runtime(), 64), neighbour(runtime(), 1024);
  const auto begin = [](const Array<float>& a) { return reinterpret_cast<uintptr_t>(a.data()); };
  if (begin(neighbour) < begin(y) + 1024 && begin(neighbour) > begin(y)) {
    EXPECT_GE(begin(y) + 1024, begin(neighbour)) << "the write below lands in the neighbour";
  }
  expect_finding_at_bug<IntoTheNeighbour>(FindingKind::out_of_bounds, {"of 256 bytes, offset 1024"},
                                          [&] { launch(IntoTheNeighbour{}, {.grid = {1}, .block = {1}}, y.data()); });
}

PLANTED(ReadsNull, Global<const float> bias, Global<float> y) { BUG store(y, 0, load(bias, 0)); }
TEST(PlantedMemory, NullPointer) {
  Array<float> y(runtime(), 64);
  expect_finding_at_bug<ReadsNull>(FindingKind::out_of_bounds, {"a null pointer"}, [&] {
    launch(ReadsNull{}, {.grid = {1}, .block = {1}}, static_cast<const float*>(nullptr), y.data());
  });
}

PLANTED(MisalignedVector, Global<const float> x, Global<float> y) {
  BUG store_vector(y, 0, load_vector<4>(x, thread_x()));
}
TEST(PlantedMemory, MisalignedVectorLoad) {
  Array<float> x(runtime(), counting<float>(64)), y(runtime(), 64);
  expect_finding_at_bug<MisalignedVector>(FindingKind::misaligned, {"read of 16 bytes", "thread 1 ", "offset 4"}, [&] {
    launch(MisalignedVector{}, {.grid = {1}, .block = {2}}, x.data(), y.data());
  });
}

PLANTED(SharedBeyond, Global<float> y) {
  GFSA_SHARED(float, cells, 32);
  GFSA_SHARED(float, others, 32);
  store(others, thread_x(), 0.0f);
  BUG store(cells, thread_x() + 1, 1.0f);
  store(y, thread_x(), load(others, thread_x()));
}
TEST(PlantedMemory, SharedWriteBeyondTheEnd) {
  Array<float> y(runtime(), 64);
  expect_finding_at_bug<SharedBeyond>(
      FindingKind::out_of_bounds,
      {"write of 4 bytes in shared memory", "shared array of 128 bytes, offset 128", "thread 31 "},
      [&] { launch(SharedBeyond{}, {.grid = {1}, .block = {32}}, y.data()); });
}

PLANTED(SharedMisaligned, Global<float> y) {
  GFSA_SHARED(uint8_t, cells, 64);
  BUG store(cast<float>(cells + 2), 0, 1.0f);
  store(y, 0, 1.0f);
}
TEST(PlantedMemory, SharedMisaligned) {
  Array<float> y(runtime(), 64);
  expect_finding_at_bug<SharedMisaligned>(FindingKind::misaligned, {"write of 4 bytes in shared memory", "offset 2"},
                                          [&] { launch(SharedMisaligned{}, {.grid = {1}, .block = {1}}, y.data()); });
}

PLANTED(DynamicTooSmall, Global<float> y) { BUG store(y, 0, load(dynamic_shared<float>(0, 33), 0)); }
TEST(PlantedMemory, DynamicSharedMemorySmallerThanUsed) {
  Array<float> y(runtime(), 64);
  expect_finding_at_bug<DynamicTooSmall>(FindingKind::out_of_bounds, {"up to byte 132, but the launch gave 128"}, [&] {
    launch(DynamicTooSmall{}, {.grid = {1}, .block = {1}, .shared_bytes = 128}, y.data());
  });
}

PLANTED(Copies, Global<const float> x, Global<float> y) { BUG store(y, thread_x(), load(x, thread_x())); }
TEST(PlantedMemory, UseAfterFree) {
  Array<float> y(runtime(), 32);
  const Stream stream = runtime().create_stream();
  // Released on the main stream while a kernel on another one still reads it: in some order the release comes first.
  int times = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    runtime().synchronize();
    auto x = std::make_unique<Array<float>>(runtime(), counting<float>(32));
    runtime().synchronize();
    const Found f = found(
        [&] {
          launch(Copies{}, {.grid = {1}, .block = {32}, .stream = stream}, x->data(), y.data());
          x.reset();
        },
        seed);
    if (!f.kind) continue;
    ++times;
    EXPECT_EQ(static_cast<int>(*f.kind), static_cast<int>(FindingKind::use_after_free)) << f.text;
    EXPECT_THAT(f.text, testing::HasSubstr("of 128 bytes, offset "));
  }
  EXPECT_GE(times, 3);
  runtime().destroy(stream);
}

TEST(PlantedMemory, UninitialisedGlobal) {
  Array<float> x(runtime(), 32), y(runtime(), 32);
  expect_finding_at_bug<Copies>(FindingKind::uninitialised, {"read of 4 bytes in global memory", "nobody wrote byte 0"},
                                [&] { launch(Copies{}, {.grid = {1}, .block = {32}}, x.data(), y.data()); });
}

PLANTED(HalfWritten, Global<float> y) {
  GFSA_SHARED(uint32_t, cells, 32);
  store(cast<uint16_t>(cells), thread_x() * 2, static_cast<uint16_t>(thread_x()));
  BUG store(y, thread_x(), static_cast<float>(load(cells, thread_x())));
}
TEST(PlantedMemory, UninitialisedHalfOfAWord) {
  Array<float> y(runtime(), 32);
  expect_finding_at_bug<HalfWritten>(FindingKind::uninitialised,
                                     {"read of 4 bytes in shared memory", "nobody wrote byte 2"},
                                     [&] { launch(HalfWritten{}, {.grid = {1}, .block = {32}}, y.data()); });
}

PLANTED(AccumulatesIntoNothing, Global<float> y) { BUG atomic_add(y, 0, 1.0f); }
TEST(PlantedMemory, AtomicOnUninitialised) {
  Array<float> y(runtime(), 1);
  expect_finding_at_bug<AccumulatesIntoNothing>(FindingKind::uninitialised, {"atomic of 4 bytes"}, [&] {
    launch(AccumulatesIntoNothing{}, {.grid = {1}, .block = {32}}, y.data());
  });
}

PLANTED(Kept, Global<float> y) {
  GFSA_SHARED(float, cell, 1);
  if (block_x() == 0) store(cell, 0, 1.0f);
  BUG store(y, block_x(), load(cell, 0));
}
TEST(PlantedMemory, SharedMemoryIsFreshInEachBlock) {
  Array<float> y(runtime(), 2);
  expect_finding_at_bug<Kept>(FindingKind::uninitialised, {"block (1, 0, 0)"},
                              [&] { launch(Kept{}, {.grid = {2}, .block = {1}}, y.data()); });
}

TEST(PlantedMemory, HostMemoryInAKernel) {
  std::vector<float> x(32);
  Array<float> y(runtime(), 32);
  const Shape shape{4, 8};
  expect_finding(FindingKind::bad_launch, {"kernel Copies (op scale [4, 8])", "is host memory"}, [&] {
    launch(Copies{}, {.grid = {1}, .block = {32}, .op = "scale", .shapes = {&shape}}, x.data(), y.data());
  });
}

TEST(PlantedMemory, DeviceMemoryOnTheHost) {
  if (test::kSanitizer != nullptr) GTEST_SKIP() << test::kSanitizer << " reports the signal in its own way";
  Array<float> y(runtime(), 32);
  EXPECT_EXIT(y.data()[0] = 1.0f, testing::KilledBySignal(SIGSEGV), "");
}

TEST(PlantedMemory, ReleasedTwice) {
  void* memory = runtime().allocate(100);
  const Found f = found([&] {
    runtime().release(memory, 100);
    runtime().release(memory, 100);
  });
  ASSERT_TRUE(f.kind.has_value());
  EXPECT_THAT(f.text, testing::HasSubstr("not a live allocation"));
}

PLANTED(InPlaceCopies, InPlace<const float> x, InPlace<float> y) { store(y, thread_x(), load(x, thread_x())); }
TEST(PlantedMemory, ArgumentsThatAreTheSameMemory) {
  Array<float> x(runtime(), counting<float>(32));
  expect_finding(FindingKind::bad_launch, {"arguments 0 and 1 are the same memory"},
                 [&] { launch(Copies{}, {.grid = {1}, .block = {32}}, x.data(), x.data()); });
  EXPECT_FALSE(found([&] { launch(InPlaceCopies{}, {.grid = {1}, .block = {32}}, x.data(), x.data()); }).kind);
}

}  // namespace
}  // namespace gfsa::emulated
