#include "core/arena.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

#include "core/philox.h"
#include "support/op_case.h"

namespace gfsa {
namespace {

TEST(Arena, FiguresAndReuse) {
  Arena a{Device{}};
  void* x = a.allocate(1000);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(x) % 64, 0u);
  EXPECT_EQ(a.figures().current, 1024u);
  a.release(x);
  EXPECT_EQ(a.figures().current, 0u);
  EXPECT_EQ(a.figures().peak, 1024u);
  EXPECT_EQ(a.allocate(1000), x);
  a.release(x);
  a.reset_peak();
  EXPECT_EQ(a.figures().peak, 0u);
  EXPECT_NE(a.allocate(0), nullptr);
}

TEST(Arena, SteadyStateAsksTheSystemForNothing) {
  Arena a{Device{}};
  auto step = [&] {
    std::vector<void*> blocks;
    for (uint64_t n : {100u, 5u << 20, 70u << 20, 3u << 20, 64u}) blocks.push_back(a.allocate(n));
    for (void* b : blocks) a.release(b);
  };
  step();
  const ArenaFigures after_first = a.figures();
  for (int i = 0; i < 5; ++i) step();
  EXPECT_EQ(a.figures().system_allocations, after_first.system_allocations);
  EXPECT_EQ(a.figures().reserved, after_first.reserved);
  a.trim();
  EXPECT_EQ(a.figures().reserved, 0u);
}

TEST(Arena, NeighboursMerge) {
  Arena a{Device{}};
  std::vector<void*> blocks;
  for (int i = 0; i < 16; ++i) blocks.push_back(a.allocate(2u << 20));  // fills one segment
  const auto before = a.figures();
  for (size_t i : {1, 3, 2, 0, 15, 14, 4, 13, 5, 12, 6, 11, 7, 10, 8, 9}) a.release(blocks[i]);
  void* whole = a.allocate(16u << 20);
  EXPECT_EQ(a.figures().system_allocations, before.system_allocations);
  a.release(whole);
}

// Random requests, each block filled with its own byte: blocks never overlap, and all of it comes back.
TEST(Arena, BlocksNeverOverlap) {
  Arena a{Device{}};
  RandomSequence random(RandomKey(1, "arena"));
  struct Held {
    unsigned char* data;
    size_t bytes;
    unsigned char mark;
  };
  std::vector<Held> held;
  auto check_and_release = [&](size_t i) {
    for (size_t k = 0; k < held[i].bytes; k += 61) ASSERT_EQ(held[i].data[k], held[i].mark);
    a.release(held[i].data);
    held[i] = held.back();
    held.pop_back();
  };
  for (int step = 0; step < 3000; ++step) {
    if (held.size() < 40 && random.below(2) == 0) {
      const size_t bytes = random.below(random.below(10) == 0 ? 1 << 20 : 4096) + 1;
      held.push_back({static_cast<unsigned char*>(a.allocate(bytes)), bytes, static_cast<unsigned char>(step)});
      std::memset(held.back().data, held.back().mark, bytes);
    } else if (!held.empty()) {
      check_and_release(random.below(held.size()));
    }
  }
  while (!held.empty()) check_and_release(held.size() - 1);
  EXPECT_EQ(a.figures().current, 0u);
}

TEST(Arena, ManyThreads) {
  Arena a{Device{}};
  std::vector<std::thread> team;
  for (int t = 0; t < 4; ++t) {
    team.emplace_back([&] {
      for (int i = 0; i < 500; ++i) a.release(a.allocate(static_cast<uint64_t>(i) * 100));
    });
  }
  for (auto& t : team) t.join();
  EXPECT_EQ(a.figures().current, 0u);
}

TEST(Arena, Errors) {
  Arena a{Device{}};
  int x = 0;
  test::expect_error([&] { a.release(&x); }, {"not in use"});
  test::expect_error([&] { a.allocate(uint64_t{1} << 60); }, {"out of memory", "wanted", "train.batch_size"});
}

}  // namespace
}  // namespace gfsa
