// Box copies, mbarriers and wgmma against their definitions, under many schedules.
#include <array>
#include <random>

#include "core/cuda/device_test.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

constexpr uint64_t kWarpgroupSchedules = 20;

std::vector<bfloat16> random_matrix(size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<bfloat16> values(n);
  for (auto& x : values) x = bfloat16(static_cast<float>(random() % 2001) / 1000 - 1);
  return values;
}

// Where element i of tiles of 64 columns, one row after the other from `tile` on, stands behind the swizzle.
GFSA_DEVICE int64_t swizzled_element(const Shared<bfloat16>& tile, int64_t i) {
  const uint32_t start = shared_address(tile);
  return (swizzled(start + static_cast<uint32_t>(2 * i)) - start) / 2;
}

struct CopyBox {
  static constexpr const char* kName = "copy_box";
  static constexpr bool kNeedsWarpgroups = true;
  TensorMap map;
  GFSA_DEVICE void operator()(Global<bfloat16> y, int rows, int c0, int c1, int c2, int c3, int c4) const {
    const Shared<bfloat16> box = dynamic_shared<bfloat16>(0, rows * 64);
    const Shared<Mbarrier> full = dynamic_shared<Mbarrier>((rows + 7) / 8 * 1024, 1);
    const int t = static_cast<int>(thread_x());
    if (t == 0) {
      mbarrier_init(full, 0, 1);
      mbarrier_init_fence();
      prefetch_map(map);
    }
    sync_block();
    if (t == 0) {
      mbarrier_arrive_expect(full, 0, static_cast<uint32_t>(rows) * 128);
      copy_box_async(box, 0, map, {c0, c1, c2, c3, c4}, full, 0);
    }
    mbarrier_wait(full, 0, 0);
    for (int i = t; i < rows * 64; i += static_cast<int>(block_dim_x())) {
      store(y, i, load(box, swizzled_element(box, i)));
    }
  }
};
struct BoxCase {
  std::array<int64_t, 5> sizes;
  int rows;
  std::array<int, 5> at;
};
WARPGROUP_TEST(Warpgroup, BoxCopies) {
  const BoxCase cases[] = {
      {{200, 1, 1, 1, 1}, 1, {64, 0, 0, 0, 0}},    {{200, 1, 1, 1, 1}, 8, {144, 0, 0, 0, 0}},
      {{64, 64, 1, 1, 1}, 64, {0, 0, 0, 0, 0}},    {{64, 300, 1, 1, 1}, 256, {0, 20, 0, 0, 0}},
      {{100, 50, 1, 1, 1}, 40, {64, 32, 0, 0, 0}}, {{100, 50, 1, 1, 1}, 40, {-24, -8, 0, 0, 0}},
      {{37, 20, 3, 1, 1}, 16, {3, 5, 2, 0, 0}},    {{37, 20, 3, 1, 1}, 16, {0, 0, 3, 0, 0}},
      {{72, 10, 3, 2, 1}, 16, {8, -3, 1, 1, 0}},   {{72, 10, 3, 2, 1}, 16, {8, 0, 1, -1, 0}},
      {{64, 9, 2, 3, 2}, 24, {-1, 2, 1, 2, 1}},    {{64, 9, 2, 3, 2}, 24, {-64, 2, 1, 2, 1}},
      {{64, 9, 2, 3, 2}, 24, {1, 9, 1, 2, 1}},     {{64, 9, 2, 3, 2}, 7, {0, 1, 0, 2, 0}},
  };
  for (const BoxCase& c : cases) {
    std::array<int64_t, 5> steps{1, 0, 0, 0, 0};
    int64_t n = (c.sizes[0] + 7) / 8 * 8 + 8;
    for (size_t d = 1; d < 5; ++d) steps[d] = n, n *= c.sizes[d];
    const auto x = random_matrix(static_cast<size_t>(n), 3);
    std::vector<bfloat16> expected;
    for (int r = 0; r < c.rows; ++r) {
      for (int j = 0; j < 64; ++j) {
        bool inside = true;
        int64_t from = 0;
        for (size_t d = 0; d < 5; ++d) {
          const int64_t i = c.at[d] + (d == 0 ? j : d == 1 ? r : 0);
          inside = inside && i >= 0 && i < c.sizes[d];
          from += i * steps[d];
        }
        expected.push_back(inside ? x[static_cast<size_t>(from)] : bfloat16(0.0f));
      }
    }
    for (uint64_t seed = 0; seed < kWarpgroupSchedules; ++seed) {
      choose_schedule(seed);
      Array<bfloat16> from(device, x), to(device, expected.size());
      launch(CopyBox{tensor_map({from.data(), c.sizes, steps, c.rows})},
             {.grid = {1}, .block = {64}, .shared_bytes = static_cast<uint32_t>((c.rows + 7) / 8 * 1024 + 8)},
             to.data(), c.rows, c.at[0], c.at[1], c.at[2], c.at[3], c.at[4]);
      const auto y = to.values();
      for (size_t i = 0; i < y.size(); ++i) {
        ASSERT_EQ(y[i].bits, expected[i].bits) << "row " << i / 64 << " column " << i % 64 << ", case " << &c - cases;
      }
    }
  }
}

TEST(GFSA_SUITE_NAME(Warpgroup), RulesOfTensors) {
  if (const std::string why = why_no_device(); !why.empty()) GTEST_SKIP() << why;
  const test::EmulatorArchitecture architecture(90);
  if (!runtime().has_warpgroups()) GTEST_SKIP() << "no warpgroups";
  Array<bfloat16> x(runtime(), 4096);
  const auto refused = [](const BoxedTensor& tensor, const char* part) {
    try {
      tensor_map(tensor);
      ADD_FAILURE() << "taken, without " << part;
    } catch (const Error& error) {
      EXPECT_NE(error.message().find(part), std::string::npos) << error.message();
    }
  };
  const BoxedTensor good{.data = x.data(), .sizes = {64, 64, 1, 1, 1}, .steps = {1, 64, 0, 0, 0}};
  EXPECT_NO_THROW(tensor_map(good));
  BoxedTensor bad = good;
  bad.data = x.data() + 4;
  refused(bad, "address");
  bad = good, bad.steps[1] = 60;
  refused(bad, "steps[1]");
  bad = good, bad.steps[3] = 4;
  refused(bad, "steps[3]");
  bad = good, bad.steps[0] = 2;
  refused(bad, "steps[0]");
  bad = good, bad.box_rows = 257;
  refused(bad, "box_rows");
  bad = good, bad.sizes[2] = 0;
  refused(bad, "sizes[2]");
}

// Column sums of a matrix of 64 columns, in tiles of 16 rows: a warp of its own brings them into a ring of three, four
// warps add them up.
struct Ring {
  static constexpr const char* kName = "ring";
  static constexpr bool kNeedsWarpgroups = true;
  static constexpr int kStages = 3, kRows = 16, kBytes = kRows * 128;
  static constexpr uint32_t kSharedBytes = kStages * kBytes + 2 * kStages * 8;
  TensorMap map;
  GFSA_DEVICE void operator()(Global<float> y, int tiles, bool by_warps) const {
    const Shared<bfloat16> ring = dynamic_shared<bfloat16>(0, kStages * kRows * 64);
    const Shared<Mbarrier> full = dynamic_shared<Mbarrier>(kStages * kBytes, kStages);
    const Shared<Mbarrier> empty = dynamic_shared<Mbarrier>(kStages * (kBytes + 8), kStages);
    const int t = static_cast<int>(thread_x());
    if (t == 0) {
      for (int s = 0; s < kStages; ++s) mbarrier_init(full, s, 1);
      for (int s = 0; s < kStages; ++s) mbarrier_init(empty, s, by_warps ? 4 : 128);
      mbarrier_init_fence();
    }
    sync_block();
    if (warp() == 4) {
      give_registers<24>();
      if (lane() != 0) return;
      for (int i = 0; i < tiles; ++i) {
        const int s = i % kStages;
        const uint32_t parity = static_cast<uint32_t>(i / kStages) % 2;
        mbarrier_wait(empty, s, parity ^ 1);  // at once the first time round
        mbarrier_arrive_expect(full, s, kBytes);
        copy_box_async(ring, s * kRows * 64, map, {0, i * kRows, 0, 0, 0}, full, s);
      }
      return;
    }
    take_registers<160>();
    float sum = 0;
    for (int i = 0; i < tiles; ++i) {
      const int s = i % kStages;
      mbarrier_wait(full, s, static_cast<uint32_t>(i / kStages) % 2);
      const Shared<bfloat16> tile = ring + s * kRows * 64;
      for (int r = t / 64; r < kRows; r += 2)
        sum += to_float(load(ring, s * kRows * 64 + swizzled_element(tile, r * 64 + t % 64)));
      if (by_warps) sync_warp();
      if (!by_warps || lane() == 0) mbarrier_arrive(empty, s);
    }
    store(y, t, sum);
  }
};
WARPGROUP_TEST(Warpgroup, RingOfBoxes) {
  for (const int tiles : {1, 3, 11}) {
    const auto x = random_matrix(static_cast<size_t>(tiles) * Ring::kRows * 64, 5);
    std::vector<double> expected(64);
    for (size_t i = 0; i < x.size(); ++i) expected[i % 64] += static_cast<double>(x[i]);
    for (uint64_t seed = 0; seed < 2 * kWarpgroupSchedules; ++seed) {
      choose_schedule(seed);
      Array<bfloat16> from(device, x);
      Array<float> to(device, 128);
      const TensorMap map =
          tensor_map({from.data(), {64, int64_t{tiles} * Ring::kRows, 1, 1, 1}, {1, 64, 0, 0, 0}, Ring::kRows});
      launch(Ring{map}, {.grid = {1}, .block = {160}, .shared_bytes = Ring::kSharedBytes}, to.data(), tiles,
             seed % 2 == 0);
      const auto y = to.values();
      for (size_t c = 0; c < 64; ++c) ASSERT_NEAR(y[c] + y[64 + c], expected[c], 1e-4) << c;
    }
  }
}

// c[128][N] = (c +) a[128][128] b, by two warpgroups of 64 rows; b is [N][128] (Major::k) or [128][N] (Major::mn).
template <Major kMajor, int kTiles, bool kRegisters>
struct Multiply128 {
  static constexpr const char* kName = "multiply_128";
  static constexpr bool kNeedsWarpgroups = true;
  static constexpr int kMaxThreads = 256;
  static constexpr int kN = 8 * kTiles, kK = 128;
  static constexpr int kTileA = 128 * 64, kTileB = kMajor == Major::k ? kN * 64 : kK * 64;  // of 64 columns in memory
  static constexpr int kTilesB = kMajor == Major::k ? kK / 64 : kN / 64;
  static constexpr uint32_t kBytes = (2 * kTileA + kTilesB * kTileB) * 2;
  static constexpr uint32_t kSharedBytes = kBytes + 8;
  enum How { kOneGroup, kAccumulates, kByStores, kHow };
  TensorMap map_a, map_b;

  GFSA_DEVICE static void store_tiles(Shared<bfloat16> to, Global<const bfloat16> from, int rows, int columns,
                                      Where where = Where::current()) {
    for (int i = static_cast<int>(thread_x()); i < rows * columns; i += 256) {
      const int64_t at = int64_t{i % columns / 64} * rows * 64 + i / columns * 64 + i % 64;
      store(to, swizzled_element(to, at), load(from, i, where), where);
    }
  }
  GFSA_DEVICE void operator()(Global<const bfloat16> a, Global<const bfloat16> b, Global<float> c, int how) const {
    const Shared<bfloat16> tiles_a = dynamic_shared<bfloat16>(0, 2 * kTileA);
    const Shared<bfloat16> tiles_b = dynamic_shared<bfloat16>(4 * kTileA, kTilesB * kTileB);
    const Shared<Mbarrier> full = dynamic_shared<Mbarrier>(kBytes, 1);
    if (how == kByStores) {
      store_tiles(tiles_a, a, 128, kK);
      if (kMajor == Major::k) store_tiles(tiles_b, b, kN, kK);
      if (kMajor == Major::mn) store_tiles(tiles_b, b, kK, kN);
      fence_async_proxy();
      sync_block();
    } else {
      if (thread_x() == 0) {
        mbarrier_init(full, 0, 1);
        mbarrier_init_fence();
      }
      sync_block();
      if (thread_x() == 0) {
        mbarrier_arrive_expect(full, 0, kBytes);
        for (int i = 0; i < 2; ++i) copy_box_async(tiles_a, i * kTileA, map_a, {64 * i, 0, 0, 0, 0}, full, 0);
        for (int i = 0; i < kTilesB; ++i) copy_box_async(tiles_b, i * kTileB, map_b, {64 * i, 0, 0, 0, 0}, full, 0);
      }
      mbarrier_wait(full, 0, 0);
    }
    const int group = static_cast<int>(warp()) / 4, l = static_cast<int>(lane());
    const int row = static_cast<int>(warp()) * 16 + l / 4, column = l % 4 * 2;
    float d[kTiles][4];
    for (int n = 0; n < kTiles; ++n) {
      for (int i = 0; i < 4; ++i) {
        d[n][i] = how == kAccumulates ? load(c, int64_t{row + i / 2 * 8} * kN + 8 * n + column + i % 2) : 0.0f;
      }
    }
    uint32_t fragments[kK / 16][4];
    if constexpr (kRegisters) {
      for (int k = 0; k < kK / 16; ++k) {
        for (int r = 0; r < 4; ++r) {
          const auto pair = load_vector<2>(a, int64_t{row + r % 2 * 8} * kK + 16 * k + column + r / 2 * 8);
          fragments[k][r] = pack_bf16(to_float(pair[0]), to_float(pair[1]));
        }
      }
    }
    const uint32_t from_a = shared_address(tiles_a) + static_cast<uint32_t>(group) * 64 * 128;
    const uint32_t from_b = shared_address(tiles_b);
    wgmma_fence();
    for (int k = 0; k < kK / 16; ++k) {
      const uint32_t inside = static_cast<uint32_t>(k % 4 * 32), tile = static_cast<uint32_t>(k / 4);
      const uint64_t of_b = kMajor == Major::k
                                ? matrix_descriptor(from_b + tile * 2 * kTileB + inside, 0, 1024)
                                : matrix_descriptor(from_b + static_cast<uint32_t>(k) * 2048, 2 * kTileB, 1024);
      const bool accumulate = how == kAccumulates || k > 0;
      if constexpr (kRegisters) {
        wgmma<kMajor>(d, fragments[k], of_b, accumulate);
      } else {
        wgmma<kMajor>(d, matrix_descriptor(from_a + tile * 2 * kTileA + inside, 0, 1024), of_b, accumulate);
      }
    }
    wgmma_commit();
    wgmma_wait<0>(d);
    for (int n = 0; n < kTiles; ++n) {
      for (int i = 0; i < 4; ++i) store(c, int64_t{row + i / 2 * 8} * kN + 8 * n + column + i % 2, d[n][i]);
    }
  }
};
template <Major kMajor, int kTiles, bool kRegisters>
void check_products(DeviceRuntime& device) {
  using K = Multiply128<kMajor, kTiles, kRegisters>;
  constexpr int64_t kN = K::kN, kK = K::kK;
  const auto a = random_matrix(128 * kK, 1), b = random_matrix(kN * kK, 2);
  std::vector<double> product(128 * kN);
  for (size_t m = 0; m < 128; ++m) {
    for (size_t n = 0; n < kN; ++n) {
      for (size_t k = 0; k < kK; ++k) {
        product[m * kN + n] += static_cast<double>(to_float(a[m * kK + k])) *
                               static_cast<double>(to_float(b[kMajor == Major::k ? n * kK + k : k * kN + n]));
      }
    }
  }
  const auto c = counting<float>(128 * kN, 0.001);
  Array<bfloat16> da(device, a), db(device, b);
  const int64_t columns = kMajor == Major::k ? kK : kN, rows = kMajor == Major::k ? kN : kK;
  const K kernel{tensor_map({da.data(), {kK, 128, 1, 1, 1}, {1, kK, 0, 0, 0}, 128}),
                 tensor_map({db.data(), {columns, rows, 1, 1, 1}, {1, columns, 0, 0, 0}, rows})};
  for (uint64_t seed = 0; seed < kWarpgroupSchedules; ++seed) {
    choose_schedule(seed);
    const int how = static_cast<int>(seed % K::kHow);
    Array<float> dc(device, c);
    launch(kernel, {.grid = {1}, .block = {256}, .shared_bytes = K::kSharedBytes}, da.data(), db.data(), dc.data(),
           how);
    const auto y = dc.values();
    for (size_t i = 0; i < y.size(); ++i) {
      const double before = how == K::kAccumulates ? static_cast<double>(c[i]) : 0.0;
      ASSERT_NEAR(y[i], before + product[i], 1e-4) << "row " << i / kN << " column " << i % kN << ", way " << how;
    }
  }
}
WARPGROUP_TEST(Warpgroup, ProductsFromSharedMemory) {
  check_products<Major::k, 8, false>(device);
  check_products<Major::k, 16, false>(device);
  check_products<Major::mn, 8, false>(device);
  check_products<Major::mn, 16, false>(device);
}
WARPGROUP_TEST(Warpgroup, ProductsFromRegisters) {
  check_products<Major::k, 8, true>(device);
  check_products<Major::k, 16, true>(device);
  check_products<Major::mn, 8, true>(device);
  check_products<Major::mn, 16, true>(device);
}

// y[64][64] = (x's first 64 rows times x^T) x for x[128][64]: what attention does. The first product's halves are two
// groups, of which the first is used while the second is under way.
struct TwoProducts {
  static constexpr const char* kName = "two_products";
  static constexpr bool kNeedsWarpgroups = true;
  static constexpr int kMaxThreads = 128;
  static constexpr uint32_t kBytes = 128 * 128, kSharedBytes = kBytes + 8;
  TensorMap map;
  GFSA_DEVICE void operator()(Global<float> y) const {
    const Shared<bfloat16> x = dynamic_shared<bfloat16>(0, 128 * 64);
    const Shared<Mbarrier> full = dynamic_shared<Mbarrier>(kBytes, 1);
    if (thread_x() == 0) {
      mbarrier_init(full, 0, 1);
      mbarrier_init_fence();
      mbarrier_arrive_expect(full, 0, kBytes);
      copy_box_async(x, 0, map, {0, 0, 0, 0, 0}, full, 0);
    }
    sync_block();
    mbarrier_wait(full, 0, 0);
    const uint32_t at = shared_address(x);
    float left[8][4], right[8][4], sum[8][4];
    wgmma_fence();
    for (uint32_t k = 0; k < 4; ++k) {
      wgmma<Major::k>(left, matrix_descriptor(at + 32 * k, 0, 1024), matrix_descriptor(at + 32 * k, 0, 1024), k > 0);
    }
    wgmma_commit();
    for (uint32_t k = 0; k < 4; ++k) {
      wgmma<Major::k>(right, matrix_descriptor(at + 32 * k, 0, 1024), matrix_descriptor(at + 8192 + 32 * k, 0, 1024),
                      k > 0);
    }
    wgmma_commit();
    uint32_t a[8][4];
    wgmma_wait<1>(left);
    for (int k = 0; k < 4; ++k) pack(left, k, a[k]);
    wgmma_wait<0>(right);
    for (int k = 0; k < 4; ++k) pack(right, k, a[4 + k]);
    wgmma_fence();
    for (uint32_t k = 0; k < 8; ++k) {
      wgmma<Major::mn>(sum, a[k], matrix_descriptor(at + 2048 * k, kBytes, 1024), k > 0);
      wgmma_commit();
    }
    wgmma_wait<0>(sum);
    const int64_t row = int64_t{warp()} * 16 + lane() / 4;
    for (int n = 0; n < 8; ++n) {
      for (int i = 0; i < 4; ++i) store(y, (row + i / 2 * 8) * 64 + 8 * n + lane() % 4 * 2 + i % 2, sum[n][i]);
    }
  }
  // Accumulators of 16 columns as the fragment of a whose k they are.
  GFSA_DEVICE static void pack(const float (&d)[8][4], int k, uint32_t (&a)[4]) {
    for (int r = 0; r < 4; ++r) a[r] = pack_bf16(d[2 * k + r / 2][r % 2 * 2], d[2 * k + r / 2][r % 2 * 2 + 1]);
  }
};
WARPGROUP_TEST(Warpgroup, GroupsOfProducts) {
  const auto x = random_matrix(128 * 64, 9);
  std::vector<double> expected(64 * 64);
  const auto at = [&](size_t i, size_t j) { return static_cast<double>(x[i * 64 + j]); };
  for (size_t i = 0; i < 64; ++i) {
    for (size_t k = 0; k < 128; ++k) {
      double score = 0;
      for (size_t c = 0; c < 64; ++c) score += at(i, c) * at(k, c);
      score = static_cast<double>(bfloat16(static_cast<float>(score)));
      for (size_t j = 0; j < 64; ++j) expected[i * 64 + j] += score * at(k, j);
    }
  }
  Array<bfloat16> from(device, x);
  const TwoProducts kernel{tensor_map({from.data(), {64, 128, 1, 1, 1}, {1, 64, 0, 0, 0}, 128})};
  for (uint64_t seed = 0; seed < kWarpgroupSchedules; ++seed) {
    choose_schedule(seed);
    Array<float> to(device, 64 * 64);
    launch(kernel, {.grid = {1}, .block = {128}, .shared_bytes = TwoProducts::kSharedBytes}, to.data());
    const auto y = to.values();
    // A score that is rounded to bf16 the other way is off by 2^-8 of it.
    for (size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], expected[i], 0.15) << i;
  }
}

// y[64][64] = z z^T for every other 8 rows z of x[128][64]: groups of rows that do not follow one another.
struct EveryOther {
  static constexpr const char* kName = "every_other";
  static constexpr bool kNeedsWarpgroups = true;
  static constexpr int kMaxThreads = 128;
  GFSA_DEVICE void operator()(Global<const bfloat16> x, Global<float> y) const {
    const Shared<bfloat16> tile = dynamic_shared<bfloat16>(0, 128 * 64);
    for (int i = static_cast<int>(thread_x()); i < 128 * 64; i += 128) {
      store(tile, swizzled_element(tile, i), load(x, i));
    }
    fence_async_proxy();
    sync_block();
    float d[8][4];
    wgmma_fence();
    for (uint32_t k = 0; k < 4; ++k) {
      const uint64_t z = matrix_descriptor(shared_address(tile) + 32 * k, 0, 2048);
      wgmma<Major::k>(d, z, z, k > 0);
    }
    wgmma_commit();
    wgmma_wait<0>(d);
    const int64_t row = int64_t{warp()} * 16 + lane() / 4;
    for (int n = 0; n < 8; ++n) {
      for (int i = 0; i < 4; ++i) store(y, (row + i / 2 * 8) * 64 + 8 * n + lane() % 4 * 2 + i % 2, d[n][i]);
    }
  }
};
WARPGROUP_TEST(Warpgroup, Strides) {
  const auto x = random_matrix(128 * 64, 4);
  Array<bfloat16> from(device, x);
  Array<float> to(device, 64 * 64);
  launch(EveryOther{}, {.grid = {1}, .block = {128}, .shared_bytes = 128 * 128}, from.data(), to.data());
  const auto y = to.values();
  for (size_t i = 0; i < 64; ++i) {
    for (size_t j = 0; j < 64; ++j) {
      double expected = 0;
      for (size_t k = 0; k < 64; ++k) {
        expected += static_cast<double>(x[(i / 8 * 16 + i % 8) * 64 + k]) *
                    static_cast<double>(x[(j / 8 * 16 + j % 8) * 64 + k]);
      }
      ASSERT_NEAR(y[i * 64 + j], expected, 1e-4) << i << " " << j;
    }
  }
}

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
