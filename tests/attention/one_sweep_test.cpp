// The one-sweep form, where a head has more than one tile too: against plain loops, their exact derivatives and the
// other forms.
#include <gtest/gtest.h>

#include <numeric>

#include "attention/attention_case.h"
#include "autograd/autograd.h"
#include "base/threads.h"
#include "support/op_case.h"

namespace gfsa::test {
namespace {

constexpr auto kOneSweep = AttentionForm::one_sweep;
constexpr auto kExplicit = AttentionForm::explicit_form;
constexpr auto kTwoPass = AttentionForm::two_pass;

AttentionTestCase causal(int64_t rows, int64_t degree) {
  return {.rows = rows, .keys = rows, .degree = degree, .causal = true, .form = kOneSweep};
}

void expect_same(const AttentionResult& a, const AttentionResult& b, const std::string& what) {
  expect_same_bits(a.out, b.out, what);
  expect_same_bits(a.dq.contiguous(), b.dq.contiguous(), what + ", dq");
  expect_same_bits(a.dk.contiguous(), b.dk.contiguous(), what + ", dk");
  expect_same_bits(a.dv.contiguous(), b.dv.contiguous(), what + ", dv");
  if (a.dbias) expect_same_bits(a.dbias, b.dbias, what + ", dbias");
}

TEST(OneSweep, EqualsPlainLoopsWithExactDerivatives) {
  on_every_isa([] {
    for (const int64_t degree : {-1, 1, 2, 3, 5}) {
      for (const bool masked : {false, true}) {
        AttentionTestCase c = causal(7, degree);
        c.head_size = 3;
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
  });
}

TEST(OneSweep, SeveralTilesEqualPlainLoopsWithExactDerivatives) {
  AttentionTestCase c = causal(131, 2);
  c.batch = 1;
  expect_exact(c);
  c.degree = 3;
  c.uniform = c.holes = true;
  c.dropout = 0.2;
  c.bias_batch = c.bias_heads = 1;
  expect_exact(c);
}

TEST(OneSweep, CoefficientsOfZeroAndOne) {
  for (const int64_t degree : {1, 2, 3}) {
    AttentionTestCase c = causal(5, degree);
    c.uniform = true;
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

TEST(OneSweep, EveryInstructionSetAgreesWithTheExplicitForm) {
  on_every_isa([] {
    AttentionTestCase c = causal(200, 3);
    c.head_size = 40;
    c.dropout = 0.1;
    c.lengths = true;
    expect_as_explicit(c, DType::f32, 1e-5);
    expect_as_explicit(c, DType::bf16, 0.05);
  });
}

TEST(OneSweep, SinglePrecisionAndHalfStayNearDouble) {
  for (const int64_t rows : {2, 65, 300}) {
    for (const int64_t degree : {-1, 2, 3}) {
      for (const double dropout : {0.0, 0.1}) {
        AttentionTestCase c = causal(rows, degree);
        c.head_size = 32;
        c.dropout = dropout;
        expect_as_explicit(c, DType::f32, 1e-5);
        expect_as_explicit(c, DType::bf16, 0.05);
      }
    }
  }
}

TEST(OneSweep, LargeHeads) {
  for (const int64_t size : {128, 256, 300}) {
    AttentionTestCase c = causal(150, 2);
    c.batch = 1;
    c.head_size = size;
    expect_as_explicit(c);
    expect_as_explicit(c, DType::f32, 1e-5);
  }
}

TEST(OneSweep, PackedSequencesEqualPlainLoopsWithExactDerivatives) {
  for (const auto& lengths : std::vector<std::vector<int64_t>>{{4, 0, 1, 5}, {0, 3, 7, 0}, {100, 2}}) {
    AttentionTestCase c = causal(std::accumulate(lengths.begin(), lengths.end(), int64_t{0}), 2);
    c.batch = 1;
    c.head_size = 3;
    c.sequences = lengths;
    c.dropout = 0.3;
    expect_exact(c);
  }
}

// What `form: auto` chooses does not depend on the filter, and heads whose wK is 0 take the softmax's very steps.
TEST(OneSweep, GfsaStartsAsTheSoftmaxBitForBit) {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    for (const auto form : {kOneSweep, AttentionForm::automatic}) {
      for (const int64_t rows : {65, 230}) {
        AttentionTestCase c = causal(rows, -1);
        c.form = form;
        c.head_size = 32;
        c.lengths = true;
        c.bias_batch = 1;
        c.bias_heads = 2;
        c.dropout = 0.1;
        AttentionValues x = make_values(c);
        const AttentionResult base = run_attention(c, x, dtype);
        c.degree = 2;
        c.order = DropoutOrder::dropout_first;
        x.coefficients = {0, 0, 1, 0, 0, 0, 1, 0};
        const AttentionResult r = run_attention(c, x, dtype);
        expect_same(r, base, c.text());
        // ... and learns: K = 4.
        const auto dc = r.dcoefficients.to_vector<double>();
        EXPECT_GT(std::abs(-2 * dc[2] + 3 * dc[3]), 1e-3);
        // A head beside one that is filtered already.
        x.coefficients = {0, 0, 1, 0, 0, 0.1, 0.8, 0.3};
        const AttentionResult mixed = run_attention(c, x, dtype);
        const auto first_head = [&](const Tensor& t) { return t.slice(2, 0, c.head_size).contiguous(); };
        expect_same_bits(first_head(mixed.out), first_head(base.out), c.text());
        expect_same_bits(first_head(mixed.dq), first_head(base.dq), c.text());
        expect_same_bits(first_head(mixed.dv), first_head(base.dv), c.text());
      }
    }
  }
}

TEST(OneSweep, IgnoresTheFutureExactly) {
  AttentionTestCase c = causal(230, 3);
  c.batch = 1;
  c.uniform = true;
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    expect_blind_to_future(c, dtype, {1, 11, 12, 95, 96, 97, 150, 191, 192, 229});
  }
}

// A longer sequence or a batch padded to one: not a bit changes, for no sum's order depends on n.
TEST(OneSweep, PaddingChangesNothingReal) {
  AttentionTestCase c = causal(110, 2);
  c.batch = 1;
  c.uniform = true;
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) expect_blind_to_padding(c, dtype, 250);
}

TEST(OneSweep, SameBitsInEveryRunAndOnAnyNumberOfThreads) {
  const int team = threads();
  for (const DType dtype : {DType::f32, DType::bf16}) {
    AttentionTestCase c = causal(210, 2);
    c.batch = 5;
    c.bias_batch = c.bias_heads = 1;
    c.dropout = 0.1;
    const AttentionValues x = make_values(c);
    set_threads(1);
    const AttentionResult one = run_attention(c, x, dtype);
    for (const int count : {1, 2, 3}) {
      set_threads(count);
      const AttentionResult r = run_attention(c, x, dtype);
      expect_same(r, one, fmt::format("{} threads", count));
      expect_same_bits(r.dcoefficients, one.dcoefficients, "dc");
    }
  }
  set_threads(team);
}

TEST(OneSweep, LargeScoresAndHiddenRowsStayFinite) {
  AttentionTestCase c = causal(120, 2);
  c.uniform = c.holes = true;
  AttentionValues x = make_values(c);
  for (double& q : x.q) q *= 1e4;
  std::fill(x.keep.begin(), x.keep.begin() + 110, false);  // nothing in sight of the first rows
  const AttentionResult r = run_attention(c, x, DType::f32);
  for (const Tensor& t : {r.out, r.dq, r.dk, r.dv, r.dcoefficients}) {
    for (const double v : t.contiguous().to_vector<double>()) ASSERT_TRUE(std::isfinite(v));
  }
  EXPECT_LT(difference(r.out, reference_attention(c, x)), 1e-3);
}

TEST(OneSweep, NanScoresStayVisible) {
  AttentionTestCase c = causal(220, 2);
  AttentionValues x = make_values(c);
  std::fill(x.q.begin(), x.q.end(), std::nan(""));
  for (const double y : run_attention(c, x, DType::f32, false).out.to_vector<double>()) ASSERT_TRUE(std::isnan(y));
}

// Whatever else is wanted, a gradient is the same; and it is added where it shall be.
TEST(OneSweep, GradientsThatAreNotWanted) {
  AttentionTestCase c = causal(140, 3);
  c.packed = false;
  c.bias_batch = c.bias_heads = 1;
  const AttentionValues x = make_values(c);
  const AttentionResult all = run_attention(c, x);
  const int64_t width = c.heads * c.head_size;
  const Shape rows{c.batch, c.rows, width};
  for (int wanted = 1; wanted < 32; ++wanted) {
    AttentionInputs in;
    in.q = Tensor::from<double>(rows, x.q);
    in.k = Tensor::from<double>(rows, x.k);
    in.v = Tensor::from<double>(rows, x.v);
    in.coefficients = Tensor::from<double>({c.heads, c.degree + 2}, x.coefficients);
    in.bias = Tensor::from<double>({1, 1, c.rows, c.rows}, x.bias);
    const std::vector<std::pair<Tensor*, const Tensor*>> parts{{&in.q, &all.dq},
                                                               {&in.k, &all.dk},
                                                               {&in.v, &all.dv},
                                                               {&in.coefficients, &all.dcoefficients},
                                                               {&in.bias, &all.dbias}};
    for (size_t i = 0; i < parts.size(); ++i) {
      if ((wanted >> i & 1) != 0) require_grad(*parts[i].first);
    }
    const Tensor seed = Tensor::from<double>(rows, seed_values(c));
    const auto expect_times = [&](double times) {
      for (size_t i = 0; i < parts.size(); ++i) {
        if ((wanted >> i & 1) == 0) continue;
        auto expected = parts[i].second->contiguous().to_vector<double>();
        for (double& e : expected) e *= times;
        EXPECT_LT(difference(grad_of(*parts[i].first), expected), 1e-13) << "of " << i << " with " << wanted;
      }
    };
    backward(attention(in, options_of(c)), seed);
    expect_times(1);
    backward(attention(in, options_of(c)), seed);
    expect_times(2);
  }
}

TEST(OneSweep, MemoryGrowsWithTheLengthAndNotItsSquare) {
  const int64_t n = 3000, size = 8;
  AttentionInputs in;
  in.qkv = Tensor::from<float>({1, n, 3 * size}, std::vector<float>(static_cast<size_t>(n * 3 * size), 0.1f));
  in.coefficients = Tensor::from<float>({1, 4}, {0, 0.1f, 0.7f, 0.3f});
  require_grad(in.qkv);
  require_grad(in.coefficients);
  Arena& memory = arena({});
  const uint64_t before = memory.figures().current;
  memory.reset_peak();
  AttentionOptions options;
  options.causal = true;
  options.form = kOneSweep;
  const Tensor y = attention(in, options);
  // The result, T_1, and the figures of the softmax.
  EXPECT_LT(memory.figures().current - before, (2u * size + 2) * n * sizeof(float) + 4096);
  backward(y, Tensor::full(y.shape(), 1, DType::f32));
  EXPECT_LT(memory.figures().peak - before, static_cast<uint64_t>(n * n) * sizeof(float) / 4);
}

TEST(OneSweep, IsTheChoiceForCausalAttentionOnTheCpu) {
  AttentionCase c{.filtered = true, .causal = true};
  EXPECT_EQ(choose_attention(c, AttentionForm::automatic).name, "one_sweep");
  c.filtered = false;
  EXPECT_EQ(choose_attention(c, AttentionForm::automatic).name, "one_sweep");
  c.causal = false;
  const auto choice = choose_attention(c, AttentionForm::automatic);
  EXPECT_EQ(choice.name, "two_pass");
  EXPECT_NE(choice.text().find("not one_sweep: serves causal attention alone"), std::string::npos);
  expect_error([&] { choose_attention(c, kOneSweep); }, {"form: one_sweep", "causal", "form: two_pass"});
  c.causal = true;
  c.filtered = true;
  c.dropout = 0.1;
  expect_error([&] { choose_attention(c, kOneSweep); }, {"form: one_sweep", "dropout_order: dropout_first"});
  EXPECT_EQ(choose_attention(c, AttentionForm::automatic).name, "explicit");
}

// Both draw the same numbers for the same entries.
TEST(OneSweep, DropsWhatTheTwoPassFormDrops) {
  AttentionTestCase c = causal(200, 2);
  c.dropout = 0.5;
  const AttentionValues x = make_values(c);
  const AttentionResult one = run_attention(c, x);
  c.form = kTwoPass;
  expect_near(one, run_attention(c, x), 1e-12);
}

}  // namespace
}  // namespace gfsa::test
