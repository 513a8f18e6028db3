// What must hold of GFSA itself, whatever computes it.
#include <gtest/gtest.h>

#include "attention/attention_case.h"
#include "attention/filter.h"
#include "autograd/autograd.h"
#include "base/threads.h"
#include "config/reader.h"
#include "support/op_case.h"

namespace gfsa::test {
namespace {

constexpr AttentionForm kForms[] = {AttentionForm::two_pass, AttentionForm::explicit_form};

// (cu, c0, c1, c2) of GFSA for every head.
std::vector<double> gfsa_coefficients(int64_t heads, double order, double w0, double w1, double wK) {
  std::vector<double> out;
  for (int64_t h = 0; h < heads; ++h) out.insert(out.end(), {0, w0, w1 + wK * (2 - order), wK * (order - 1)});
  return out;
}

TEST(Gfsa, StartsAsTheBaseModelBitForBit) {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    for (const bool causal : {false, true}) {
      for (const auto form : kForms) {
        for (const int64_t block : {0, 16}) {
          AttentionTestCase c{.rows = 65,
                              .keys = 65,
                              .head_size = 32,
                              .causal = causal,
                              .lengths = true,
                              .bias_batch = 1,
                              .bias_heads = 2,
                              .dropout = 0.1,
                              .form = form,
                              .block_rows = block};
          AttentionValues x = make_values(c);
          const AttentionResult base = run_attention(c, x, dtype);
          c.degree = 2;
          x.coefficients = gfsa_coefficients(c.heads, 4, 0, 1, 0);
          const AttentionResult r = run_attention(c, x, dtype);
          const std::string what = c.text();
          expect_same_bits(r.out, base.out, what);
          expect_same_bits(r.dq.contiguous(), base.dq.contiguous(), what);
          expect_same_bits(r.dk.contiguous(), base.dk.contiguous(), what);
          expect_same_bits(r.dv.contiguous(), base.dv.contiguous(), what);
          expect_same_bits(r.dbias, base.dbias, what);
          // ... and learns: dwK = (2 - K) dc1 + (K - 1) dc2.
          const auto dc = r.dcoefficients.to_vector<double>();
          EXPECT_GT(std::abs(-2 * dc[2] + 3 * dc[3]), 1e-3);
        }
      }
    }
  }
}

TEST(Gfsa, OrderOneScalesAndOrderTwoAddsTheSquare) {
  AttentionTestCase c{.rows = 9, .keys = 9, .degree = 2};
  AttentionValues x = make_values(c);
  const double w1 = 0.8, wK = 0.35;
  AttentionTestCase plain = c;
  plain.degree = -1;
  auto first = reference_attention(plain, x);  // A V
  AttentionValues again = x;
  again.v = first;
  const auto second = reference_attention(plain, again);  // A A V
  for (const auto form : kForms) {
    c.form = form;
    x.coefficients = gfsa_coefficients(c.heads, 1, 0, w1, wK);
    std::vector<double> expected(first.size());
    for (size_t e = 0; e < first.size(); ++e) expected[e] = (w1 + wK) * first[e];
    EXPECT_LT(difference(run_attention(c, x).out, expected), 1e-13);
    x.coefficients = gfsa_coefficients(c.heads, 2, 0, w1, wK);
    for (size_t e = 0; e < first.size(); ++e) expected[e] = w1 * first[e] + wK * second[e];
    EXPECT_LT(difference(run_attention(c, x).out, expected), 1e-13);
  }
}

TEST(Gfsa, RowsSumToTheCoefficients) {
  for (const auto form : kForms) {
    for (const bool causal : {false, true}) {
      for (const double order : {2.0, 3.0, 10.0}) {
        AttentionTestCase c{.rows = 31, .keys = 31, .degree = 2, .causal = causal, .form = form};
        AttentionValues x = make_values(c);
        x.coefficients = gfsa_coefficients(c.heads, order, -0.05, 0.9, 0.4);
        std::fill(x.v.begin(), x.v.end(), 1.0);
        const std::vector<double> sums(x.v.size(), -0.05 + 0.9 + 0.4);
        EXPECT_LT(difference(run_attention(c, x).out, sums), 1e-13) << c.text() << " K " << order;
      }
    }
  }
}

TEST(Gfsa, CausalOutputsIgnoreTheFutureExactly) {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    for (const auto form : kForms) {
      for (const int64_t block : {0, 12}) {
        AttentionTestCase c{.batch = 1,
                            .rows = 31,
                            .keys = 31,
                            .head_size = 8,
                            .degree = 3,
                            .uniform = true,
                            .causal = true,
                            .form = form,
                            .block_rows = block};
        AttentionValues x = make_values(c);
        const auto before = run_attention(c, x, dtype).out.to_vector<double>();
        const int64_t t = 17, width = c.heads * c.head_size;
        for (auto* part : {&x.q, &x.k, &x.v}) {
          for (size_t e = static_cast<size_t>(t * width); e < part->size(); ++e) (*part)[e] = 3 - 2 * (*part)[e];
        }
        const auto after = run_attention(c, x, dtype).out.to_vector<double>();
        const auto cut = static_cast<size_t>(t * width);
        EXPECT_TRUE(std::equal(before.begin(), before.begin() + static_cast<int64_t>(cut), after.begin())) << c.text();
        EXPECT_NE(before[cut], after[cut]);
      }
    }
  }
}

TEST(Gfsa, PaddingChangesNothingReal) {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    for (const auto form : kForms) {
      AttentionTestCase c{
          .batch = 1, .rows = 33, .keys = 33, .head_size = 8, .degree = 2, .uniform = true, .form = form};
      const AttentionValues x = make_values(c);
      const auto real = run_attention(c, x, dtype);
      auto [padded, y] = padded_to(c, x, 40);
      // What stands in the padding does not matter.
      for (auto* part : {&y.q, &y.k, &y.v}) {
        for (size_t e = x.q.size(); e < part->size(); ++e) (*part)[e] *= 100;
      }
      const auto r = run_attention(padded, y, dtype);
      const Tensor out = r.out.slice(1, 0, c.rows).contiguous();
      if (form == AttentionForm::two_pass) {
        expect_same_bits(out, real.out, padded.text());
      } else {
        EXPECT_LT(difference(out, real.out), dtype == DType::bf16 ? 0.01 : 1e-6);
      }
      // The same by a mask.
      padded.lengths = false;
      padded.holes = true;
      for (size_t j = 0; j < y.keep.size(); ++j) y.keep[j] = j < static_cast<size_t>(c.rows);
      expect_same_bits(run_attention(padded, y, dtype).out, r.out, "mask against lengths");
    }
  }
}

TEST(Gfsa, PaddedKeysGetNoGradient) {
  AttentionTestCase c{.batch = 1, .rows = 12, .keys = 12, .degree = 2, .lengths = true};
  AttentionValues x = make_values(c);
  x.lengths = {7};
  for (const auto form : kForms) {
    c.form = form;
    const auto r = run_attention(c, x);
    for (const double d : r.dk.slice(1, 7, 12).contiguous().to_vector<double>()) EXPECT_EQ(d, 0);
  }
}

TEST(Gfsa, SameBitsInEveryRunAndOnAnyNumberOfThreads) {
  const int team = threads();
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const auto form : kForms) {
      const AttentionTestCase c{.batch = 5,
                                .rows = 50,
                                .keys = 50,
                                .head_size = 16,
                                .degree = 2,
                                .bias_batch = 1,
                                .bias_heads = 1,
                                .dropout = 0.1,
                                .form = form,
                                .block_rows = 12};
      const AttentionValues x = make_values(c);
      set_threads(1);
      const auto one = run_attention(c, x, dtype);
      for (const int count : {1, 2, 3}) {
        set_threads(count);
        const auto r = run_attention(c, x, dtype);
        const std::string what = fmt::format("{} on {} threads", c.text(), count);
        expect_same_bits(r.out, one.out, what);
        expect_same_bits(r.dq.contiguous(), one.dq.contiguous(), what);
        expect_same_bits(r.dk.contiguous(), one.dk.contiguous(), what);
        expect_same_bits(r.dv.contiguous(), one.dv.contiguous(), what);
        expect_same_bits(r.dcoefficients, one.dcoefficients, what);
        expect_same_bits(r.dbias, one.dbias, what);
      }
    }
  }
  set_threads(team);
}

TEST(Gfsa, PartsOfABatchDrawTheSameMask) {
  AttentionTestCase c{.batch = 3, .rows = 10, .keys = 10, .degree = 2, .dropout = 0.5};
  const AttentionValues x = make_values(c);
  const Tensor whole = run_attention(c, x).out;
  AttentionInputs in;
  const int64_t width = c.heads * c.head_size;
  in.q = Tensor::from<double>({3, 10, width}, x.q).slice(0, 1, 3);
  in.k = Tensor::from<double>({3, 10, width}, x.k).slice(0, 1, 3);
  in.v = Tensor::from<double>({3, 10, width}, x.v).slice(0, 1, 3);
  in.coefficients = Tensor::from<double>({c.heads, 4}, x.coefficients);
  AttentionOptions o = options_of(c);
  o.sample0 += 1;
  EXPECT_LT(difference(attention(in, o), whole.slice(0, 1, 3).contiguous()), 1e-14);
}

TEST(Gfsa, LargeScoresAndHiddenRowsStayFinite) {
  for (const auto form : kForms) {
    AttentionTestCase c{.rows = 8, .keys = 8, .degree = 2, .uniform = true, .holes = true, .form = form};
    AttentionValues x = make_values(c);
    for (double& q : x.q) q *= 1e4;
    std::fill(x.keep.begin(), x.keep.begin() + 8, false);  // nothing in sight in the first sample
    const auto r = run_attention(c, x, DType::f32);
    for (const Tensor& t : {r.out, r.dq, r.dk, r.dv, r.dcoefficients}) {
      for (const double v : t.contiguous().to_vector<double>()) EXPECT_TRUE(std::isfinite(v));
    }
    const auto reference = reference_attention(c, x);
    EXPECT_LT(difference(r.out, reference), 1e-3);
  }
}

TEST(Gfsa, NanScoresStayVisible) {
  AttentionTestCase c{.rows = 4, .keys = 4, .degree = 2};
  AttentionValues x = make_values(c);
  std::fill(x.q.begin(), x.q.end(), std::nan(""));
  for (const double y : run_attention(c, x, DType::f32, false).out.to_vector<double>()) EXPECT_TRUE(std::isnan(y));
}

}  // namespace
}  // namespace gfsa::test
