#include "ops/gemm_blocked.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/threads.h"
#include "core/cpu/simd.h"
#include "core/tensor.h"
#include "ops/activation.h"
#include "support/op_case.h"

namespace gfsa {
namespace {

struct Product {
  Gemm g;
  Tensor a, b, bias, before;

  Product(int64_t m, int64_t n, int64_t k, DType type, DType out, int flags, int64_t gap) {
    g.a_type = type, g.c_type = out, g.m = m, g.n = n, g.k = k;
    g.transpose_a = flags & 1, g.transpose_b = flags & 2, g.accumulate = flags & 4, g.bias = flags & 8;
    g.lda = (g.transpose_a ? m : k) + gap, g.ldb = (g.transpose_b ? k : n) + gap, g.ldc = n + gap;
    a = test::random_tensor({g.transpose_a ? k : m, g.lda}, type, 1);
    b = test::random_tensor({g.transpose_b ? n : k, g.ldb}, type, 2);
    bias = test::random_tensor({n}, accumulator_of(type), 3);
    before = test::random_tensor({m + 1, g.ldc}, out, 4);  // a row more than the product has
  }
  Tensor run(const ColumnSums& sums = {}) const {
    const Tensor c = before.clone();
    gemm_blocked(g, a.raw(), b.raw(), c.raw(), bias.raw(), sums);
    return c;
  }
  // In double, and what rounding may make of it: terms' magnitudes added up.
  void check(const Tensor& got_in, double tolerance, const std::string& what) const {
    const auto x = a.to_vector<double>(), y = b.to_vector<double>(), add = bias.to_vector<double>(),
               start = before.to_vector<double>(), got = got_in.to_vector<double>();
    const auto at = [](int64_t i) { return static_cast<size_t>(i); };
    std::vector<double> sum(at(g.n)), size(at(g.n));
    for (int64_t i = 0; i <= g.m; ++i) {
      for (int64_t j = 0; j < g.n; ++j) {
        sum[at(j)] = (g.accumulate ? start[at(i * g.ldc + j)] : 0) + (g.bias ? add[at(j)] : 0);
        size[at(j)] = 1 + std::abs(sum[at(j)]);
      }
      for (int64_t p = 0; p < g.k && i < g.m; ++p) {
        const double left = x[at(g.transpose_a ? p * g.lda + i : i * g.lda + p)];
        for (int64_t j = 0; j < g.n; ++j) {
          const double term = left * y[at(g.transpose_b ? j * g.ldb + p : p * g.ldb + j)];
          sum[at(j)] += term, size[at(j)] += std::abs(term);
        }
      }
      for (int64_t j = 0; j < g.ldc; ++j) {
        const double value = got[at(i * g.ldc + j)];
        if (i == g.m || j >= g.n) {
          ASSERT_EQ(value, start[at(i * g.ldc + j)]) << what << ": behind the product at " << i << ", " << j;
        } else {
          ASSERT_NEAR(value, sum[at(j)], tolerance * size[at(j)]) << what << ": row " << i << ", column " << j;
        }
      }
    }
  }
};

// Sizes around those of tiles, blocks along k (512) and panels (4096 deep), with what is left over.
TEST(GemmBlocked, EqualsAPlainLoopOnEveryInstructionSet) {
  struct Case {
    int64_t m, n, k;
  };
  const std::vector<Case> cases{{1, 1, 1},   {14, 32, 16},  {15, 33, 17},  {13, 31, 512}, {28, 64, 513},
                                {6, 16, 40}, {7, 17, 1100}, {57, 90, 130}, {3, 5, 4200},  {150, 40, 600}};
  const std::vector<std::pair<DType, DType>> types{
      {DType::f64, DType::f64}, {DType::f32, DType::f32}, {DType::bf16, DType::bf16}, {DType::bf16, DType::f32}};
  for (int isa = 0; isa <= static_cast<int>(simd::supported()); ++isa) {
    simd::set_active(static_cast<simd::Isa>(isa));
    int flags = 0;
    for (const Case& c : cases) {
      for (const auto& [type, out] : types) {
        for (int i = 0; i < 5; ++i, flags = (flags + 1) % 16) {
          const Product product(c.m, c.n, c.k, type, out, flags, flags % 3);
          product.check(product.run(),
                        out == DType::bf16   ? 5e-3
                        : type == DType::f64 ? 1e-15
                                             : 1e-6,
                        fmt::format("{} x {} x {}, {} to {}, flags {}, {}", c.m, c.n, c.k, name_of(type), name_of(out),
                                    flags, simd::name(static_cast<simd::Isa>(isa))));
        }
      }
    }
  }
  simd::set_active(simd::supported());
}

// Rows of A that are a page apart are copied, others are read where they lie; more than a block of each.
TEST(GemmBlocked, RowsInPlaceOrCopied) {
  for (const int64_t k : {1023, 1024, 1025, 1536, 2048}) {
    for (const int64_t m : {30, 200}) {  // fewer than columns, and more
      const Product product(m, 70, k, DType::f32, DType::f32, 2, 0);
      product.check(product.run(), 1e-6, fmt::format("{} x {}", m, k));
    }
  }
}

// Bit for bit those of operands that went through the activation beforehand.
TEST(GemmBlocked, ActivationsOfOperands) {
  for (int isa = 0; isa <= static_cast<int>(simd::supported()); ++isa) {
    simd::set_active(static_cast<simd::Isa>(isa));
    for (const DType type : {DType::f64, DType::f32, DType::bf16}) {
      for (const auto& [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{300, 45, 70}, {29, 300, 1100}, {7, 9, 5}}) {
        for (int flags = 0; flags < 8; ++flags) {
          for (const auto& [of_a, of_b] : {std::pair{Activation::gelu, Activation::none},
                                           {Activation::none, Activation::gelu_tanh},
                                           {Activation::relu, Activation::silu}}) {
            Product product(m, n, k, type, type, flags, flags % 3);
            Product made = product;
            made.a = activation(of_a, product.a), made.b = activation(of_b, product.b);
            product.g.activation_a = of_a, product.g.activation_b = of_b;
            test::expect_same_bits(product.run(), made.run(),
                                   fmt::format("{} x {} x {} {}, flags {}, {} {}, {}", m, n, k, name_of(type), flags,
                                               name_of(of_a), name_of(of_b), simd::name(static_cast<simd::Isa>(isa))));
          }
        }
      }
    }
  }
  simd::set_active(simd::supported());
}

// For any threads the same bits, the product as without them.
TEST(GemmBlocked, SumsOfColumns) {
  const int team = threads();
  for (const DType type : {DType::f32, DType::bf16}) {
    for (const auto& [m, n, k] :
         {std::tuple<int64_t, int64_t, int64_t>{300, 45, 70}, {29, 300, 1100}, {7, 9, 5}, {40, 1100, 4200}}) {
      for (const bool of_a : {true, false}) {
        const Product product(m, n, k, type, DType::f32, of_a ? 3 : 0, 2);
        const int64_t count = of_a ? m : n, step = of_a ? product.g.lda : product.g.ldb;
        const auto x = (of_a ? product.a : product.b).to_vector<double>();
        Tensor first;
        for (const int several : {team, 1, 3}) {
          set_threads(several);
          const Tensor sums = Tensor::full({count}, 7.0, DType::f32);
          const std::string what = fmt::format("{} x {} x {} {}, {}", m, n, k, name_of(type), of_a ? "a" : "b");
          test::expect_same_bits(product.run({of_a ? ColumnSums::Of::a : ColumnSums::Of::b, sums.data<float>()}),
                                 product.run(), what);
          if (!first) first = sums;
          test::expect_same_bits(sums, first, what);
        }
        std::vector<double> expected(static_cast<size_t>(count));
        for (int64_t p = 0; p < k; ++p) {
          for (int64_t i = 0; i < count; ++i) {
            expected[static_cast<size_t>(i)] += x[static_cast<size_t>(p * step + i)];
          }
        }
        test::expect_close(first, expected, 1e-5, "sums");
      }
    }
  }
  set_threads(team);
}

// More columns than one panel of B has, more rows than one block of A.
TEST(GemmBlocked, SeveralPanels) {
  for (int flags = 0; flags < 4; ++flags) {
    const Product product(9, 1100, 4100, DType::f32, DType::f32, flags | 8, 0);
    product.check(product.run(), 1e-6, fmt::format("panels, flags {}", flags));
  }
  const Product product(700, 80, 70, DType::f32, DType::f32, 2, 1);
  product.check(product.run(), 1e-6, "blocks of rows");
}

TEST(GemmBlocked, ARowHasTheSameBitsAmongAnyOthersAndForAnyThreads) {
  const int team = threads();
  for (const auto& [type, out] : {std::pair{DType::f32, DType::f32}, std::pair{DType::bf16, DType::bf16}}) {
    const Product all(301, 130, 700, type, out, 2, 0);
    const Tensor expected = all.run();
    for (const int several : {1, 2, 3, 5}) {
      set_threads(several);
      test::expect_same_bits(all.run(), expected, fmt::format("{} threads", several));
      const Product few(23, 130, 700, type, out, 2, 0);  // whose operands begin with the same numbers
      test::expect_same_bits(few.run().slice(0, 0, 23), expected.slice(0, 0, 23),
                             fmt::format("{} threads, 23 rows", several));
    }
    set_threads(team);
  }
}

}  // namespace
}  // namespace gfsa
