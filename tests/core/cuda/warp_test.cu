// Barriers, shuffles, votes and reductions against their definitions.
#include "core/cuda/device_test.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

constexpr int kShuffles = 5;

template <class T>
struct Shuffles {
  static constexpr const char* kName = "shuffles";
  GFSA_DEVICE void operator()(Global<const T> x, Global<T> y, int n) const {
    const int64_t i = thread_x();
    const int l = static_cast<int>(lane());
    const T v = load(x, i);
    store(y, i * kShuffles, shuffle(v, l * 7 + n));
    store(y, i * kShuffles + 1, shuffle_up(v, static_cast<uint32_t>(n)));
    store(y, i * kShuffles + 2, shuffle_down(v, static_cast<uint32_t>(n)));
    store(y, i * kShuffles + 3, shuffle_xor(v, static_cast<uint32_t>(n)));
    // Every second lane among themselves.
    if (l % 2 == 0) store(y, i * kShuffles + 4, shuffle(v, (l + 2 * n) % 32, 0x55555555u));
    if (l % 2 == 1) store(y, i * kShuffles + 4, shuffle(v, (l + 2) % 32, 0xAAAAAAAAu));
  }
};
template <class T>
void check_shuffles(DeviceRuntime& device) {
  std::vector<T> x;
  for (int i = 0; i < 64; ++i) x.push_back(static_cast<T>(static_cast<float>(i * 3 + 1)));
  for (const int n : {0, 1, 2, 5, 16, 31}) {
    Array<T> from(device, x), to(device, 64 * kShuffles);
    launch(Shuffles<T>{}, {.grid = {1}, .block = {64}}, from.data(), to.data(), n);
    const auto y = to.values();
    for (int i = 0; i < 64; ++i) {
      const int l = i % 32, first = i - l;
      const int sources[] = {(l * 7 + n) % 32, l >= n ? l - n : l, l + n < 32 ? l + n : l, l ^ n,
                             l % 2 == 0 ? (l + 2 * n) % 32 : (l + 2) % 32};
      for (int k = 0; k < kShuffles; ++k) {
        EXPECT_EQ(static_cast<float>(y[static_cast<size_t>(i * kShuffles + k)]),
                  static_cast<float>(x[static_cast<size_t>(first + sources[k])]))
            << "lane " << l << " n " << n << " shuffle " << k;
      }
    }
  }
}
DEVICE_TEST(Warp, Shuffles) {
  check_shuffles<float>(device);
  check_shuffles<int32_t>(device);
  check_shuffles<double>(device);
  check_shuffles<uint64_t>(device);
  check_shuffles<bfloat16>(device);
}

struct Votes {
  static constexpr const char* kName = "votes";
  GFSA_DEVICE void operator()(Global<const uint32_t> x, Global<uint32_t> y) const {
    const int64_t i = thread_x();
    const bool mine = load(x, i) != 0;
    const uint32_t low_lanes = 0x0000FFFFu;
    store(y, i * 4, vote_ballot(mine));
    store(y, i * 4 + 1, vote_any(mine));
    store(y, i * 4 + 2, vote_all(mine));
    uint32_t low = 0;
    if (lane() < 16) low = vote_ballot(mine, low_lanes) | (vote_all(mine, low_lanes) ? 1u << 31 : 0u);
    store(y, i * 4 + 3, low);
  }
};
DEVICE_TEST(Warp, Votes) {
  for (const uint32_t pattern : {0u, 0xFFFFFFFFu, 0x0000FFFFu, 0x80000001u, 0x12345678u}) {
    std::vector<uint32_t> x;
    for (int i = 0; i < 64; ++i) x.push_back((i < 32 ? pattern : ~pattern) >> (i % 32) & 1u);
    Array<uint32_t> from(device, x), to(device, 256);
    launch(Votes{}, {.grid = {1}, .block = {64}}, from.data(), to.data());
    const auto y = to.values();
    for (uint32_t i = 0; i < 64; ++i) {
      const uint32_t bits = i < 32 ? pattern : ~pattern;
      EXPECT_EQ(y[i * 4], bits);
      EXPECT_EQ(y[i * 4 + 1], bits != 0);
      EXPECT_EQ(y[i * 4 + 2], bits == 0xFFFFFFFFu);
      const uint32_t low = bits & 0xFFFFu;
      EXPECT_EQ(y[i * 4 + 3], i % 32 < 16 ? low | (low == 0xFFFFu ? 1u << 31 : 0u) : 0u);
    }
  }
}

struct Reductions {
  static constexpr const char* kName = "warp_reductions";
  GFSA_DEVICE void operator()(Global<const float> x, Global<float> y, Global<int32_t> z) const {
    const int64_t i = thread_x();
    const float v = load(x, i);
    store(y, i * 2, warp_sum(v));
    store(y, i * 2 + 1, warp_max(v));
    const int32_t k = static_cast<int32_t>(v * 1000);
    store(z, i * 2, warp_sum(k));
    store(z, i * 2 + 1, warp_max(k));
  }
};
DEVICE_TEST(Warp, ReductionsHaveTheBitsOfTheButterfly) {
  std::vector<float> x;
  for (int i = 0; i < 64; ++i) x.push_back(std::sin(static_cast<float>(i)) * 100 / static_cast<float>(i + 1));
  Array<float> from(device, x), to(device, 128);
  Array<int32_t> integers(device, 128);
  launch(Reductions{}, {.grid = {1}, .block = {64}}, from.data(), to.data(), integers.data());
  const auto y = to.values();
  const auto z = integers.values();
  for (size_t w = 0; w < 2; ++w) {
    std::vector<float> sums(x.begin() + 32 * w, x.begin() + 32 * w + 32);
    int32_t sum = 0, maximum = INT32_MIN;
    for (const float v : sums) {
      sum += static_cast<int32_t>(v * 1000);
      maximum = std::max(maximum, static_cast<int32_t>(v * 1000));
    }
    const float largest = *std::max_element(sums.begin(), sums.end());
    for (size_t bits = 16; bits > 0; bits /= 2) {
      const std::vector<float> old = sums;
      for (size_t l = 0; l < 32; ++l) sums[l] = old[l] + old[l ^ bits];
    }
    for (size_t l = 0; l < 32; ++l) {
      EXPECT_EQ(y[(32 * w + l) * 2], sums[l]);
      EXPECT_EQ(y[(32 * w + l) * 2 + 1], largest);
      EXPECT_EQ(z[(32 * w + l) * 2], sum);
      EXPECT_EQ(z[(32 * w + l) * 2 + 1], maximum);
    }
  }
}

struct BlockVotes {
  static constexpr const char* kName = "block_votes";
  GFSA_DEVICE void operator()(Global<uint32_t> y, uint32_t below) const {
    const bool mine = thread_x() < below;
    const bool any = sync_block_or(mine), all = sync_block_and(mine);
    const uint32_t count = sync_block_count(mine);
    store(y, thread_x(), count * 4 + (any ? 2 : 0) + (all ? 1 : 0));
  }
};
DEVICE_TEST(Warp, BlockVotes) {
  for (const uint32_t below : {0u, 1u, 50u, 96u}) {
    Array<uint32_t> y(device, 96);
    launch(BlockVotes{}, {.grid = {1}, .block = {96}}, y.data(), below);
    EXPECT_EQ(y.values(), std::vector<uint32_t>(96, below * 4 + (below > 0 ? 2 : 0) + (below == 96 ? 1 : 0)));
  }
}

// Warp 0 fills two buffers in turn, warps 1 and 2 read them: full (1, 2) and empty (3, 4) barriers.
struct ProducerConsumer {
  static constexpr const char* kName = "producer_consumer";
  GFSA_DEVICE void operator()(Global<float> y, int rounds) const {
    GFSA_SHARED(float, buffer, 64);
    const int l = static_cast<int>(lane());
    for (int r = 0; r < rounds; ++r) {
      const uint32_t half = static_cast<uint32_t>(r % 2);
      if (warp() == 0) {
        if (r >= 2) sync_named(3 + half, 96);
        store(buffer, half * 32 + l, static_cast<float>(r * 100 + l));
        arrive_named(1 + half, 96);
      } else {
        sync_named(1 + half, 96);
        const float v = load(buffer, half * 32 + 31 - l);
        store(y, (r * 2 + static_cast<int>(warp()) - 1) * 32 + l, v);
        if (r + 2 < rounds) arrive_named(3 + half, 96);
      }
    }
  }
};
DEVICE_TEST(Warp, NamedBarriers) {
  constexpr int kRounds = 7;
  Array<float> y(device, kRounds * 64);
  launch(ProducerConsumer{}, {.grid = {1}, .block = {96}}, y.data(), kRounds);
  const auto values = y.values();
  for (int i = 0; i < kRounds * 64; ++i) {
    EXPECT_EQ(values[static_cast<size_t>(i)], static_cast<float>(i / 64 * 100 + 31 - i % 32)) << i;
  }
}

// Lanes pass numbers on through shared memory, with sync_warp between.
struct ThroughWarp {
  static constexpr const char* kName = "through_warp";
  GFSA_DEVICE void operator()(Global<uint32_t> y) const {
    GFSA_SHARED(uint32_t, cells, 64);
    const uint32_t first = warp() * 32, l = lane();
    store(cells, first + l, l);
    for (int step = 0; step < 5; ++step) {
      sync_warp();
      const uint32_t v = load(cells, first + (l + 1) % 32);
      sync_warp();
      store(cells, first + l, v);
    }
    sync_warp();
    store(y, thread_x(), load(cells, first + (l ^ 1)));
  }
};
DEVICE_TEST(Warp, SyncWarpOrdersSharedMemory) {
  Array<uint32_t> y(device, 64);
  launch(ThroughWarp{}, {.grid = {1}, .block = {64}}, y.data());
  const auto values = y.values();
  for (uint32_t i = 0; i < 64; ++i) EXPECT_EQ(values[i], ((i ^ 1) % 32 + 5) % 32);
}

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
