// The forms made of tiles against the explicit one, in combinations drawn at random: lengths of up to four tiles, sizes
// of heads, degrees, masks, biases, dropout, packed sequences, blocks of rows, more queries than keys and fewer.
#include <gtest/gtest.h>

#include "attention/attention_case.h"
#include "core/philox.h"
#include "support/sanitized.h"

namespace gfsa::test {
namespace {

// Under sanitizers each takes ten times as long.
constexpr uint64_t kCases = kSanitizer != nullptr ? 40 : 250;

AttentionTestCase random_case(AttentionForm form, uint64_t seed) {
  RandomSequence random(RandomKey(seed, "random forms"));
  const auto chance = [&](double p) { return random.uniform() < p; };
  const auto one_of = [&](const std::vector<int64_t>& values) { return values[random.below(values.size())]; };
  AttentionTestCase c;
  c.form = form;
  c.causal = form == AttentionForm::one_sweep || chance(0.3);
  c.rows = c.keys = 1 + static_cast<int64_t>(random.below(chance(0.2) ? 330 : 150));
  c.degree = one_of({-1, 1, 2, 2, 3, 6});
  c.seed = seed;
  c.batch = one_of({1, 2});
  c.heads = one_of({1, 2, 3});
  c.head_size = one_of({1, 3, 8, 16, 33, 64, 80, 96});
  c.uniform = c.degree > 0 && chance(0.3);
  c.packed = chance(0.5);
  c.strided = chance(0.3);
  c.holes = chance(0.3);
  c.lengths = chance(0.3);
  c.dropout = chance(0.4) ? 0.2 : 0;
  if (form == AttentionForm::two_pass) c.block_rows = one_of({0, 0, 12, 24, 60});
  if (chance(0.4)) c.bias_batch = one_of({1, c.batch}), c.bias_heads = one_of({1, c.heads});
  if (!c.holes && !c.lengths && c.bias_batch == 0 && chance(0.5)) {
    c.batch = 1;
    for (int64_t left = c.rows; left > 0; left -= c.sequences.back()) {
      c.sequences.push_back(static_cast<int64_t>(random.below(static_cast<uint64_t>(left) + 1)));
    }
  } else if (!c.causal && c.degree < 0 && chance(0.5)) {
    c.packed = false;
    c.keys = 1 + static_cast<int64_t>(random.below(150));
  }
  return c;
}

class RandomForms : public testing::TestWithParam<AttentionForm> {};

TEST_P(RandomForms, AgreeWithTheExplicitForm) {
  // Gradients that nearly cancel, as of rows with two keys, lose a digit.
  for (uint64_t seed = 0; seed < kCases; ++seed) expect_as_explicit(random_case(GetParam(), seed), DType::f64, 1e-11);
}

TEST_P(RandomForms, SinglePrecisionAndHalfStayNearDouble) {
  for (uint64_t seed = 1000; seed < 1025; ++seed) {
    expect_as_explicit(random_case(GetParam(), seed), DType::f32, 1e-5);
    expect_as_explicit(random_case(GetParam(), seed), DType::bf16, 0.05);
  }
}

TEST_P(RandomForms, EveryInstructionSetAgrees) {
  on_every_isa([] {
    for (uint64_t seed = 2000; seed < 2010; ++seed) {
      expect_as_explicit(random_case(GetParam(), seed));
      expect_as_explicit(random_case(GetParam(), seed), DType::f32, 1e-5);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(OnTheCpu, RandomForms, testing::Values(AttentionForm::one_sweep, AttentionForm::two_pass),
                         [](const auto& form) {
                           return form.param == AttentionForm::one_sweep ? "OneSweep" : "TwoPass";
                         });

}  // namespace
}  // namespace gfsa::test
