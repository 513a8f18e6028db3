// Attention on GPUs, real or emulated, against f64 on the CPU, which forms_test.cpp holds against plain loops and exact
// derivatives.
#include <gtest/gtest.h>

#include "attention/attention_case.h"
#include "autograd/autograd.h"
#include "support/op_case.h"

#ifdef GFSA_HAS_EMULATED
#include "core/cuda/emulated/queue.h"
#endif

namespace gfsa::test {
namespace {

constexpr auto kTwoPass = AttentionForm::two_pass;
constexpr auto kExplicit = AttentionForm::explicit_form;

void expect_near(const AttentionResult& r, const AttentionResult& exact, double tolerance) {
  const struct {
    const char* name;
    const Tensor &found, &expected;
  } parts[] = {{"out", r.out, exact.out},
               {"dq", r.dq, exact.dq},
               {"dk", r.dk, exact.dk},
               {"dv", r.dv, exact.dv},
               {"dcoefficients", r.dcoefficients, exact.dcoefficients},
               {"dbias", r.dbias, exact.dbias}};
  for (const auto& part : parts) {
    ASSERT_EQ(part.found.defined(), part.expected.defined()) << part.name;
    if (!part.found) continue;
    EXPECT_LT(difference(part.found, part.expected), tolerance) << part.name;
  }
}

AttentionResult exact_result(AttentionTestCase c, const AttentionValues& x) {
  c.device = {};
  c.strided = false;
  return run_attention(c, x);
}

double tolerance_of(DType dtype) { return dtype == DType::f32 ? 1e-5 : 0.03; }

void check(AttentionTestCase c, DType dtype) {
  c.rounded = dtype;
  SCOPED_TRACE(fmt::format("{} {}", name_of(dtype), c.text()));
  const AttentionValues x = make_values(c);
  expect_near(run_attention(c, x, dtype), exact_result(c, x), tolerance_of(dtype));
}

// One of all the combinations there are. Large heads come with few rows: the emulated device computes slowly.
AttentionTestCase random_case(uint64_t seed) {
  RandomSequence random(RandomKey(seed, "attention on devices"));
  const auto one_of = [&](const std::vector<int64_t>& values) { return values[random.below(values.size())]; };
  const auto chance = [&](double p) { return random.uniform() < p; };
  AttentionTestCase c{.seed = seed};
  c.head_size = one_of({3, 8, 8, 10, 16, 16, 24, 32, 32, 48, 64, 64, 80, 96, 128, 256});
  c.batch = one_of({1, 2, 3});
  c.heads = c.head_size > 64 ? 1 : one_of({1, 2, 3});
  const int64_t most = c.head_size > 128 ? 18 : c.head_size > 64 ? 35 : c.head_size > 32 ? 50 : 70;
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
  return c;
}

constexpr int kGroups = 12, kCasesOfGroup = 30;

struct GroupOfCases {
  Device device;
  int group;
};
class AttentionOnDevices : public testing::TestWithParam<GroupOfCases> {};
TEST_P(AttentionOnDevices, RandomCombinations) {
  for (int i = 0; i < kCasesOfGroup; ++i) {
    AttentionTestCase c = random_case(static_cast<uint64_t>(GetParam().group * kCasesOfGroup + i));
    c.device = GetParam().device;
    check(c, i % 2 == 0 ? DType::f32 : DType::bf16);
  }
}
std::vector<GroupOfCases> groups() {
  std::vector<GroupOfCases> all;
  for (const Device device : other_devices()) {
    for (int group = 0; group < kGroups; ++group) all.push_back({device, group});
  }
  return all;
}
std::string group_name(const testing::TestParamInfo<GroupOfCases>& info) {
  return fmt::format("{}_{:02}", info.param.device.type == DeviceType::cuda ? "cuda" : "emulated", info.param.group);
}
INSTANTIATE_TEST_SUITE_P(Groups, AttentionOnDevices, testing::ValuesIn(groups()), group_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(AttentionOnDevices);

}  // namespace
}  // namespace gfsa::test
