#include "core/arena.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

#include "core/cuda/runtime.h"
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

// What others get, also of what was given back to the pool, never lies where the pool's work writes.
TEST(ArenaPool, ItsMemoryServesNobodyElse) {
  Arena a{Device{}};
  RandomSequence random(RandomKey(2, "arena"));
  struct Span {
    char* begin;
    size_t bytes;
  };
  const auto some = [&] { return random.below(random.below(8) == 0 ? 40 << 20 : 100000) + 1; };
  std::vector<Span> recorded, others;
  std::vector<void*> held;
  const auto take = [&](std::vector<Span>& spans) {
    const size_t bytes = some();
    spans.push_back({static_cast<char*>(a.allocate(bytes)), bytes});
  };
  for (int i = 0; i < 20; ++i) take(others);
  for (size_t i = 0; i < 10; ++i) a.release(others[2 * i].begin), others[2 * i].bytes = 0;
  std::erase_if(others, [](const Span& s) { return s.bytes == 0; });
  ArenaPool pool(a);
  for (int round = 0; round < 3; ++round) {
    const ArenaPoolScope scope(pool);
    for (int i = 0; i < 60; ++i) {
      take(recorded);
      held.push_back(recorded.back().begin);
      if (random.below(3) > 0)
        std::swap(held[random.below(held.size())], held.back()), a.release(held.back()), held.pop_back();
      if (i % 20 == 0 && !others.empty()) a.release(others.back().begin), others.pop_back();  // is nobody's of the pool
    }
  }
  for (size_t i = 0; i < held.size(); i += 2) a.release(held[i]);  // also outside of the scope
  for (int i = 0; i < 200; ++i) take(others);
  for (const Span& s : others) {
    for (const Span& r : recorded) ASSERT_TRUE(s.begin + s.bytes <= r.begin || r.begin + r.bytes <= s.begin);
  }
}

TEST(ArenaPool, TakesWhatIsFreeAndGivesItBack) {
  Arena a{Device{}};
  const auto step = [&] {
    std::vector<void*> blocks;
    for (uint64_t n : {100u, 5u << 20, 70u << 20, 3u << 20, 64u}) blocks.push_back(a.allocate(n));
    for (void* b : blocks) a.release(b);
  };
  void* state = a.allocate(50 << 20);
  step();
  const ArenaFigures eager = a.figures();
  a.reset_peak();
  for (int i = 0; i < 3; ++i) {
    ArenaPool pool(a);
    {
      const ArenaPoolScope scope(pool);
      step();
    }
    EXPECT_EQ(a.figures().current, eager.peak) << "nobody else can have it";
    EXPECT_EQ(a.figures().peak, eager.peak);
    {
      const ArenaPoolScope scope(pool);
      step();
    }
    EXPECT_EQ(a.figures().current, eager.peak) << "another recording in the same memory";
    a.trim();
    EXPECT_EQ(a.figures().reserved, eager.reserved) << "the pool's is not the arena's to give back";
  }
  EXPECT_EQ(a.figures().current, eager.current);
  step();
  EXPECT_EQ(a.figures().system_allocations, eager.system_allocations);
  a.release(state);
  a.trim();
  EXPECT_EQ(a.figures().reserved, 0u);
}

TEST(ArenaPool, BlocksOutliveIt) {
  Arena a{Device{}};
  auto pool = std::make_unique<ArenaPool>(a);
  void *kept = nullptr, *other = nullptr;
  {
    const ArenaPoolScope scope(*pool);
    kept = a.allocate(1 << 20);
    a.release(a.allocate(3 << 20));
    std::thread([&] { other = a.allocate(1000); }).join();  // not this scope's
  }
  EXPECT_EQ(a.figures().current, (4u << 20) + 1024);
  pool.reset();
  EXPECT_EQ(a.figures().current, (1u << 20) + 1024);
  std::memset(kept, 1, 1 << 20);
  a.release(kept);
  a.release(other);
  EXPECT_EQ(a.figures().current, 0u);
  a.trim();
  EXPECT_EQ(a.figures().reserved, 0u);
}

// What a graph has released is its own until it is destroyed; then the device has it back. An abandoned one is none.
TEST(ArenaPool, OfADestroyedGraphReturns) {
  constexpr uint64_t kBytes = 3 << 17;  // of x and kept
  for (const Device device : test::other_devices()) {
    auto& runtime = dynamic_cast<DeviceRuntime&>(backend(device));
    Arena& a = arena(device);
    const uint64_t slack = device.type == DeviceType::emulated ? 0 : 64 << 20;  // of a driver
    for (const bool abandoned : {false, true}) {
      a.trim();
      runtime.synchronize();
      const ArenaFigures before = a.figures();
      const uint64_t free = runtime.memory().free;
      {
        auto pool = std::make_unique<ArenaPool>(a);
        Tensor kept;
        Graph graph;
        {
          const ArenaPoolScope scope(*pool);
          runtime.begin_capture({});
          {
            const Tensor x = Tensor::full({1 << 16}, 2, DType::f32, device);
            kept = x.to(DType::bf16);
          }
          if (abandoned) {
            runtime.abandon_capture({});
          } else {
            graph = runtime.end_capture({});
          }
        }
        EXPECT_EQ(a.figures().current, before.current + kBytes);
        const Tensor others = Tensor::zeros({1 << 16}, DType::f32, device);
        for (int i = 0; i < 3 && !abandoned; ++i) {
          EXPECT_LE(runtime.memory().free, free - kBytes);
          runtime.launch(graph, {});
          EXPECT_EQ(kept.slice(0, 5, 6).item(), 2);
        }
        EXPECT_EQ(others.slice(0, 7, 8).item(), 0);
        if (!abandoned) runtime.destroy(graph);
        pool.reset();
        EXPECT_EQ(a.figures().current, before.current + kept.bytes() + others.bytes());
      }
      a.trim();
      runtime.synchronize();
      EXPECT_EQ(a.figures().current, before.current);
      EXPECT_EQ(a.figures().reserved, before.reserved);
      EXPECT_GE(runtime.memory().free + slack, free);
    }
  }
}

TEST(Arena, Errors) {
  Arena a{Device{}};
  int x = 0;
  test::expect_error([&] { a.release(&x); }, {"not in use"});
  ArenaPool one(a), two(a);
  const ArenaPoolScope scope(one);
  test::expect_error([&] { const ArenaPoolScope second(two); }, {"two pools at once"});
  test::expect_error([&] { a.allocate(uint64_t{1} << 60); }, {"out of memory", "wanted", "train.batch_size"});
}

}  // namespace
}  // namespace gfsa
