#include "attention/device_case.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/autograd.h"
#include "core/arena.h"
#include "support/op_case.h"
#include "support/sanitized.h"

namespace gfsa::test {

double error_of(const Tensor& found, const Tensor& expected) {
  const auto a = found.to_vector<double>(), b = expected.to_vector<double>();
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double largest = 1, error = 0;
  for (size_t e = 0; e < a.size(); ++e) {
    if (!std::isfinite(a[e])) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, std::abs(b[e]));
    error = std::max(error, std::abs(a[e] - b[e]));
  }
  return error / largest;
}

AttentionResult exact_result(AttentionTestCase c, const AttentionValues& x) {
  c.device = {};
  c.strided = false;
  return run_attention(c, x);
}

void check_on_device(AttentionTestCase c, DType dtype, double tolerance) {
  c.rounded = dtype;
  SCOPED_TRACE(fmt::format("{} {}", name_of(dtype), c.text()));
  const AttentionValues x = make_values(c);
  expect_near(run_attention(c, x, dtype), exact_result(c, x), tolerance, error_of);
}

void cut_into_sequences(AttentionTestCase& c, RandomSequence& random) {
  c.batch = 1;
  int64_t left = c.rows;
  for (int s = 0; s < 4 && left > 0; ++s) {
    c.sequences.push_back(static_cast<int64_t>(random.below(static_cast<uint64_t>(left) + 1)));
    left -= c.sequences.back();
  }
  c.sequences.push_back(left);
  const int64_t most = *std::max_element(c.sequences.begin(), c.sequences.end());
  c.longest = random.uniform() < 0.5 ? 0 : most + static_cast<int64_t>(random.below(3));
}

std::vector<GroupOfCases> groups_of_cases(int groups, int cases_of_group) {
  std::vector<GroupOfCases> all;
  for (const Device device : other_devices()) {
    for (int group = 0; group < groups; ++group) all.push_back({device, group, cases_of_group});
  }
  return all;
}

std::string name_of_group(const testing::TestParamInfo<GroupOfCases>& info) {
  return fmt::format("{}_{:02}", info.param.device.type == DeviceType::cuda ? "cuda" : "emulated", info.param.group);
}

void check_group(const GroupOfCases& group, AttentionTestCase (*random_case)(uint64_t seed),
                 const std::vector<DType>& dtypes) {
  // Coroutines under a sanitizer take their time: every fifth there.
  for (int i = 0; i < group.cases; i += kSanitizer == nullptr ? 1 : 5) {
    AttentionTestCase c = random_case(static_cast<uint64_t>(group.group * group.cases + i));
    c.device = group.device;
    const DType dtype = dtypes[static_cast<size_t>(i) % dtypes.size()];
    check_on_device(c, dtype, loose_tolerance_of(dtype));
  }
}

void expect_no_matrix(Device device, const AttentionOptions& options) {
  const int64_t n = 520, size = 8;
  AttentionInputs in;
  in.qkv = Tensor::full({1, n, 3 * size}, 0.1, DType::f32, device);
  in.coefficients = Tensor::from<float>({1, 4}, {0, 0.1f, 0.7f, 0.3f}).to(device);
  require_grad(in.qkv);
  require_grad(in.coefficients);
  Arena& memory = arena(device);
  const uint64_t before = memory.figures().current;
  memory.reset_peak();
  const Tensor y = attention(in, options);
  backward(y, Tensor::full(y.shape(), 1, DType::f32, device));
  const uint64_t matrix = static_cast<uint64_t>(n * n) * sizeof(float);
  EXPECT_LT(memory.figures().peak - before, matrix / 4);
  EXPECT_LT(difference(y, std::vector<double>(static_cast<size_t>(n * size), 0.1 * 1.1)), 1e-5);
}

void expect_same_bits(const AttentionResult& a, const AttentionResult& b) {
  const std::pair<const Tensor&, const Tensor&> pairs[] = {
      {a.out, b.out}, {a.dq, b.dq}, {a.dk, b.dk}, {a.dv, b.dv}, {a.dcoefficients, b.dcoefficients}, {a.dbias, b.dbias}};
  for (const auto& [x, y] : pairs) {
    if (x) expect_same_bits(x, y, "result or gradient");
  }
}

AttentionTestCase everything(Device device) {
  return {.rows = 37,
          .keys = 37,
          .head_size = 16,
          .degree = 2,
          .uniform = true,
          .causal = true,
          .holes = true,
          .lengths = true,
          .bias_batch = 1,
          .bias_heads = 2,
          .dropout = 0.2,
          .device = device};
}

}  // namespace gfsa::test
