// Kernels that are right: no finding and the right result under many schedules.
#include <random>

#include "core/cuda/device_test.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

constexpr uint64_t kSchedules = 20;

// A sum a block, in a fixed order.
struct BlockSums {
  static constexpr const char* kName = "block_sums";
  static constexpr int kMaxThreads = 256;
  GFSA_DEVICE void operator()(Global<const float> x, Global<float> sums, int64_t n) const {
    GFSA_SHARED(float, by_warp, 8);
    float sum = 0;
    for (int64_t i = global_x(); i < n; i += int64_t{grid_dim_x()} * block_dim_x()) sum += load(x, i);
    sum = warp_sum(sum);
    if (lane() == 0) store(by_warp, warp(), sum);
    sync_block();
    if (warp() == 0) {
      sum = warp_sum(lane() < block_dim_x() / 32 ? load(by_warp, lane()) : 0.0f);
      if (lane() == 0) store(sums, block_x(), sum);
    }
  }
};
DEVICE_TEST(Clean, Reduction) {
  const auto x = counting<float>(5000, 0.25);
  std::vector<float> first;
  for (uint64_t seed = 0; seed < kSchedules; ++seed) {
    choose_schedule(seed);
    Array<float> from(device, x), sums(device, 7), sum(device, 1);
    launch(BlockSums{}, {.grid = {7}, .block = {256}}, from.data(), sums.data(), 5000);
    launch(BlockSums{}, {.grid = {1}, .block = {64}}, sums.data(), sum.data(), 7);
    const auto result = sum.values();
    EXPECT_NEAR(result[0], 0.25 * 4999 * 5000 / 2, 1);
    if (seed == 0) first = result;
    EXPECT_EQ(result, first) << "the order of a sum depends on the schedule";
  }
}

// The block that comes last adds up what all have written.
struct LastBlockSums {
  static constexpr const char* kName = "last_block_sums";
  GFSA_DEVICE void operator()(Global<const float> x, Global<float> parts, Global<uint32_t> counter, Global<float> sum,
                              bool fence) const {
    GFSA_SHARED(uint32_t, ticket, 1);
    const float part = warp_sum(load(x, global_x()));
    if (thread_x() == 0) {
      store(parts, block_x(), part);
      if (fence) fence_device();
      store(ticket, 0, atomic_add(counter, 0, 1u));
      fence_device();
    }
    sync_block();
    if (load(ticket, 0) + 1 < grid_dim_x() || thread_x() != 0) return;
    float total = 0;
    for (uint32_t b = 0; b < grid_dim_x(); ++b) total += load(parts, b);
    store(sum, 0, total);
    store(counter, 0, 0u);  // for the next launch
  }
};
DEVICE_TEST(Clean, LastBlockReduction) {
  const auto x = counting<float>(320);
  Array<float> from(device, x);
  Array<uint32_t> counter(device, std::vector<uint32_t>{0});
  for (uint64_t seed = 0; seed < kSchedules; ++seed) {
    choose_schedule(seed);
    Array<float> parts(device, 10), sum(device, 1);
    launch(LastBlockSums{}, {.grid = {10}, .block = {32}}, from.data(), parts.data(), counter.data(), sum.data(), true);
    EXPECT_EQ(sum.values(), std::vector<float>{319 * 320 / 2});
  }
}
#ifdef GFSA_EMULATED
DEVICE_TEST(Clean, LastBlockReductionNeedsItsFence) {
  Array<float> from(device, counting<float>(320)), parts(device, 10), sum(device, 1);
  Array<uint32_t> counter(device, std::vector<uint32_t>{0});
  launch(LastBlockSums{}, {.grid = {10}, .block = {32}}, from.data(), parts.data(), counter.data(), sum.data(), false);
  EXPECT_THROW(device.synchronize(), emulator::Finding);
}
#endif

struct Transpose {
  static constexpr const char* kName = "transpose";
  GFSA_DEVICE void operator()(Global<const float> x, Global<float> y, int rows, int columns) const {
    GFSA_SHARED(float, tile, 32 * 33);
    const int c = static_cast<int>(block_x() * 32 + thread_x()), r0 = static_cast<int>(block_y() * 32);
    for (int r = static_cast<int>(thread_y()); r < 32; r += 8) {
      if (r0 + r < rows && c < columns) store(tile, r * 33 + thread_x(), load(x, int64_t{r0 + r} * columns + c));
    }
    sync_block();
    const int r = r0 + static_cast<int>(thread_x());
    for (int k = static_cast<int>(thread_y()); k < 32; k += 8) {
      const int column = static_cast<int>(block_x() * 32) + k;
      if (r < rows && column < columns) store(y, int64_t{column} * rows + r, load(tile, int64_t{thread_x()} * 33 + k));
    }
  }
};
DEVICE_TEST(Clean, Transpose) {
  constexpr int kRows = 70, kColumns = 45;
  const auto x = counting<float>(kRows * kColumns);
  for (uint64_t seed = 0; seed < kSchedules; ++seed) {
    choose_schedule(seed);
    Array<float> from(device, x), to(device, x.size());
    launch(Transpose{}, {.grid = {2, 3}, .block = {32, 8}}, from.data(), to.data(), kRows, kColumns);
    const auto y = to.values();
    for (int i = 0; i < kRows * kColumns; ++i) {
      ASSERT_EQ(y[static_cast<size_t>(i)], static_cast<float>(i % kRows * kColumns + i / kRows));
    }
  }
}

// C = A B, row-major; A and B bf16, C f32; N and K multiples of 8. A block of four warps makes 32 x 32 of C; each warp
// 16 x 16. Tiles of 16 in K come by cp.async, the next one while one is multiplied.
struct Gemm {
  static constexpr const char* kName = "gemm";
  static constexpr int kMaxThreads = 128;
  static constexpr int kStepA = 24, kStepB = 40;  // elements between rows: no bank is hit twice by ldmatrix
  static constexpr int kTileA = 32 * kStepA, kTileB = 16 * kStepB;
  static constexpr uint32_t kSharedBytes = 2 * (kTileA + kTileB) * 2;

  // The calling thread's 16 bytes of the tile that starts at k0; what lies outside of the matrices becomes zero.
  GFSA_DEVICE static void fetch(Global<const bfloat16> a, Global<const bfloat16> b, Shared<bfloat16> tile_a,
                                Shared<bfloat16> tile_b, int m, int n, int k, int k0, Where where = Where::current()) {
    const int part = static_cast<int>(thread_x()) % 64;
    if (thread_x() < 64) {
      const int row = static_cast<int>(block_y()) * 32 + part / 2, column = k0 + part % 2 * 8;
      const bool inside = row < m && column < k;
      copy_async<16>(tile_a, part / 2 * kStepA + part % 2 * 8, a, inside ? int64_t{row} * k + column : 0,
                     inside ? 16 : 0, where);
    } else {
      const int row = k0 + part / 4, column = static_cast<int>(block_x()) * 32 + part % 4 * 8;
      const bool inside = row < k && column < n;
      copy_async<16>(tile_b, part / 4 * kStepB + part % 4 * 8, b, inside ? int64_t{row} * n + column : 0,
                     inside ? 16 : 0, where);
    }
    copy_async_commit();
  }

  GFSA_DEVICE void operator()(Global<const bfloat16> a, Global<const bfloat16> b, Global<float> c, int m, int n,
                              int k) const {
    const Shared<bfloat16> tiles_a = dynamic_shared<bfloat16>(0, 2 * kTileA);
    const Shared<bfloat16> tiles_b = dynamic_shared<bfloat16>(2 * kTileA * 2, 2 * kTileB);
    const int l = static_cast<int>(lane()), row0 = static_cast<int>(warp()) / 2 * 16, column0 = warp() % 2 * 16;
    float sums[2][4] = {};
    fetch(a, b, tiles_a, tiles_b, m, n, k, 0);
    const int steps = (k + 15) / 16;
    for (int step = 0; step < steps; ++step) {
      const int now = step % 2, next = 1 - now;
      if (step + 1 < steps) {
        fetch(a, b, tiles_a + next * kTileA, tiles_b + next * kTileB, m, n, k, (step + 1) * 16);
      } else {
        copy_async_commit();  // an empty group keeps the count
      }
      copy_async_wait<1>();
      sync_block();
      uint32_t fa[4], fb[4];
      ldmatrix(fa, tiles_a + now * kTileA + (row0 + l % 16) * kStepA + l / 16 * 8);
      ldmatrix_transposed(fb, tiles_b + now * kTileB + l % 16 * kStepB + column0 + l / 16 * 8);
      mma_bf16(sums[0], fa, {fb[0], fb[1]});
      mma_bf16(sums[1], fa, {fb[2], fb[3]});
      sync_block();  // before this buffer is filled again
    }
    for (int half = 0; half < 2; ++half) {
      for (int i = 0; i < 4; ++i) {
        const int row = static_cast<int>(block_y()) * 32 + row0 + l / 4 + i / 2 * 8;
        const int column = static_cast<int>(block_x()) * 32 + column0 + half * 8 + l % 4 * 2 + i % 2;
        if (row < m && column < n) store(c, int64_t{row} * n + column, sums[half][i]);
      }
    }
  }
};
DEVICE_TEST(Clean, GemmOnTensorCores) {
  for (const auto& [m, n, k] : {std::array{70, 40, 72}, std::array{32, 32, 16}, std::array{5, 8, 200}}) {
    std::mt19937 random(7);
    std::vector<bfloat16> a(static_cast<size_t>(m * k)), b(static_cast<size_t>(k * n));
    for (auto* matrix : {&a, &b}) {
      for (auto& x : *matrix) x = bfloat16(static_cast<float>(random() % 2001) / 1000 - 1);
    }
    std::vector<double> expected(static_cast<size_t>(m * n));
    for (int i = 0; i < m * n; ++i) {
      for (int j = 0; j < k; ++j) {
        expected[static_cast<size_t>(i)] += static_cast<double>(a[static_cast<size_t>(i / n * k + j)]) *
                                            static_cast<double>(b[static_cast<size_t>(j * n + i % n)]);
      }
    }
    for (uint64_t seed = 0; seed < kSchedules; ++seed) {
      choose_schedule(seed);
      Array<bfloat16> da(device, a), db(device, b);
      Array<float> dc(device, expected.size());
      launch(Gemm{},
             {.grid = {blocks_for(n, 32), blocks_for(m, 32)}, .block = {128}, .shared_bytes = Gemm::kSharedBytes},
             da.data(), db.data(), dc.data(), m, n, k);
      const auto c = dc.values();
      for (size_t i = 0; i < c.size(); ++i) ASSERT_NEAR(c[i], expected[i], 1e-4) << i;
    }
  }
}

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
