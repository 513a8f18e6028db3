// Attention on GPUs, real or emulated, against f64 on the CPU, which forms_test.cpp holds against plain loops and exact
// derivatives.
#include <gtest/gtest.h>

#include "attention/device_case.h"
#include "autograd/autograd.h"
#include "core/step_table.h"
#include "support/op_case.h"

namespace gfsa::test {
namespace {

constexpr auto kTwoPass = AttentionForm::two_pass;
constexpr auto kExplicit = AttentionForm::explicit_form;
constexpr auto kOneSweep = AttentionForm::one_sweep;  // causal: devices_one_sweep_test.cpp has its own cases

// One of all the combinations there are. Large heads come with few rows: the emulated device computes slowly.
AttentionTestCase random_case(uint64_t seed) {
  RandomSequence random(RandomKey(seed, "attention on devices"));
  const auto one_of = [&](const std::vector<int64_t>& values) { return values[random.below(values.size())]; };
  const auto chance = [&](double p) { return random.uniform() < p; };
  AttentionTestCase c{.seed = seed};
  c.head_size = one_of({3, 8, 8, 10, 16, 16, 24, 32, 32, 48, 64, 64, 80, 96, 128, 256});
  c.batch = one_of({1, 2, 3});
  c.heads = c.head_size > 64 ? 1 : one_of({1, 2, 3});
  const int64_t most = c.head_size > 128 ? 24 : c.head_size > 64 ? 40 : c.head_size > 32 ? 66 : 100;
  c.rows = c.keys = 1 + static_cast<int64_t>(random.below(static_cast<uint64_t>(most)));
  c.degree = chance(0.35) ? -1 : one_of({1, 2, 2, 3, 4});
  c.uniform = chance(0.3);
  c.causal = chance(0.4);
  c.packed = chance(0.6);
  if (c.degree < 0 && !c.causal && chance(0.6)) {
    c.packed = false;
    c.keys = 1 + static_cast<int64_t>(random.below(static_cast<uint64_t>(most)));
  }
  c.holes = chance(0.3);
  c.lengths = chance(0.3);
  if (chance(0.35)) {
    c.bias_batch = chance(0.5) ? 1 : c.batch;
    c.bias_heads = chance(0.5) ? 1 : c.heads;
  }
  if (chance(0.35)) {
    c.dropout = chance(0.5) ? 0.1 : 0.4;
    c.order = chance(0.3) ? DropoutOrder::filter_first : DropoutOrder::dropout_first;
  }
  c.strided = chance(0.3);
  if (chance(0.25)) c.form = kExplicit;
  if (c.rows == c.keys && !c.holes && !c.lengths && c.bias_batch == 0 && chance(0.6)) cut_into_sequences(c, random);
  return c;
}

class AttentionOnDevices : public testing::TestWithParam<GroupOfCases> {};
TEST_P(AttentionOnDevices, RandomCombinations) { check_group(GetParam(), random_case); }
INSTANTIATE_TEST_SUITE_P(Groups, AttentionOnDevices, testing::ValuesIn(groups_of_cases(14, 30)), name_of_group);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(AttentionOnDevices);

TEST(AttentionDevices, FormsAgreeAndSoDoesTheCpu) {
  for (const Device device : other_devices()) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      AttentionTestCase c = everything(device);
      c.rounded = dtype;
      const AttentionValues x = make_values(c);
      c.form = kExplicit;
      const AttentionResult r = run_attention(c, x, dtype);
      for (const auto form : {kTwoPass, kOneSweep}) {
        c.form = form;
        expect_near(run_attention(c, x, dtype), r, tolerance_of(dtype), error_of);
      }
      c.device = {};
      expect_near(run_attention(c, x, dtype), r, tolerance_of(dtype), error_of);
    }
  }
}

TEST(AttentionDevices, ASecondRunHasTheSameBits) {
  for (const Device device : other_devices()) {
    for (const auto form : {kTwoPass, kExplicit, kOneSweep}) {
      AttentionTestCase c = everything(device);
      c.form = form;
      c.block_rows = 32;
      const AttentionValues x = make_values(c);
      expect_same_bits(run_attention(c, x, DType::f32), run_attention(c, x, DType::f32));
    }
    AttentionTestCase c = everything(device);
    const AttentionValues x = make_values(c);
    const AttentionResult r = run_attention(c, x, DType::bf16);
    // Without a tape nothing is kept, and the result is the same.
    test::expect_same_bits(run_attention(c, x, DType::bf16, false).out, r.out, "out without gradients");
  }
}

// Heads that share a bias are cut into groups; many of them, and a slice for each.
TEST(AttentionDevices, BiasGradients) {
  for (const Device device : other_devices()) {
    for (const auto form : {kTwoPass, kExplicit}) {
      for (const auto& [batch, heads] : {std::pair{1, 1}, {45, 1}, {1, 2}, {45, 2}}) {
        check_on_device({.batch = 45,
                         .heads = 2,
                         .rows = 3,
                         .keys = 3,
                         .head_size = 2,
                         .degree = 2,
                         .bias_batch = batch,
                         .bias_heads = heads,
                         .form = form,
                         .device = device},
                        DType::f32);
      }
    }
  }
}

// Tiles of a head this large do not fit into shared memory all together.
TEST(AttentionDevices, HighDegreesOfLargeHeads) {
  for (const Device device : other_devices()) {
    check_on_device({.batch = 1, .heads = 1, .rows = 20, .keys = 20, .head_size = 256, .degree = 7, .device = device},
                    DType::f32);
    check_on_device({.batch = 1, .heads = 1, .rows = 35, .keys = 35, .head_size = 130, .degree = 5, .device = device},
                    DType::bf16);
  }
}

TEST(AttentionDevices, AHeadOfDeit) {
  for (const Device device : other_devices()) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      check_on_device(
          {.batch = 1, .heads = 1, .rows = 197, .keys = 197, .head_size = 64, .degree = 2, .device = device}, dtype);
    }
  }
}

TEST(AttentionDevices, CoefficientsOfZeroAndOne) {
  for (const Device device : other_devices()) {
    for (const auto form : {kTwoPass, kExplicit}) {
      AttentionTestCase c{.degree = 2, .uniform = true, .form = form};
      for (int64_t j = 0; j < c.degree + 2; ++j) {
        for (const double value : {0.0, 1.0}) {
          c.device = device;
          AttentionValues x = make_values(c);
          for (int64_t h = 0; h < c.heads; ++h) x.coefficients[static_cast<size_t>(h * (c.degree + 2) + j)] = value;
          SCOPED_TRACE(fmt::format("coefficient {} is {}", j, value));
          expect_near(run_attention(c, x, DType::f32), exact_result(c, x), 1e-5, error_of);
        }
      }
    }
  }
}

TEST(AttentionDevices, GradientsAddUpWhereOneTensorIsUsedTwice) {
  for (const Device device : other_devices()) {
    for (const auto form : {kTwoPass, kExplicit}) {
      for (const int64_t bias_batch : {1, 2}) {
        const AttentionTestCase c{
            .rows = 6, .keys = 6, .degree = 2, .bias_batch = bias_batch, .bias_heads = 2, .rounded = DType::f32};
        const AttentionValues x = make_values(c);
        const AttentionResult once = exact_result(c, x);
        const int64_t width = c.heads * c.head_size;
        const auto there = [&](const std::vector<double>& values, const Shape& shape) {
          return Tensor::from<double>(shape, values).to(DType::f32).to(device);
        };
        AttentionInputs in;
        in.q = there(x.q, {c.batch, c.rows, width});
        in.k = there(x.k, {c.batch, c.rows, width});
        in.v = there(x.v, {c.batch, c.rows, width});
        in.coefficients = there(x.coefficients, {c.heads, 4});
        in.bias = there(x.bias, {bias_batch, 2, c.rows, c.rows});
        for (Tensor* t : {&in.q, &in.k, &in.v, &in.coefficients, &in.bias}) require_grad(*t);
        AttentionOptions o = options_of(c);
        o.form = form;
        const Tensor seed = there(seed_values(c), {c.batch, c.rows, width});
        backward(attention(in, o), seed);
        backward(attention(in, o), seed);
        const std::pair<const Tensor&, const Tensor&> pairs[] = {{in.q, once.dq},
                                                                 {in.k, once.dk},
                                                                 {in.v, once.dv},
                                                                 {in.coefficients, once.dcoefficients},
                                                                 {in.bias, once.dbias}};
        for (const auto& [leaf, gradient] : pairs) {
          auto doubled = gradient.to_vector<double>();
          for (double& e : doubled) e *= 2;
          EXPECT_LT(error_of(grad_of(leaf), Tensor::from(gradient.shape(), doubled)), 1e-5);
        }
      }
    }
  }
}

// What the host cannot check there is cut off.
TEST(AttentionDevices, LengthsOfAnyTypeAndSize) {
  for (const Device device : other_devices()) {
    AttentionInputs in;
    in.qkv = random_tensor({3, 5, 24}, DType::f32, 1).to(device);
    AttentionOptions o;
    o.heads = 2;
    in.key_lengths = Tensor::from<int32_t>({3}, {-2, 3, 9}).to(device);
    const Tensor odd = attention(in, o);
    in.key_lengths = Tensor::from<int64_t>({3}, {0, 3, 5}).to(device);
    test::expect_same_bits(odd, attention(in, o), "lengths");
    for (const double x : odd.select(0, 0).to_vector<double>()) EXPECT_EQ(x, 0);
    in.key_lengths = Tensor::from<int64_t>({3}, {0, 3, 5});
    expect_error([&] { attention(in, o); }, {"key_lengths", "cpu"});
  }
}

TEST(AttentionDevices, NoKeysAndNoRows) {
  for (const Device device : other_devices()) {
    for (const auto form : {kTwoPass, kExplicit, kOneSweep}) {
      for (const auto& [rows, keys] : {std::pair<int64_t, int64_t>{3, 0}, {0, 3}, {0, 0}}) {
        if (form == kOneSweep && rows != keys) continue;
        AttentionInputs in;
        in.q = random_tensor({2, rows, 8}, DType::f32, 1).to(device);
        in.k = random_tensor({2, keys, 8}, DType::f32, 2).to(device);
        in.v = random_tensor({2, keys, 8}, DType::f32, 3).to(device);
        for (Tensor* t : {&in.q, &in.k, &in.v}) require_grad(*t);
        AttentionOptions o;
        o.form = form;
        o.causal = form == kOneSweep;
        const Tensor y = attention(in, o);
        backward(y, Tensor::full(y.shape(), 1, DType::f32, device));
        for (const Tensor& t : {y, grad_of(in.q), grad_of(in.k), grad_of(in.v)}) {
          for (const double x : t.to_vector<double>()) EXPECT_EQ(x, 0);
        }
      }
    }
  }
}

TEST(AttentionDevices, ErrorsNameTheWayOut) {
  for (const Device device : other_devices()) {
    AttentionInputs in;
    in.qkv = random_tensor({1, 4, 3 * 264}, DType::f32, 1).to(device);
    AttentionOptions o;
    o.form = kTwoPass;
    expect_error([&] { attention(in, o); }, {"two_pass", "head sizes up to 256", "264", "form: explicit"});
    o.form = AttentionForm::automatic;
    EXPECT_NO_THROW(attention(in, o));
    in.qkv = random_tensor({1, 4, 24}, DType::f64, 1).to(device);
    expect_error([&] { attention(in, o); }, {"f64", "device: cpu"});
  }
}

TEST(AttentionDevices, NothingOfTheSizeOfTheMatrixIsKeptOrMade) {
  AttentionOptions options;
  options.form = kTwoPass;
  for (const Device device : other_devices()) expect_no_matrix(device, options);
}

// Step and first sample of dropout from the device's memory, as graphs need them.
TEST(AttentionDevices, DropoutIsTheSameFromATable) {
  for (const Device device : other_devices()) {
    StepTable table(device, 2 * sizeof(uint32_t));
    const std::array<uint32_t, 2> now{11, 4};
    table.set(now.data());
    for (const auto form : {kTwoPass, kExplicit, kOneSweep}) {
      std::vector<std::vector<Tensor>> results;
      for (const bool from_table : {false, true}) {
        AttentionInputs in;
        in.qkv = random_tensor({2, 19, 24}, DType::f32, 1).to(device);
        in.coefficients = random_tensor({2, 4}, DType::f32, 2).to(device);
        for (Tensor* t : {&in.qkv, &in.coefficients}) require_grad(*t);
        AttentionOptions o;
        o.heads = 2;
        o.form = form;
        o.causal = form == kOneSweep;
        o.dropout = 0.3;
        o.dropout_order = DropoutOrder::dropout_first;
        o.dropout_key = RandomKey(5, "attention", from_table ? 999 : 11);
        o.dropout_key.on_device = from_table ? static_cast<const uint32_t*>(table.data()) : nullptr;
        o.sample0 = from_table ? 3 : 7;
        const Tensor out = attention(in, o);
        backward(out, random_tensor({2, 19, 8}, DType::f32, 4).to(device));
        results.push_back({out, grad_of(in.qkv), grad_of(in.coefficients)});
      }
      for (size_t k = 0; k < results[0].size(); ++k) {
        test::expect_same_bits(results[1][k], results[0][k], fmt::format("part {}", k));
      }
    }
  }
}

#ifdef GFSA_HAS_EMULATED
TEST(AttentionDevices, TwentySchedulesGiveTheSameBits) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const auto form : {kTwoPass, kExplicit, kOneSweep}) {
      AttentionTestCase c = everything({DeviceType::emulated, 0});
      c.batch = 1;
      c.rows = c.keys = 35;
      c.head_size = 8;
      c.form = form;
      c.block_rows = 32;
      const AttentionValues x = make_values(c);
      AttentionResult first;
      for (uint64_t seed = 1; seed <= 20; ++seed) {
        const EmulatorSeed schedule(seed);
        const AttentionResult r = run_attention(c, x, dtype);
        expect_same_bits(r, seed == 1 ? r : first);
        if (seed == 1) first = r;
      }
    }
  }
}

// A step can be captured: the host waits for nothing and reads nothing.
TEST(AttentionDevices, TheHostNeverWaits) {
  constexpr int64_t kRows = 35;
  DeviceRuntime& runtime = emulated::runtime();
  const Device device{DeviceType::emulated, 0};
  for (const auto form : {kTwoPass, kExplicit, kOneSweep}) {
    AttentionInputs in;
    in.qkv = random_tensor({2, kRows, 24}, DType::f32, 1).to(device);
    in.coefficients = random_tensor({2, 4}, DType::f32, 2).to(device);
    in.key_lengths = Tensor::from<int64_t>({2}, {kRows, 5}).to(device);
    in.bias = random_tensor({1, 2, kRows, kRows}, DType::f32, 3).to(device);
    for (Tensor* t : {&in.qkv, &in.coefficients, &in.bias}) require_grad(*t);
    const Tensor seed = random_tensor({2, kRows, 8}, DType::f32, 4).to(device);
    AttentionOptions o;
    o.heads = 2;
    o.form = form;
    o.causal = form == kOneSweep;
    o.block_rows = 32;
    runtime.begin_capture(runtime.current_stream());
    const Tensor out = attention(in, o);
    backward(out, seed);
    const Graph graph = runtime.end_capture(runtime.current_stream());
    const std::vector<Tensor> captured{out, grad_of(in.qkv), grad_of(in.coefficients), grad_of(in.bias)};
    runtime.launch(graph, runtime.current_stream());
    for (Tensor* t : {&in.qkv, &in.coefficients, &in.bias}) clear_grad(*t);
    const Tensor again = attention(in, o);
    backward(again, seed);
    const std::vector<Tensor> direct{again, grad_of(in.qkv), grad_of(in.coefficients), grad_of(in.bias)};
    for (size_t k = 0; k < direct.size(); ++k)
      test::expect_same_bits(captured[k], direct[k], fmt::format("part {}", k));
    runtime.destroy(graph);
  }
}
#endif

}  // namespace
}  // namespace gfsa::test
