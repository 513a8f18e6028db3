// ldmatrix, mma and cp.async against the layouts of the PTX manual, which are written out here once more.
#include <random>

#include "core/cuda/device_test.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

template <int N, bool kTransposed>
struct LoadMatrices {
  static constexpr const char* kName = "load_matrices";
  // x: N matrices of 8x8 bf16 bit patterns; rows are 24 elements apart in shared memory, matrices upside down.
  GFSA_DEVICE void operator()(Global<const uint16_t> x, Global<uint32_t> y) const {
    GFSA_SHARED(uint16_t, rows, N * 8 * 24);
    const int l = static_cast<int>(lane());
    for (int i = l; i < N * 64; i += 32) store(rows, (N * 8 - 1 - i / 8) * 24 + i % 8, load(x, i));
    sync_warp();
    uint32_t r[N];
    // Lanes from 8 N on give an address that nobody may read.
    const Shared<const bfloat16> row = cast<const bfloat16>(rows + (l < N * 8 ? (N * 8 - 1 - l) * 24 : -1000));
    if constexpr (kTransposed) {
      ldmatrix_transposed(r, row);
    } else {
      ldmatrix(r, row);
    }
    for (int i = 0; i < N; ++i) store(y, l * N + i, r[i]);
  }
};
template <int N, bool kTransposed>
void check_ldmatrix(DeviceRuntime& device) {
  std::vector<uint16_t> x(N * 64);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<uint16_t>(0x1000 + i);
  Array<uint16_t> from(device, x);
  Array<uint32_t> to(device, 32 * N);
  launch(LoadMatrices<N, kTransposed>{}, {.grid = {1}, .block = {32}}, from.data(), to.data());
  const auto y = to.values();
  for (size_t l = 0; l < 32; ++l) {
    for (size_t m = 0; m < N; ++m) {
      for (size_t half = 0; half < 2; ++half) {
        const size_t row = l / 4, column = 2 * (l % 4) + half;
        const uint16_t expected = x[m * 64 + (kTransposed ? column * 8 + row : row * 8 + column)];
        EXPECT_EQ(static_cast<uint16_t>(y[l * N + m] >> (16 * half)), expected) << "lane " << l << " matrix " << m;
      }
    }
  }
}
DEVICE_TEST(Matrix, Ldmatrix) {
  check_ldmatrix<1, false>(device);
  check_ldmatrix<2, false>(device);
  check_ldmatrix<4, false>(device);
  check_ldmatrix<1, true>(device);
  check_ldmatrix<2, true>(device);
  check_ldmatrix<4, true>(device);
}

struct Multiply {
  static constexpr const char* kName = "multiply_fragments";
  GFSA_DEVICE void operator()(Global<const uint32_t> a, Global<const uint32_t> b, Global<float> d, bool tf32) const {
    const int64_t l = thread_x();
    uint32_t af[4], bf[2];
    float df[4];
    for (int i = 0; i < 4; ++i) af[i] = load(a, l * 4 + i);
    for (int i = 0; i < 2; ++i) bf[i] = load(b, l * 2 + i);
    for (int i = 0; i < 4; ++i) df[i] = load(d, l * 4 + i);
    if (tf32) {
      mma_tf32(df, af, bf);
    } else {
      mma_bf16(df, af, bf);
    }
    for (int i = 0; i < 4; ++i) store(d, l * 4 + i, df[i]);
  }
};

// Small integers: every order of summation gives the same. A[16][k], B[k][8], D[16][8].
struct Product {
  int k;
  std::vector<int> a, b, d;
  Product(int k_of, unsigned seed) : k(k_of), a(16u * k), b(8u * k), d(128) {
    std::mt19937 random(seed);
    for (auto* m : {&a, &b, &d}) {
      for (int& x : *m) x = static_cast<int>(random() % 41) - 20;
    }
  }
  int at(size_t m, size_t n) const {
    int sum = d[m * 8 + n];
    for (size_t i = 0; i < static_cast<size_t>(k); ++i) sum += a[m * k + i] * b[i * 8 + n];
    return sum;
  }
};
void check_accumulators(const Product& p, const std::vector<float>& d) {
  for (size_t l = 0; l < 32; ++l) {
    for (size_t i = 0; i < 4; ++i) {
      // c0, c1: row = group; c2, c3: row = group + 8; column = 2 thread + (i & 1).
      const size_t row = i < 2 ? l / 4 : l / 4 + 8, column = l % 4 * 2 + (i & 1);
      EXPECT_EQ(d[l * 4 + i], static_cast<float>(p.at(row, column))) << "lane " << l << " c" << i;
    }
  }
}
std::vector<float> accumulators(const Product& p) {
  std::vector<float> d(128);
  for (size_t l = 0; l < 32; ++l) {
    for (size_t i = 0; i < 4; ++i)
      d[l * 4 + i] = static_cast<float>(p.d[(i < 2 ? l / 4 : l / 4 + 8) * 8 + l % 4 * 2 + (i & 1)]);
  }
  return d;
}

DEVICE_TEST(Matrix, MmaBf16) {
  for (unsigned seed = 0; seed < 4; ++seed) {
    const Product p(16, seed);
    std::vector<uint32_t> a(128, 0), b(64, 0);
    const auto bits = [](int x) { return static_cast<uint32_t>(bfloat16(static_cast<float>(x)).bits); };
    for (size_t l = 0; l < 32; ++l) {
      for (size_t i = 0; i < 8; ++i) {
        // row = group for 0 <= i < 2 and 4 <= i < 6, else group + 8; column = 2 thread + (i & 1), + 8 from i = 4 on.
        const size_t row = i < 2 || (i >= 4 && i < 6) ? l / 4 : l / 4 + 8;
        const size_t column = l % 4 * 2 + (i & 1) + (i >= 4 ? 8 : 0);
        a[l * 4 + i / 2] |= bits(p.a[row * 16 + column]) << (16 * (i % 2));
      }
      for (size_t i = 0; i < 4; ++i) {
        // row = 2 thread + (i & 1), + 8 from i = 2 on; column = group.
        const size_t row = l % 4 * 2 + (i & 1) + (i >= 2 ? 8 : 0);
        b[l * 2 + i / 2] |= bits(p.b[row * 8 + l / 4]) << (16 * (i % 2));
      }
    }
    Array<uint32_t> da(device, a), db(device, b);
    Array<float> dd(device, accumulators(p));
    launch(Multiply{}, {.grid = {1}, .block = {32}}, da.data(), db.data(), dd.data(), false);
    check_accumulators(p, dd.values());
  }
}

DEVICE_TEST(Matrix, MmaTf32) {
  for (unsigned seed = 0; seed < 4; ++seed) {
    const Product p(8, seed);
    std::vector<uint32_t> a(128), b(64);
    const auto bits = [](int x) { return std::bit_cast<uint32_t>(static_cast<float>(x)); };
    for (size_t l = 0; l < 32; ++l) {
      for (size_t i = 0; i < 4; ++i) {
        // row = group for a0 and a2, group + 8 for a1 and a3; column = thread for a0 and a1, thread + 4 for a2 and a3.
        const size_t row = i == 0 || i == 2 ? l / 4 : l / 4 + 8, column = i < 2 ? l % 4 : l % 4 + 4;
        a[l * 4 + i] = bits(p.a[row * 8 + column]);
      }
      for (size_t i = 0; i < 2; ++i) b[l * 2 + i] = bits(p.b[(l % 4 + 4 * i) * 8 + l / 4]);
    }
    Array<uint32_t> da(device, a), db(device, b);
    Array<float> dd(device, accumulators(p));
    launch(Multiply{}, {.grid = {1}, .block = {32}}, da.data(), db.data(), dd.data(), true);
    check_accumulators(p, dd.values());
  }
}

// Each thread copies `valid` of kBytes bytes; three groups, waited for one after the other.
template <int kBytes>
struct CopyGroups {
  static constexpr const char* kName = "copy_groups";
  GFSA_DEVICE void operator()(Global<const uint8_t> x, Global<uint8_t> y, int valid) const {
    GFSA_SHARED(uint8_t, buffer, 3 * 32 * kBytes);
    const int64_t mine = int64_t{thread_x()} * kBytes;
    constexpr int64_t kStage = 32 * kBytes;
    for (int stage = 0; stage < 3; ++stage) {
      copy_async<kBytes>(buffer, stage * kStage + mine, x, stage * kStage + mine, stage == 1 ? valid : kBytes);
      copy_async_commit();
    }
    copy_async_wait<2>();
    for (int i = 0; i < kBytes; ++i) store(y, mine + i, load(buffer, mine + i));
    copy_async_wait<1>();
    sync_block();  // now everybody's
    const int64_t other = int64_t{31 - thread_x()} * kBytes;
    for (int i = 0; i < kBytes; ++i) store(y, kStage + mine + i, load(buffer, kStage + other + i));
    copy_async_wait_all();
    sync_block();
    for (int i = 0; i < kBytes; ++i) store(y, 2 * kStage + mine + i, load(buffer, 2 * kStage + other + i));
  }
};
template <int kBytes>
void check_copies(DeviceRuntime& device) {
  const size_t stage = 32 * kBytes;
  std::vector<uint8_t> x(3 * stage);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<uint8_t>(i * 37 + 11 + i / 256);
  Array<uint8_t> from(device, x);
  for (const int valid : {kBytes, kBytes - 1, kBytes / 2, 0}) {
    Array<uint8_t> to(device, x.size());
    launch(CopyGroups<kBytes>{}, {.grid = {1}, .block = {32}}, from.data(), to.data(), valid);
    const auto y = to.values();
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t s = i / stage, thread = i % stage / kBytes, byte = i % kBytes;
      const size_t source = s == 0 ? thread : 31 - thread;
      const uint8_t expected = s == 1 && byte >= static_cast<size_t>(valid) ? 0 : x[s * stage + source * kBytes + byte];
      ASSERT_EQ(y[i], expected) << kBytes << " bytes, " << valid << " valid, stage " << s << ", thread " << thread;
    }
  }
}
DEVICE_TEST(Matrix, CopyAsync) {
  check_copies<4>(device);
  check_copies<8>(device);
  check_copies<16>(device);
}

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
