// The one-sweep form on GPUs, real or emulated, over several super-blocks: against f64 on the CPU, which
// one_sweep_test.cpp holds against plain loops and exact derivatives. What it shares with other forms:
// devices_test.cpp.
#include <gtest/gtest.h>

#include "attention/device_case.h"
#include "autograd/autograd.h"
#include "support/op_case.h"

namespace gfsa::test {
namespace {

constexpr auto kOneSweep = AttentionForm::one_sweep;

AttentionTestCase causal(Device device, int64_t rows, int64_t degree, int64_t block_rows = 32) {
  return {.batch = 1,
          .rows = rows,
          .keys = rows,
          .head_size = 8,
          .degree = degree,
          .causal = true,
          .form = kOneSweep,
          .block_rows = block_rows,
          .device = device};
}

// Most have two to six super-blocks, of 32 or 64 rows. Large heads come with few rows.
AttentionTestCase random_case(uint64_t seed) {
  RandomSequence random(RandomKey(seed, "one sweep on devices"));
  const auto one_of = [&](const std::vector<int64_t>& values) { return values[random.below(values.size())]; };
  const auto chance = [&](double p) { return random.uniform() < p; };
  AttentionTestCase c = causal({}, 0, one_of({-1, 1, 2, 2, 2, 2}), one_of({0, 32, 32, 32, 64, 64}));
  c.seed = seed;
  c.head_size = one_of({3, 8, 8, 10, 16, 16, 24, 32, 48, 64});
  c.batch = one_of({1, 1, 2});
  c.heads = c.head_size > 32 ? 1 : one_of({1, 2, 3});
  c.rows = c.keys = 1 + static_cast<int64_t>(random.below(c.head_size > 32 ? 100 : c.head_size > 16 ? 130 : 190));
  c.uniform = chance(0.3);
  c.packed = chance(0.6);
  c.holes = chance(0.3);
  c.lengths = chance(0.3);
  if (chance(0.35)) {
    c.bias_batch = chance(0.5) ? 1 : c.batch;
    c.bias_heads = chance(0.5) ? 1 : c.heads;
  }
  if (chance(0.35)) c.dropout = chance(0.5) ? 0.1 : 0.4;
  c.strided = chance(0.3);
  if (!c.holes && !c.lengths && c.bias_batch == 0 && chance(0.5)) cut_into_sequences(c, random);
  return c;
}

class OneSweepOnDevices : public testing::TestWithParam<GroupOfCases> {};
TEST_P(OneSweepOnDevices, RandomCombinations) { check_group(GetParam(), random_case); }
INSTANTIATE_TEST_SUITE_P(Groups, OneSweepOnDevices, testing::ValuesIn(groups_of_cases(12, 20)), name_of_group);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(OneSweepOnDevices);

// Three super-blocks of the size that is used when nobody asks for another.
TEST(DevicesOneSweep, ManyRows) {
  for (const Device device : other_devices()) {
    AttentionTestCase c = causal(device, 600, 2, 0);
    c.heads = 1;
    c.uniform = true;
    check_on_device(c, DType::f32);
    check_on_device(c, DType::bf16);
  }
}

TEST(DevicesOneSweep, CoefficientsOfZeroAndOne) {
  for (const Device device : other_devices()) {
    AttentionTestCase c = causal(device, 67, 2);
    c.uniform = true;
    c.rounded = DType::f32;
    for (size_t j = 0; j < 4; ++j) {
      for (const double value : {0.0, 1.0}) {
        SCOPED_TRACE(fmt::format("coefficient {} is {}", j, value));
        AttentionValues x = make_values(c);
        x.coefficients[j] = x.coefficients[4 + j] = value;
        expect_near(run_attention(c, x, DType::f32), exact_result(c, x), 1e-5, error_of);
        x.coefficients[j] = 0.3;  // the heads need not be alike
        expect_near(run_attention(c, x, DType::f32), exact_result(c, x), 1e-5, error_of);
      }
    }
  }
}

// Heads whose wK is 0 take the softmax's very steps, also beside one that is filtered.
TEST(DevicesOneSweep, GfsaStartsAsTheSoftmaxBitForBit) {
  for (const Device device : other_devices()) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      for (const int64_t block_rows : {32, 64}) {
        AttentionTestCase c = causal(device, 140, -1, block_rows);
        c.lengths = true;
        c.bias_batch = 1;
        c.bias_heads = 2;
        c.dropout = 0.1;
        AttentionValues x = make_values(c);
        const AttentionResult base = run_attention(c, x, dtype);
        const auto expect_base = [&](AttentionResult r) {
          r.dcoefficients = {};
          expect_same_bits(r, base);
        };
        c.degree = 1;
        x.coefficients = {0, 0, 1, 0, 0, 1};
        expect_base(run_attention(c, x, dtype));
        c.degree = 2;
        x.coefficients = {0, 0, 1, 0, 0, 0, 1, 0};
        const AttentionResult r = run_attention(c, x, dtype);
        expect_base(r);
        // ... and learns.
        const auto dc = r.dcoefficients.to_vector<double>();
        EXPECT_GT(std::abs(dc[3]), 1e-3);
        x.coefficients = {0, 0, 1, 0, 0, 0.1, 0.8, 0.3};
        const AttentionResult mixed = run_attention(c, x, dtype);
        const auto first_head = [&](const Tensor& t) { return t.slice(2, 0, c.head_size).contiguous(); };
        test::expect_same_bits(first_head(mixed.out), first_head(base.out), "out of the first head");
        test::expect_same_bits(first_head(mixed.dq), first_head(base.dq), "dq of the first head");
        test::expect_same_bits(first_head(mixed.dk), first_head(base.dk), "dk of the first head");
        test::expect_same_bits(first_head(mixed.dv), first_head(base.dv), "dv of the first head");
      }
    }
  }
}

TEST(DevicesOneSweep, IgnoresTheFutureExactly) {
  for (const Device device : other_devices()) {
    AttentionTestCase c = causal(device, 100, 2);
    c.uniform = true;
    for (const DType dtype : {DType::f32, DType::bf16}) expect_blind_to_future(c, dtype, {1, 31, 32, 33, 70, 99});
  }
}

TEST(DevicesOneSweep, PaddingChangesNothingReal) {
  for (const Device device : other_devices()) {
    AttentionTestCase c = causal(device, 70, 2);
    c.uniform = true;
    for (const DType dtype : {DType::f32, DType::bf16}) expect_blind_to_padding(c, dtype, 130);
  }
}

TEST(DevicesOneSweep, HiddenRowsStayFinite) {
  for (const Device device : other_devices()) {
    AttentionTestCase c = causal(device, 100, 2);
    c.uniform = c.holes = true;
    AttentionValues x = make_values(c);
    for (double& q : x.q) q *= 1e4;
    std::fill(x.keep.begin(), x.keep.begin() + 75, false);  // nothing in sight of the first rows
    const AttentionResult r = run_attention(c, x, DType::f32);
    for (const Tensor& t : {r.out, r.dq, r.dk, r.dv, r.dcoefficients}) {
      for (const double v : t.contiguous().to_vector<double>()) ASSERT_TRUE(std::isfinite(v));
    }
  }
}

// Whatever else is wanted, a gradient has the same bits; and it is added where it shall be.
TEST(DevicesOneSweep, GradientsThatAreNotWanted) {
  for (const Device device : other_devices()) {
    for (const int64_t degree : {1, 2}) {
      AttentionTestCase c = causal(device, 70, degree);
      c.heads = 1;
      const Shape rows{1, c.rows, c.head_size};
      const auto there = [&](const std::vector<double>& values, const Shape& shape) {
        return Tensor::from<double>(shape, values).to(DType::f32).to(device);
      };
      c.bias_batch = c.bias_heads = 1;
      const AttentionValues x = make_values(c);
      const Tensor seed = there(seed_values(c), rows);
      std::vector<Tensor> all(5);
      for (int wanted = 31; wanted > 0; --wanted) {
        AttentionInputs in;
        in.q = there(x.q, rows);
        in.k = there(x.k, rows);
        in.v = there(x.v, rows);
        in.coefficients = there(x.coefficients, {1, degree + 2});
        in.bias = there(x.bias, {1, 1, c.rows, c.rows});
        const std::vector<Tensor*> parts{&in.q, &in.k, &in.v, &in.coefficients, &in.bias};
        for (size_t i = 0; i < parts.size(); ++i) {
          if ((wanted >> i & 1) != 0) require_grad(*parts[i]);
        }
        backward(attention(in, options_of(c)), seed);
        for (size_t i = 0; i < parts.size(); ++i) {
          if ((wanted >> i & 1) == 0) continue;
          const Tensor found = grad_of(*parts[i]).clone();
          if (!all[i]) all[i] = found;
          test::expect_same_bits(found, all[i], fmt::format("gradient {} of those in {}", i, wanted));
        }
        if (wanted != 31) continue;
        backward(attention(in, options_of(c)), seed);
        for (size_t i = 0; i < parts.size(); ++i) {
          auto doubled = all[i].to_vector<double>();
          for (double& e : doubled) e *= 2;
          EXPECT_LT(error_of(grad_of(*parts[i]), Tensor::from(all[i].shape(), doubled)), 1e-5) << i;
        }
      }
    }
  }
}

TEST(DevicesOneSweep, MemoryGrowsWithTheLengthAndNotItsSquare) {
  AttentionOptions options;
  options.causal = true;
  options.form = kOneSweep;
  for (const Device device : other_devices()) expect_no_matrix(device, options);
}

TEST(DevicesOneSweep, IsServedWhereItIsAskedFor) {
  AttentionCase c{.device = DeviceType::cuda, .filtered = true, .head_size = 64, .causal = true, .degree = 2};
  EXPECT_EQ(choose_attention(c, kOneSweep).name, "one_sweep");
  const auto choice = choose_attention(c, AttentionForm::automatic);
  EXPECT_EQ(choice.name, "two_pass");
  EXPECT_NE(choice.text().find("not one_sweep: has not been measured on GPUs; ask for form: one_sweep"),
            std::string::npos);
  c.degree = 3;
  expect_error([&] { choose_attention(c, kOneSweep); }, {"degree up to 2 on a GPU, not 3", "form: two_pass"});
  c.degree = 2;
  c.head_size = 65;
  expect_error([&] { choose_attention(c, kOneSweep); }, {"head sizes up to 64 on a GPU, not 65", "form: two_pass"});
  c.device = DeviceType::cpu;
  c.degree = 5;
  EXPECT_EQ(choose_attention(c, AttentionForm::automatic).name, "one_sweep");
  c.device = DeviceType::cuda;
  c.degree = 2;
  c.head_size = 0;  // not known yet
  c.dropout = 0.1;
  expect_error([&] { choose_attention(c, kOneSweep); }, {"form: one_sweep", "dropout_order: dropout_first"});
  c.dropout_order = DropoutOrder::dropout_first;
  EXPECT_EQ(choose_attention(c, kOneSweep).name, "one_sweep");
  c.causal = false;
  expect_error([&] { choose_attention(c, kOneSweep); }, {"form: one_sweep", "causal", "form: two_pass"});
}

}  // namespace
}  // namespace gfsa::test
