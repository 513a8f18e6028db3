// The two-pass form's passes for compute capability 9.0 (wgmma, TMA, warps with roles of their own), on the emulated
// device and on GPUs that have them, against f64 on the CPU. What is not of their kind: devices_test.cpp.
#include <gtest/gtest.h>

#include <limits>

#include "attention/device_case.h"
#include "support/op_case.h"

namespace gfsa::test {
namespace {

AttentionTestCase plain(Device device, int64_t rows, int64_t head_size, int64_t degree) {
  return {.batch = 1,
          .heads = 1,
          .rows = rows,
          .keys = rows,
          .head_size = head_size,
          .degree = degree,
          .form = AttentionForm::two_pass,
          .device = device};
}

// Head sizes whose rows are multiples of 16 bytes, beyond 32; lengths around the tiles' 64 and the blocks' 128 rows.
AttentionTestCase random_case(uint64_t seed) {
  RandomSequence random(RandomKey(seed, "warpgroups"));
  const auto one_of = [&](const std::vector<int64_t>& values) { return values[random.below(values.size())]; };
  const auto chance = [&](double p) { return random.uniform() < p; };
  const auto length = [&] {
    if (chance(0.3)) return one_of({1, 63, 64, 65, 128, 129, 192});
    return 1 + static_cast<int64_t>(random.below(chance(0.2) ? 420 : 200));  // beyond 256 the ring of stages goes round
  };
  AttentionTestCase c = plain({}, length(), one_of({40, 48, 56, 64, 64, 64, 72, 80, 96, 128, 128}),
                              chance(0.3) ? -1 : one_of({1, 2, 2, 2, 3, 4}));
  c.seed = seed;
  c.batch = one_of({1, 1, 2});
  c.heads = one_of({1, 1, 2});
  c.uniform = chance(0.3);
  c.causal = chance(0.4);
  c.packed = chance(0.6);
  if (c.degree < 0 && !c.causal && chance(0.6)) {
    c.packed = false;
    c.keys = length();
  }
  c.holes = chance(0.3);
  c.lengths = chance(0.4);
  if (chance(0.3)) {
    c.bias_batch = chance(0.5) ? 1 : c.batch;
    c.bias_heads = chance(0.5) ? 1 : c.heads;
  }
  if (chance(0.3)) c.dropout = chance(0.5) ? 0.1 : 0.4;
  if (c.causal && c.head_size <= 64 && c.degree <= 2 && chance(0.5)) {
    c.form = AttentionForm::one_sweep;  // whose super-blocks these passes serve, too
    c.block_rows = one_of({0, 32, 64, 128});
  }
  if (c.rows == c.keys && !c.holes && !c.lengths && c.bias_batch == 0 && chance(0.6)) cut_into_sequences(c, random);
  return c;
}

class WarpgroupsOnDevices : public testing::TestWithParam<GroupOfCases> {};
TEST_P(WarpgroupsOnDevices, RandomCombinations) {
  const EmulatorArchitecture architecture(90);
  check_group(GetParam(), random_case, {DType::bf16});
}
INSTANTIATE_TEST_SUITE_P(Groups, WarpgroupsOnDevices, testing::ValuesIn(groups_of_cases(10, 12)), name_of_group);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(WarpgroupsOnDevices);

TEST(DevicesWarpgroups, ManyRows) {
  const EmulatorArchitecture architecture(90);
  for (const Device device : other_devices()) {
    AttentionTestCase c = plain(device, 700, 64, 2);
    check_on_device(c, DType::bf16);
    c.causal = c.uniform = true;
    check_on_device(c, DType::bf16);
    check_on_device(plain(device, 400, 128, 3), DType::bf16);
  }
}

// What a super-block of the one-sweep form still lacks is a pass of these over a span that ends within a block.
TEST(DevicesWarpgroups, SuperBlocksOfOneSweep) {
  const EmulatorArchitecture architecture(90);
  for (const Device device : other_devices()) {
    for (const int64_t block_rows : {32, 64, 128}) {
      AttentionTestCase c = plain(device, 200, 64, 2);
      c.form = AttentionForm::one_sweep;
      c.causal = c.uniform = true;
      c.block_rows = block_rows;
      check_on_device(c, DType::bf16);
    }
  }
}

// Hidden keys and neighbours of a packed sequence lie in the same tiles; not even NaN gets through.
TEST(DevicesWarpgroups, RowsOfOthersMayHoldAnything) {
  const EmulatorArchitecture architecture(90);
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  for (const Device device : other_devices()) {
    AttentionTestCase c = plain(device, 100, 64, -1);
    c.packed = false;
    c.lengths = true;
    AttentionValues x = make_values(c);
    x.lengths = {70};
    const AttentionResult clean = run_attention(c, x, DType::bf16);
    for (size_t i = 70 * 64; i < x.k.size(); ++i) x.k[i] = x.v[i] = kNan;
    AttentionResult r = run_attention(c, x, DType::bf16);
    expect_same_bits(r.out, clean.out, "out");
    expect_same_bits(r.dq, clean.dq, "dq");
    expect_same_bits(r.dk.slice(1, 0, 70), clean.dk.slice(1, 0, 70), "dk");
    expect_same_bits(r.dv, clean.dv, "dv");

    c = plain(device, 150, 128, 2);
    c.sequences = {70, 80};
    x = make_values(c);
    const AttentionResult both = run_attention(c, x, DType::bf16);
    for (size_t i = 70 * 128; i < x.k.size(); ++i) x.q[i] = x.k[i] = x.v[i] = kNan;
    r = run_attention(c, x, DType::bf16);
    for (const auto& [a, b] : {std::pair{r.out, both.out}, {r.dq, both.dq}, {r.dk, both.dk}, {r.dv, both.dv}}) {
      expect_same_bits(a.slice(1, 0, 70), b.slice(1, 0, 70), "the first sequence");
    }
  }
}

// Heads whose wK is 0 take the softmax's very steps.
TEST(DevicesWarpgroups, GfsaStartsAsTheSoftmaxBitForBit) {
  const EmulatorArchitecture architecture(90);
  for (const Device device : other_devices()) {
    AttentionTestCase c = plain(device, 130, 64, -1);
    c.lengths = true;
    const AttentionValues x = make_values(c);
    const AttentionResult base = run_attention(c, x, DType::bf16);
    c.degree = 1;
    AttentionValues filtered = x;
    filtered.coefficients = {0, 0, 1};
    AttentionResult r = run_attention(c, filtered, DType::bf16);
    r.dcoefficients = {};
    expect_same_bits(r, base);
  }
}

// Terms of the gradient beyond what shared memory holds go to the passes of every GPU.
TEST(DevicesWarpgroups, HighDegrees) {
  const EmulatorArchitecture architecture(90);
  for (const Device device : other_devices()) {
    check_on_device(plain(device, 70, 128, 6), DType::bf16);
    check_on_device(plain(device, 70, 64, 7), DType::bf16);
  }
}

TEST(DevicesWarpgroups, RowsThatTmaCannotTake) {
  const EmulatorArchitecture architecture(90);
  for (const Device device : other_devices()) {
    AttentionTestCase c = plain(device, 70, 44, 2);
    check_on_device(c, DType::bf16);
    c.head_size = 64;
    c.strided = true;
    check_on_device(c, DType::bf16);
  }
}

#ifdef GFSA_HAS_EMULATED
constexpr Device kEmulated{DeviceType::emulated, 0};

// Tiles of 64 rows make other sums than tiles of 32, so other bits show that these passes serve where they should.
TEST(DevicesWarpgroups, ServeHeadsOf33To128) {
  const auto differs = [](const AttentionTestCase& c) {
    const AttentionValues x = make_values(c);
    std::vector<std::vector<double>> out;
    for (const int architecture : {80, 90}) {
      const EmulatorArchitecture of(architecture);
      const AttentionResult r = run_attention(c, x, DType::bf16);
      out.push_back(r.out.to_vector<double>());
      out.push_back(r.dq.to_vector<double>());
      out.push_back(r.dk.to_vector<double>());
    }
    return std::array<bool, 3>{out[0] != out[3], out[1] != out[4], out[2] != out[5]};
  };
  constexpr std::array<bool, 3> kServed{true, true, true}, kLeft{false, false, false};
  EXPECT_EQ(differs(plain(kEmulated, 100, 64, 2)), kServed);
  EXPECT_EQ(differs(plain(kEmulated, 100, 128, -1)), kServed);
  EXPECT_EQ(differs(plain(kEmulated, 100, 40, 2)), kServed);
  EXPECT_EQ(differs(plain(kEmulated, 100, 32, 2)), kLeft);
  EXPECT_EQ(differs(plain(kEmulated, 70, 136, -1)), kLeft);
  EXPECT_EQ(differs(plain(kEmulated, 100, 44, 2)), kLeft);
}

TEST(DevicesWarpgroups, TwentySchedulesGiveTheSameBits) {
  const EmulatorArchitecture architecture(90);
  AttentionTestCase c = plain(kEmulated, 330, 64, 2);
  c.uniform = c.causal = c.lengths = c.holes = true;
  c.dropout = 0.1;
  const AttentionValues x = make_values(c);
  AttentionResult first;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const EmulatorSeed schedule(seed);
    const AttentionResult r = run_attention(c, x, DType::bf16);
    expect_same_bits(r, seed == 1 ? r : first);
    if (seed == 1) first = r;
  }
}
#endif

}  // namespace
}  // namespace gfsa::test
