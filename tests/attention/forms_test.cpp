// Both forms against plain loops, against exact derivatives of them, and against each other.
#include <gtest/gtest.h>

#include <numeric>

#include "attention/attention_case.h"
#include "autograd/autograd.h"

namespace gfsa::test {
namespace {

constexpr auto kTwoPass = AttentionForm::two_pass;
constexpr auto kExplicit = AttentionForm::explicit_form;

void expect_forms_agree(AttentionTestCase c, DType dtype = DType::f64, double tolerance = 1e-12) {
  SCOPED_TRACE(c.text());
  const AttentionValues x = make_values(c);
  c.form = kExplicit;
  const AttentionResult reference = run_attention(c, x, dtype);
  c.form = kTwoPass;
  const AttentionResult r = run_attention(c, x, dtype);
  EXPECT_EQ(r.dcoefficients.defined(), c.degree >= 0);
  EXPECT_EQ(r.dbias.defined(), c.bias_batch > 0);
  expect_near(r, reference, tolerance);
  // Without a tape the two-pass form keeps nothing, and gives the same.
  EXPECT_EQ(difference(run_attention(c, x, dtype, false).out, r.out), 0);
}

TEST(AttentionForms, EqualPlainLoopsWithExactDerivatives) {
  for (const auto form : {kTwoPass, kExplicit}) {
    for (const int64_t degree : {-1, 1, 2, 3, 5}) {
      for (const bool causal : {false, true}) {
        for (const bool masked : {false, true}) {
          AttentionTestCase c{.rows = 7, .keys = 7, .head_size = 3, .degree = degree, .causal = causal, .form = form};
          c.uniform = degree > 0;
          c.holes = c.lengths = masked;
          expect_exact(c);
          c.dropout = 0.3;
          expect_exact(c);
          c.bias_batch = 1;
          c.bias_heads = 2;
          c.packed = false;
          expect_exact(c);
        }
      }
    }
  }
}

TEST(AttentionForms, SeveralBlocksEqualPlainLoopsWithExactDerivatives) {
  for (const bool causal : {false, true}) {
    AttentionTestCase c{.batch = 1, .rows = 131, .keys = 131, .degree = 2, .causal = causal, .form = kTwoPass};
    expect_exact(c);
    c.degree = 3;
    c.uniform = c.holes = true;
    c.dropout = 0.2;
    c.bias_batch = c.bias_heads = 1;
    c.block_rows = 36;  // blocks that are made anew in each pass
    expect_exact(c);
  }
}

// Both forms leave out what a coefficient of 0 or 1 makes needless, and nothing else.
TEST(AttentionForms, CoefficientsOfZeroAndOne) {
  for (const auto form : {kTwoPass, kExplicit}) {
    for (const int64_t degree : {1, 2, 3}) {
      const AttentionTestCase c{.degree = degree, .uniform = true, .form = form};
      for (int64_t j = 0; j < degree + 2; ++j) {
        for (const double value : {0.0, 1.0}) {
          AttentionValues x = make_values(c);
          for (int64_t h = 0; h < c.heads; ++h) x.coefficients[static_cast<size_t>(h * (degree + 2) + j)] = value;
          SCOPED_TRACE(fmt::format("coefficient {} is {}", j, value));
          expect_exact(c, x);
          x.coefficients[static_cast<size_t>(j)] = 0.3;  // the heads need not be alike
          expect_exact(c, x);
        }
      }
    }
  }
}

TEST(AttentionForms, DropoutOfTheFilteredMatrix) {
  for (const int64_t degree : {1, 2, 4}) {
    AttentionTestCase c{.rows = 6,
                        .keys = 6,
                        .degree = degree,
                        .uniform = true,
                        .dropout = 0.4,
                        .order = DropoutOrder::filter_first,
                        .form = kExplicit};
    expect_exact(c);
    c.causal = c.holes = true;
    c.bias_batch = c.bias_heads = 1;
    expect_exact(c);
    c.form = AttentionForm::automatic;  // finds the explicit form by itself
    expect_exact(c);
  }
}

TEST(AttentionForms, EveryShapeOfBias) {
  for (const int64_t batch : {1, 3}) {
    for (const int64_t heads : {1, 2}) {
      for (const auto form : {kTwoPass, kExplicit}) {
        AttentionTestCase c{
            .batch = 3, .rows = 4, .keys = 4, .degree = 2, .bias_batch = batch, .bias_heads = heads, .form = form};
        expect_exact(c);
      }
    }
  }
  // More heads than copies of the bias, so that several add up in one.
  expect_exact(
      {.batch = 45, .heads = 2, .rows = 3, .keys = 3, .head_size = 2, .degree = 2, .bias_batch = 1, .bias_heads = 1});
}

TEST(AttentionForms, CrossAttention) {
  for (const auto form : {kTwoPass, kExplicit}) {
    for (const auto& [rows, keys] : {std::pair<int64_t, int64_t>{1, 9}, {9, 1}, {5, 8}, {8, 5}}) {
      AttentionTestCase c{.rows = rows, .keys = keys, .packed = false, .form = form};
      expect_exact(c);
      c.lengths = c.holes = true;
      c.dropout = 0.2;
      c.bias_batch = 2;
      c.bias_heads = 1;
      expect_exact(c);
    }
  }
}

TEST(AttentionForms, AgreeAtOddSizes) {
  for (const int64_t n : {1, 2, 31, 65}) {
    for (const int64_t size : {8, 10, 32}) {
      for (const bool causal : {false, true}) {
        AttentionTestCase c{.batch = 1, .rows = n, .keys = n, .head_size = size, .degree = 2, .causal = causal};
        expect_forms_agree(c);
        c.block_rows = 16;
        c.dropout = 0.1;
        c.lengths = true;
        expect_forms_agree(c);
      }
    }
  }
  AttentionTestCase large{.batch = 1, .heads = 2, .rows = 197, .keys = 197, .head_size = 64, .degree = 2};
  expect_forms_agree(large);
  large.causal = true;
  large.degree = 3;
  large.block_rows = 48;
  expect_forms_agree(large);
}

TEST(AttentionForms, AgreeInSinglePrecisionAndHalf) {
  for (const bool causal : {false, true}) {
    for (const double dropout : {0.0, 0.1}) {
      AttentionTestCase c{.rows = 65,
                          .keys = 65,
                          .head_size = 32,
                          .degree = 2,
                          .uniform = true,
                          .causal = causal,
                          .lengths = true,
                          .bias_batch = 1,
                          .bias_heads = 2,
                          .dropout = dropout};
      expect_forms_agree(c, DType::f32, 2e-5);
      expect_forms_agree(c, DType::bf16, 0.05);
      c.block_rows = 16;
      expect_forms_agree(c, DType::f32, 2e-5);
      expect_forms_agree(c, DType::bf16, 0.05);
    }
  }
}

TEST(AttentionForms, SinglePrecisionAndHalfStayNearDouble) {
  for (const int64_t degree : {-1, 2, 3}) {
    const AttentionTestCase c{
        .rows = 65, .keys = 65, .head_size = 32, .degree = degree, .dropout = 0.1, .block_rows = 24};
    const AttentionValues x = make_values(c);
    const AttentionResult exact = run_attention(c, x);
    for (const auto& [dtype, tolerance] : {std::pair{DType::f32, 1e-5}, {DType::bf16, 0.05}}) {
      const AttentionResult r = run_attention(c, x, dtype);
      EXPECT_LT(difference(r.out, exact.out), tolerance);
      EXPECT_LT(difference(r.dq, exact.dq), tolerance);
      EXPECT_LT(difference(r.dk, exact.dk), tolerance);
      EXPECT_LT(difference(r.dv, exact.dv), tolerance);
      if (degree > 0) {
        EXPECT_LT(difference(r.dcoefficients, exact.dcoefficients), tolerance);
      }
    }
  }
}

TEST(AttentionForms, NothingOfTheSizeOfTheMatrixIsKept) {
  const int64_t n = 1500, size = 8;
  AttentionInputs in;
  in.qkv = Tensor::from<float>({1, n, 3 * size}, std::vector<float>(static_cast<size_t>(n * 3 * size), 0.1f));
  in.coefficients = Tensor::from<float>({1, 4}, {0, 0.1f, 0.7f, 0.3f});
  require_grad(in.qkv);
  require_grad(in.coefficients);
  Arena& memory = arena({});
  const uint64_t before = memory.figures().current;
  memory.reset_peak();
  AttentionOptions options;
  options.form = kTwoPass;
  const Tensor y = attention(in, options);
  const uint64_t matrix = static_cast<uint64_t>(n * n) * sizeof(float);
  EXPECT_LT(memory.figures().current - before, 3u * n * size * sizeof(float));
  backward(y, Tensor::full(y.shape(), 1, DType::f32));
  EXPECT_LT(memory.figures().peak - before, matrix / 2);
}

// A plain softmax walks through blocks of at most 512 KiB, beside operands as products read them, and leaves its result
// and two figures a row.
TEST(AttentionForms, SoftmaxTakesOneBlock) {
  const int64_t n = 3000, size = 32;
  AttentionInputs in;
  in.qkv = Tensor::from<float>({1, n, 3 * size}, std::vector<float>(static_cast<size_t>(n * 3 * size), 0.1f));
  require_grad(in.qkv);
  Arena& memory = arena({});
  const uint64_t before = memory.figures().current;
  memory.reset_peak();
  const Tensor y = attention(in, {});
  EXPECT_LT(memory.figures().peak - before, 3 * y.bytes() + (600u << 10));
  EXPECT_LT(memory.figures().current - before, y.bytes() + 2 * n * sizeof(float) + 1024);
}

}  // namespace
}  // namespace gfsa::test
