#include "ops/gemm.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/threads.h"
#include "core/cpu/simd.h"
#include "core/philox.h"
#include "core/tensor.h"
#include "ops/activation.h"
#include "support/op_case.h"
#include "support/process.h"

namespace gfsa {
namespace {

struct Case {
  int64_t m, n, k;
};

// op(X) as the tensor that stands in memory with `gap` unused elements after each row.
struct Operand {
  Tensor memory;  // [rows, columns + gap]
  int64_t step;
  bool transposed;
  std::vector<double> values = memory.to_vector<double>();
  double at(int64_t i, int64_t j) const {
    return values[static_cast<size_t>((transposed ? j : i) * step + (transposed ? i : j))];
  }
};

Operand operand(int64_t rows, int64_t columns, bool transposed, int64_t gap, DType type, uint64_t seed) {
  if (transposed) std::swap(rows, columns);
  return {.memory = test::random_tensor({rows, columns + gap}, type, seed),
          .step = columns + gap,
          .transposed = transposed};
}

void check(const Case& c, DType a_type, DType c_type, bool ta, bool tb, bool accumulate, bool bias, int64_t gap,
           bool tile = false) {
  const auto a = operand(c.m, c.k, ta, gap, a_type, 1);
  const auto b = operand(c.k, c.n, tb, gap, a_type, 2);
  const DType wide = a_type == DType::f64 ? DType::f64 : DType::f32;
  const Tensor add = test::random_tensor({c.n}, wide, 3);
  const Tensor before = test::random_tensor({c.m + 1, c.n + gap}, c_type, 4);
  const Tensor out = before.clone();
  Gemm g;
  g.a_type = a_type, g.c_type = c_type, g.transpose_a = ta, g.transpose_b = tb, g.accumulate = accumulate,
  g.bias = bias;
  g.m = c.m, g.n = c.n, g.k = c.k, g.lda = a.step, g.ldb = b.step, g.ldc = c.n + gap;
  if (tile) {
    gemm_tile(g, a.memory.raw(), b.memory.raw(), out.raw());
  } else {
    gemm(g, a.memory.raw(), b.memory.raw(), out.raw(), bias ? add.raw() : nullptr);
  }

  const auto start = before.to_vector<double>(), got = out.to_vector<double>(), offset = add.to_vector<double>();
  const double tolerance = c_type == DType::bf16 ? 1e-2 : a_type == DType::f64 ? 1e-13 : 1e-5;
  for (int64_t i = 0; i <= c.m; ++i) {  // one row more than the product has
    for (int64_t j = 0; j < c.n + gap; ++j) {
      const auto at = static_cast<size_t>(i * (c.n + gap) + j);
      if (i == c.m || j >= c.n) {
        ASSERT_EQ(got[at], start[at]) << "behind the product: row " << i << ", column " << j;
        continue;
      }
      double expected = (accumulate ? start[at] : 0) + (bias ? offset[static_cast<size_t>(j)] : 0),
             size = std::abs(expected);
      for (int64_t p = 0; p < c.k; ++p) {
        const double term = a.at(i, p) * b.at(p, j);
        expected += term, size += std::abs(term);
      }
      ASSERT_NEAR(got[at], expected, tolerance * (size + 1))
          << name_of(a_type) << " " << c.m << "x" << c.n << "x" << c.k << " ta " << ta << " tb " << tb << " accumulate "
          << accumulate << " bias " << bias;
    }
  }
}

TEST(Gemm, EqualsAPlainLoopForEveryFlagAndType) {
  const std::vector<std::pair<DType, DType>> types{
      {DType::f64, DType::f64}, {DType::f32, DType::f32}, {DType::bf16, DType::bf16}, {DType::bf16, DType::f32}};
  for (const Case c : {Case{1, 1, 1}, Case{3, 33, 7}, Case{17, 1, 31}, Case{1, 9, 5}, Case{20, 12, 65}, Case{2, 7, 5},
                       Case{6, 2, 9}, Case{5, 4, 2}}) {
    for (const auto& [a, out] : types) {
      for (int flags = 0; flags < 16; ++flags) {
        check(c, a, out, flags & 1, flags & 2, flags & 4, flags & 8, flags % 3);
        if (flags < 8) check(c, a, out, flags & 1, flags & 2, flags & 4, false, flags % 3, true);
      }
    }
  }
}

// Of sizes around those of gemm_few_rows.cpp: its tiles, strips and depth, and what is left over.
TEST(Gemm, FewRows) {
  for (int isa = 0; isa <= static_cast<int>(simd::supported()); ++isa) {
    simd::set_active(static_cast<simd::Isa>(isa));
    for (const Case c : {Case{1, 640, 64}, Case{2, 517, 77}, Case{3, 70, 483}, Case{7, 300, 130}, Case{8, 64, 512},
                         Case{8, 520, 71}, Case{17, 517, 77}, Case{33, 64, 520}}) {
      for (int flags = 0; flags < 8; ++flags) {
        const bool turned = flags & 1, accumulate = flags & 2, bias = flags & 4;
        check(c, DType::f32, DType::f32, false, turned, accumulate, bias, flags % 3);
        check(c, DType::bf16, flags & 2 ? DType::f32 : DType::bf16, false, turned, accumulate, bias, flags % 3);
      }
    }
  }
  simd::set_active(simd::supported());
}

TEST(Gemm, OfFewRowsEachHasTheSameBitsAmongAnyOthersAndForAnyThreads) {
  constexpr int64_t kRows = 16, kN = 519, kK = 203;
  const int team = threads();
  for (const DType type : {DType::f32, DType::bf16}) {
    for (const bool turned : {false, true}) {
      const Tensor a = test::random_tensor({kRows, kK}, type, 1),
                   b = test::random_tensor(turned ? Shape{kN, kK} : Shape{kK, kN}, type, 2),
                   expected = Tensor::empty({kRows, kN}, DType::f32);
      const Gemm g{.a_type = type, .transpose_b = turned, .m = 1, .n = kN, .k = kK};
      for (int64_t r = 0; r < kRows; ++r) gemm(g, a.select(0, r).raw(), b.raw(), expected.select(0, r).raw());
      for (const int64_t m : {int64_t{2}, int64_t{5}, kRows}) {
        for (const int threads : {1, 2, 3, 5}) {
          set_threads(threads);
          Gemm more = g;
          more.m = m;
          const Tensor got = Tensor::empty({m, kN}, DType::f32);
          gemm(more, a.raw(), b.raw(), got.raw());
          test::expect_same_bits(got, expected.slice(0, 0, m), fmt::format("{} rows, {} threads", m, threads));
        }
        set_threads(team);
      }
    }
  }
}

// On a processor without bf16 kernels: oneDNN is told, before it starts, to take this one for such.
TEST(Gemm, WithoutBf16Kernels) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
        for (const Case c : {Case{3, 33, 7}, Case{1, 9, 5}, Case{20, 12, 65}, Case{5, 4, 2}}) {
          for (const DType out : {DType::bf16, DType::f32}) {
            for (int flags = 0; flags < 16; ++flags)
              check(c, DType::bf16, out, flags & 1, flags & 2, flags & 4, flags & 8, flags % 3);
          }
        }
        std::exit(testing::Test::HasFailure() ? 1 : 0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(Gemm, EmptyDimensions) {
  for (const DType t : {DType::f64, DType::f32, DType::bf16}) {
    for (int flags = 0; flags < 4; ++flags) {
      check({3, 5, 0}, t, t, false, false, flags & 1, flags & 2, 1);
      check({0, 5, 4}, t, t, false, true, flags & 1, flags & 2, 0);
      check({3, 0, 4}, t, t, false, false, flags & 1, flags & 2, 0);
    }
  }
}

TEST(Gemm, TilesAreTheirThreadsOwn) {
  constexpr int64_t kTiles = 16, kM = 65, kN = 70, kK = 64;
  const Tensor a = test::random_tensor({kTiles, kM, kK}, DType::f32, 1),
               b = test::random_tensor({kTiles, kN, kK}, DType::f32, 2);
  Gemm g;
  g.transpose_b = true, g.m = kM, g.n = kN, g.k = kK;
  const Tensor alone = Tensor::empty({kTiles, kM, kN}, DType::f32),
               together = Tensor::empty({kTiles, kM, kN}, DType::f32);
  const auto tile = [&](const Tensor& out, int64_t i) {
    gemm_tile(g, a.data<float>() + i * kM * kK, b.data<float>() + i * kN * kK, out.data<float>() + i * kM * kN);
  };
#pragma omp parallel for schedule(dynamic)
  for (int64_t i = 0; i < kTiles; ++i) tile(together, i);
  for (int64_t i = 0; i < kTiles; ++i) tile(alone, i);
  test::expect_same_bits(together, alone, "tiles");
}

// Teams that turn out smaller than asked for would leave parts of the products out.
TEST(Gemm, UnderLimitsOfOpenMPProductsAreWhole) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  for (const char* limit : {"OMP_THREAD_LIMIT", "OMP_DYNAMIC"}) {
    const auto result = test::run_process({program, "--gtest_filter=Gemm.*:Linear.*:-*UnderLimits*"},
                                          {.folder = "", .environment = {{limit, "1"}}});
    EXPECT_EQ(result.exit_code, 0) << limit << "=1: " << result.out;
  }
}

// Products of shapes drawn at random, several at a time, against the CPU's.
TEST(GemmOnDevices, EqualTheCpu) {
  const std::vector<Device> devices = test::other_devices();
  if (devices.empty()) GTEST_SKIP() << "this build and machine have no device but the CPU";
  RandomSequence random(RandomKey(5, "gemm"));
  for (int trial = 0; trial < 200; ++trial) {
    const auto size = [&](uint64_t most) { return static_cast<int64_t>(random.below(most + 1)); };
    Gemm g;
    g.m = size(40), g.n = size(40), g.k = size(40);
    g.a_type = random.below(2) == 0 ? DType::f32 : DType::bf16;
    g.c_type = random.below(2) == 0 ? DType::f32 : g.a_type;
    g.transpose_a = random.below(2) == 0, g.transpose_b = random.below(2) == 0;
    g.accumulate = random.below(2) == 0, g.bias = random.below(2) == 0;
    const int64_t rows_a = g.transpose_a ? g.k : g.m, rows_b = g.transpose_b ? g.n : g.k;
    g.lda = (g.transpose_a ? g.m : g.k) + 1 + size(3), g.ldb = (g.transpose_b ? g.k : g.n) + 1 + size(3),
    g.ldc = g.n + 1 + size(3);
    const GemmBatch batch{.count = 1 + size(2),
                          .step_a = rows_a * g.lda,
                          .step_b = random.below(2) == 0 ? 0 : rows_b * g.ldb,
                          .step_c = g.m * g.ldc};
    const auto seed = static_cast<uint64_t>(trial);
    const Tensor a = test::random_tensor({batch.count, rows_a, g.lda}, g.a_type, seed),
                 b = test::random_tensor({batch.count, rows_b, g.ldb}, g.a_type, seed + 1000),
                 bias = test::random_tensor({g.n}, DType::f32, seed + 2000),
                 c = test::random_tensor({batch.count, g.m, g.ldc}, g.c_type, seed + 3000), expected = c.clone();
    gemm(Device{}, g, a.raw(), b.raw(), expected.raw(), bias.raw(), batch);
    for (const Device device : devices) {
      SCOPED_TRACE(fmt::format("trial {} on {}: {} x {} x {}", trial, device.text(), g.m, g.n, g.k));
      const Tensor there_a = a.to(device), there_b = b.to(device), there_bias = bias.to(device), got = c.to(device);
      gemm(device, g, there_a.raw(), there_b.raw(), got.raw(), there_bias.raw(), batch);
      test::expect_close(got, expected.to_vector<double>(), g.c_type == DType::bf16 ? 1e-2 : 1e-5, "product");
    }
  }
}

// Every epilogue against the CPU's product and what stands for the epilogue there. A device may have none of them.
TEST(GemmOnDevices, Epilogues) {
  using Kind = GemmEpilogue::Kind;
  int done = 0;
  for (const Device device : test::other_devices()) {
    RandomSequence random(RandomKey(6, "gemm epilogues"));
    for (int trial = 0; trial < 120; ++trial) {
      const auto size = [&](uint64_t most) { return static_cast<int64_t>(1 + random.below(most)); };
      const auto chance = [&] { return random.below(2) == 0; };
      Gemm g;
      g.m = size(30), g.n = chance() ? 8 * size(5) : size(30), g.k = size(30);
      g.a_type = chance() ? DType::f32 : DType::bf16;
      g.c_type = chance() ? DType::f32 : g.a_type;
      g.transpose_a = chance(), g.transpose_b = chance();
      const Kind kind =
          std::array{Kind::gelu_tanh, Kind::gelu_tanh_gradient, Kind::sums_of_a, Kind::sums_of_b}[random.below(4)];
      const bool about_z = kind == Kind::gelu_tanh || kind == Kind::gelu_tanh_gradient;
      g.accumulate = !about_z && chance();
      g.bias = kind == Kind::gelu_tanh && chance();
      const bool has_z = kind == Kind::gelu_tanh_gradient || (kind == Kind::gelu_tanh && chance());
      const bool has_sums = !about_z || (kind == Kind::gelu_tanh_gradient && chance());
      const auto seed = static_cast<uint64_t>(trial);
      const Operand a = operand(g.m, g.k, g.transpose_a, 0, g.a_type, seed),
                    b = operand(g.k, g.n, g.transpose_b, 0, g.a_type, seed + 1000);
      const Tensor bias = test::random_tensor({g.n}, DType::f32, seed + 2000),
                   c = test::random_tensor({g.m, g.n}, g.c_type, seed + 3000),
                   z = test::random_tensor({g.m, g.n}, g.c_type, seed + 4000);
      const int64_t count = kind == Kind::sums_of_a ? g.m : g.n;
      const Tensor there_a = a.memory.to(device), there_b = b.memory.to(device), there_bias = bias.to(device),
                   got = c.to(device), there_z = z.to(device), sums = Tensor::empty({count}, DType::f32, device);
      const GemmEpilogue epilogue{kind, has_z ? there_z.raw() : nullptr, has_sums ? sums.data<float>() : nullptr};
      SCOPED_TRACE(fmt::format("trial {} on {}: {} x {} x {}, epilogue {}", trial, device.text(), g.m, g.n, g.k,
                               static_cast<int>(kind)));
      const bool was_done = gemm(device, g, epilogue, there_a.raw(), there_b.raw(), got.raw(), there_bias.raw());
      EXPECT_FALSE(was_done && has_z && g.n % 8 != 0);
      const double tolerance = g.a_type == DType::bf16 ? 1e-2 : 1e-5;
      if (!was_done) {
        test::expect_same_bits(got, c, "C of what was not done");
        continue;
      }
      ++done;
      std::vector<double> product = c.to_vector<double>(), expected, expected_z,
                          expected_sums(static_cast<size_t>(count));
      const auto given_z = z.to_vector<double>();
      for (int64_t i = 0; i < g.m; ++i) {
        for (int64_t j = 0; j < g.n; ++j) {
          double& x = product[static_cast<size_t>(i * g.n + j)];
          if (!g.accumulate) x = 0;
          if (g.bias) x += bias.to_vector<double>()[static_cast<size_t>(j)];
          for (int64_t k = 0; k < g.k; ++k) x += a.at(i, k) * b.at(k, j);
        }
      }
      for (size_t e = 0; e < product.size(); ++e) {
        if (kind == Kind::gelu_tanh) expected.push_back(activate<Activation::gelu_tanh>(product[e]));
        if (kind == Kind::gelu_tanh_gradient)
          expected.push_back(product[e] * activation_slope<Activation::gelu_tanh>(given_z[e]));
        if (!about_z) expected.push_back(product[e]);
      }
      for (size_t e = 0; e < expected.size() && about_z; ++e) expected_sums[e % expected_sums.size()] += expected[e];
      for (int64_t i = 0; i < count; ++i) {
        for (int64_t k = 0; k < g.k && !about_z; ++k) {
          expected_sums[static_cast<size_t>(i)] += kind == Kind::sums_of_a ? a.at(i, k) : b.at(k, i);
        }
      }
      test::expect_close(got, expected, tolerance, "C");
      if (has_z) test::expect_close(there_z, kind == Kind::gelu_tanh ? product : given_z, tolerance, "z");
      if (has_sums) test::expect_close(sums, expected_sums, tolerance, "sums");
    }
#ifdef GFSA_HAS_EMULATED
    EXPECT_GT(done, 50) << "the emulated device has them all";
#endif
  }
  const Tensor x = Tensor::full({8, 8}, 1, DType::f32);
  EXPECT_FALSE(gemm(Device{}, {.m = 8, .n = 8, .k = 8}, {.kind = Kind::gelu_tanh}, x.raw(), x.raw(), x.raw()));
}

TEST(ProductLog, NotesWhatIsComputedWhileItLives) {
  const Tensor x = Tensor::full({8, 8}, 1, DType::f32), y = Tensor::zeros({8, 8}, DType::f32);
  const auto product = [&](int64_t m) { gemm({.m = m, .n = 8, .k = 8}, x.raw(), x.raw(), y.raw()); };
  product(8);
  ProductLog outer;
  product(8);
  {
    ProductLog inner;
    product(4);
    ASSERT_EQ(inner.entries().size(), 1u);
    EXPECT_EQ(inner.entries()[0].problem.m, 4);
  }
  product(8);
  product(4);
  gemm({.m = 0, .n = 8, .k = 8}, x.raw(), x.raw(), y.raw());
  ASSERT_EQ(outer.entries().size(), 2u);
  EXPECT_EQ(outer.entries()[0].problem.m, 8);
  EXPECT_EQ(outer.entries()[0].count, 2);
  EXPECT_EQ(outer.entries()[1].count, 1);
}

TEST(GemmOnDevices, HaveNoDoubles) {
  for (const Device device : test::other_devices()) {
    const Tensor x = Tensor::zeros({2, 2}, DType::f64, device);
    const Gemm g{.a_type = DType::f64, .c_type = DType::f64, .m = 2, .n = 2, .k = 2};
    test::expect_error([&] { gemm(device, g, x.raw(), x.raw(), x.raw()); }, {"gemm", "f32 or bf16, not f64"});
  }
}

#ifdef GFSA_HAS_EMULATED
TEST(GemmOnDevices, ReadsOfWhatNobodyWroteAreFound) {
  const Device device{DeviceType::emulated, 0};
  const Tensor a = Tensor::zeros({2, 2}, DType::f32, device), fresh = Tensor::empty({2, 2}, DType::f32, device);
  const Gemm g{.m = 2, .n = 2, .k = 2};
  test::expect_error(
      [&] {
        gemm(device, g, a.raw(), fresh.raw(), a.raw());
        backend(device).synchronize();
      },
      {"uninitialised: gemm, B"});
}
#endif

}  // namespace
}  // namespace gfsa
