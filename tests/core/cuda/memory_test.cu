// Indices, loads, stores, shared memory, atomics and conversions against their definitions.
#include <bit>

#include "core/cuda/device_test.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

struct Indices {
  static constexpr const char* kName = "indices";
  GFSA_DEVICE void operator()(Global<uint32_t> y) const {
    const uint32_t values[] = {thread_x(),   thread_y(),    thread_z(),    block_x(),     block_y(),
                               block_z(),    block_dim_x(), block_dim_y(), block_dim_z(), grid_dim_x(),
                               grid_dim_y(), grid_dim_z(),  lane(),        warp()};
    const uint32_t block = block_x() + grid_dim_x() * (block_y() + grid_dim_y() * block_z());
    const int64_t thread = int64_t{block} * block_dim_x() * block_dim_y() * block_dim_z() + thread_rank();
    for (int i = 0; i < 14; ++i) store(y, thread * 14 + i, values[i]);
  }
};
DEVICE_TEST(Memory, Indices) {
  const Dim3 grid{3, 2, 2}, block{5, 4, 3};
  Array<uint32_t> y(device, grid.count() * block.count() * 14);
  launch(Indices{}, {.grid = grid, .block = block}, y.data());
  const auto values = y.values();
  size_t at = 0;
  for (uint32_t b = 0; b < grid.count(); ++b) {
    for (uint32_t t = 0; t < block.count(); ++t, at += 14) {
      const std::vector<uint32_t> expected{t % 5, t / 5 % 4, t / 20, b % 3, b / 3 % 2, b / 6,  5,
                                           4,     3,         3,      2,     2,         t % 32, t / 32};
      ASSERT_EQ(std::vector<uint32_t>(&values[at], &values[at] + 14), expected) << "block " << b << " thread " << t;
    }
  }
}

template <class T, int N>
struct MoveVectors {
  static constexpr const char* kName = "move_vectors";
  GFSA_DEVICE void operator()(Global<const T> x, Global<T> y, int64_t n) const {
    const int64_t i = global_x() * N;
    if (i >= n) return;
    Vector<T, N> v = load_vector<N>(x, i);
    const T first = v[0];
    v[0] = v[N - 1];
    v[N - 1] = first;
    store_vector(y + i, 0, v);
  }
};
template <class T, int N>
void check_vectors(DeviceRuntime& device) {
  const auto x = counting<uint8_t>(N * 40 * sizeof(T));
  std::vector<T> values(N * 40);
  std::memcpy(static_cast<void*>(values.data()), x.data(), x.size());
  Array<T> from(device, values), to(device, values.size());
  launch(MoveVectors<T, N>{}, {.grid = {2}, .block = {32}}, from.data(), to.data(), N * 40);
  for (size_t i = 0; i < values.size(); i += N) std::swap(values[i], values[i + N - 1]);
  const auto result = to.values();
  EXPECT_EQ(std::memcmp(result.data(), values.data(), x.size()), 0) << sizeof(T) << " bytes x " << N;
}
DEVICE_TEST(Memory, Vectors) {
  check_vectors<float, 4>(device);
  check_vectors<float, 2>(device);
  check_vectors<double, 2>(device);
  check_vectors<bfloat16, 8>(device);
  check_vectors<bfloat16, 4>(device);
  check_vectors<bfloat16, 2>(device);
  check_vectors<uint8_t, 16>(device);
  check_vectors<int64_t, 2>(device);
}

// Reverses 64 numbers through static, then adds the neighbour's through dynamic shared memory.
struct ThroughShared {
  static constexpr const char* kName = "through_shared";
  GFSA_DEVICE void operator()(Global<const float> x, Global<double> y) const {
    GFSA_SHARED(float, reversed, 64);
    const Shared<double> sums = dynamic_shared<double>(16, 64);
    const int i = static_cast<int>(thread_x());
    store(reversed, 63 - i, load(x, i));
    sync_block();
    store(sums, i, static_cast<double>(load(reversed, i) + load(reversed, (i + 1) % 64)));
    sync_block();
    store(y, i, load(sums + 1, (i + 63) % 64 - 1));
  }
};
DEVICE_TEST(Memory, Shared) {
  Array<float> x(device, counting<float>(64));
  Array<double> y(device, 64);
  launch(ThroughShared{}, {.grid = {1}, .block = {64}, .shared_bytes = 16 + 64 * 8}, x.data(), y.data());
  const auto values = y.values();
  for (int i = 0; i < 64; ++i) {
    const int j = (i + 63) % 64;
    EXPECT_EQ(values[static_cast<size_t>(i)], (63 - j) + (63 - (j + 1) % 64)) << i;
  }
}

template <class T>
struct Atomics {
  static constexpr const char* kName = "atomics";
  // y: sum, maximum, sum by compare-and-swap, sum of old values of a counter; each block adds its shared sum.
  GFSA_DEVICE void operator()(Global<const T> x, Global<T> y, int64_t n) const {
    GFSA_SHARED(T, block_sum, 1);
    if (thread_x() == 0) store(block_sum, 0, T{0});
    sync_block();
    const int64_t i = global_x();
    if (i < n) {
      const T v = load(x, i);
      atomic_add(block_sum, 0, v);
      atomic_max(y, 1, v);
      T old = T{0};
      for (;;) {
        const T seen = atomic_cas(y, 2, old, static_cast<T>(old + v));
        if (seen == old) break;
        old = seen;
      }
    }
    sync_block();
    if (thread_x() == 0) atomic_add(y, 0, load(block_sum, 0));
  }
};
template <class T>
void check_atomics(DeviceRuntime& device) {
  std::vector<T> x(200);
  T sum{0}, maximum{0};
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<T>(i * 37 % 211);  // sums are exact in f32 too
    sum = static_cast<T>(sum + x[i]);
    maximum = std::max(maximum, x[i]);
  }
  Array<T> from(device, x), to(device, std::vector<T>(3, T{0}));
  launch(Atomics<T>{}, {.grid = {4}, .block = {64}}, from.data(), to.data(), 200);
  EXPECT_EQ(to.values(), (std::vector<T>{sum, maximum, sum}));
}
DEVICE_TEST(Memory, Atomics) {
  check_atomics<float>(device);
  check_atomics<int32_t>(device);
  check_atomics<uint32_t>(device);
  check_atomics<uint64_t>(device);
}

struct MaximumOfNegatives {
  static constexpr const char* kName = "maximum_of_negatives";
  GFSA_DEVICE void operator()(Global<float> y) const { atomic_max(y, 0, -1.0f - static_cast<float>(thread_x())); }
};
DEVICE_TEST(Memory, AtomicMaximumOfNegativeFloats) {
  Array<float> y(device, std::vector<float>{-1000.0f});
  launch(MaximumOfNegatives{}, {.grid = {1}, .block = {32}}, y.data());
  EXPECT_EQ(y.values(), std::vector<float>{-1.0f});
}

struct Convert {
  static constexpr const char* kName = "convert";
  GFSA_DEVICE void operator()(Global<const uint32_t> x, Global<uint32_t> y, int64_t n) const {
    const int64_t i = global_x();
    if (i >= n) return;
    const float v = float_of(load(x, i));
    store(y, i, to_bfloat16(v).bits);
    store(y, n + i, pack_bf16(v, -v));
    store(y, 2 * n + i, to_tf32(v));
    bfloat16 b;
    b.bits = static_cast<uint16_t>(load(x, i) >> 16);
    store(y, 3 * n + i, bits_of(to_float(b)));
    store(y, 4 * n + i, bits_of(low_of(load(x, i))));
    store(y, 5 * n + i, bits_of(high_of(load(x, i))));
  }
};
DEVICE_TEST(Memory, Conversions) {
  struct Case {
    uint32_t in;
    uint16_t bf16;
    uint32_t tf32;
  };
  const std::vector<Case> cases{
      {0x3F800000, 0x3F80, 0x3F800000},  // 1
      {0x3F808000, 0x3F80, 0x3F808000},  // a tie of bf16: to even, down
      {0x3F818000, 0x3F82, 0x3F818000},  // a tie of bf16: to even, up
      {0x3F808001, 0x3F81, 0x3F808000},  // just above the tie
      {0x3F801000, 0x3F80, 0x3F802000},  // a tie of tf32: away from zero
      {0xBF801000, 0xBF80, 0xBF802000},  //
      {0x3F800FFF, 0x3F80, 0x3F800000},  // just below it
      {0x7F7FFFFF, 0x7F80, 0x7F800000},  // the largest float rounds to infinity
      {0x7F800000, 0x7F80, 0x7F800000},  // infinity
      {0x80000000, 0x8000, 0x80000000},  // -0
      {0x00018000, 0x0002, 0x00018000},  // denormal, a tie of bf16
      {0x42F6E979, 0x42F7, 0x42F6E000},  // 123.456
  };
  std::vector<uint32_t> in;
  for (const Case& c : cases) in.push_back(c.in);
  in.push_back(0x7FC12345);  // NaN
  const size_t n = in.size();
  Array<uint32_t> x(device, in), y(device, 6 * n);
  launch(Convert{}, {.grid = {1}, .block = {32}}, x.data(), y.data(), static_cast<int64_t>(n));
  const auto out = y.values();
  for (size_t i = 0; i < n; ++i) {
    if (i < cases.size()) {
      EXPECT_EQ(out[i], cases[i].bf16) << std::hex << in[i];
      EXPECT_EQ(out[n + i], cases[i].bf16 | (cases[i].bf16 ^ 0x8000u) << 16) << std::hex << in[i];
      EXPECT_EQ(out[2 * n + i], cases[i].tf32) << std::hex << in[i];
    } else {
      EXPECT_EQ(out[i], 0x7FFFu);
    }
    EXPECT_EQ(out[3 * n + i], in[i] & 0xFFFF0000u);
    EXPECT_EQ(out[4 * n + i], in[i] << 16);
    EXPECT_EQ(out[5 * n + i], in[i] & 0xFFFF0000u);
  }
}

struct Approximate {
  static constexpr const char* kName = "approximate";
  GFSA_DEVICE void operator()(Global<const float> x, Global<float> y, int64_t n) const {
    const int64_t i = global_x();
    if (i >= n) return;
    store(y, i, exp2_fast(load(x, i)));
    store(y, n + i, log2_fast(fabsf(load(x, i))));
    store(y, 2 * n + i, rsqrt_fast(fabsf(load(x, i))));
  }
};
DEVICE_TEST(Memory, Approximations) {
  std::vector<float> in;
  for (int i = 0; i < 500; ++i) in.push_back(static_cast<float>(i - 250) * 0.3137f);
  in.push_back(-INFINITY);
  in.push_back(0x1p-130f);  // denormal: as 0
  const size_t n = in.size();
  Array<float> x(device, in), y(device, 3 * n);
  launch(Approximate{}, {.grid = {blocks_for(static_cast<int64_t>(n), 64)}, .block = {64}}, x.data(), y.data(),
         static_cast<int64_t>(n));
  const auto out = y.values();
  for (size_t i = 0; i + 2 < n; ++i) {
    const double v = in[i];
    EXPECT_NEAR(out[i], std::exp2(v), std::exp2(v) * 0x1p-21) << v;
    if (v == 0) continue;
    // lg2.approx: absolute error near 1, relative elsewhere.
    EXPECT_NEAR(out[n + i], std::log2(std::fabs(v)), std::max(0x1p-21, std::fabs(std::log2(std::fabs(v))) * 0x1p-21))
        << v;
    EXPECT_NEAR(out[2 * n + i], 1 / std::sqrt(std::fabs(v)), 0x1p-21 / std::sqrt(std::fabs(v))) << v;
  }
  EXPECT_EQ(out[n - 2], 0.0f);
  EXPECT_EQ(out[n - 1], 1.0f);
  EXPECT_EQ(out[2 * n - 1], -INFINITY);
  EXPECT_EQ(out[3 * n - 1], INFINITY);
}

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
