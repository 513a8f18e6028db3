// What a profile counts of an attention, against the pairs of a loop.
#include "attention/flops.h"

#include <gtest/gtest.h>

#include "attention/attention.h"
#include "autograd/autograd.h"
#include "core/profile.h"
#include "ops/reduce.h"
#include "support/op_case.h"

namespace gfsa {
namespace {

constexpr int64_t kHeads = 2, kSize = 4, kWidth = kHeads * kSize;

struct Counted {
  int64_t forward = 0, backward = 0;
};

Counted counted(AttentionInputs in, const AttentionOptions& options, Device device = {}) {
  for (Tensor* t : {&in.qkv, &in.coefficients, &in.key_lengths, &in.offsets}) {
    if (*t) *t = t->to(device);
  }
  require_grad(in.qkv);
  profile::start(device);
  backward(sum(attention(in, options)));
  Counted all;
  for (const auto& range : profile::stop().ranges) {
    if (std::string(range.name) != "attention") continue;
    (range.kind == profile::Kind::forward ? all.forward : all.backward) += range.flops;
  }
  return all;
}

AttentionInputs inputs(int64_t batch, int64_t n) {
  AttentionInputs in;
  in.qkv = Tensor::full({batch, n, 3 * kWidth}, 0.25, DType::f32);
  return in;
}

void expect_pairs(int64_t pairs, int64_t products, const AttentionInputs& in, AttentionOptions options) {
  options.heads = kHeads;
  for (const AttentionForm form : {AttentionForm::automatic, AttentionForm::explicit_form, AttentionForm::two_pass}) {
    options.form = form;
    for (const Device device :
         test::other_devices().empty() ? std::vector<Device>{{}} : std::vector<Device>{{}, test::other_devices()[0]}) {
      const Counted c = counted(in, options, device);
      EXPECT_EQ(c.forward, 2 * kSize * kHeads * products * pairs) << device.text();
      EXPECT_EQ(c.backward, 2 * c.forward) << device.text();
    }
  }
}

// Scores and A V: 4 N^2 D a head.
TEST(AttentionFlops, Softmax) { expect_pairs(3 * 7 * 7, 2, inputs(3, 7), {}); }

// Scores, A V and A (A V).
TEST(AttentionFlops, Gfsa) {
  AttentionInputs in = inputs(3, 7);
  in.coefficients = Tensor::full({kHeads, 4}, 0.5, DType::f32);
  expect_pairs(3 * 7 * 7, 3, in, {});
}

TEST(AttentionFlops, CausalSeesATriangle) {
  AttentionOptions options;
  options.causal = true;
  expect_pairs(3 * (1 + 2 + 3 + 4 + 5), 2, inputs(3, 5), options);
}

TEST(AttentionFlops, PaddingIsNotSeen) {
  AttentionInputs in = inputs(3, 7);
  in.key_lengths = Tensor::from<int64_t>({3}, {7, 2, 0});
  AttentionOptions options;
  expect_pairs(7 * (7 + 2), 2, in, options);
  // In the second, rows 0 and 1 see 1 and 2 keys, the others 2.
  options.causal = true;
  expect_pairs(7 * 8 / 2 + 1 + 2 + 5 * 2, 2, in, options);
}

TEST(AttentionFlops, PackedSequencesSeeThemselves) {
  AttentionInputs in = inputs(1, 7);
  in.offsets = Tensor::from<int64_t>({4}, {0, 5, 5, 7});
  AttentionOptions options;
  options.longest = 5;
  expect_pairs(25 + 4, 2, in, options);
}

TEST(AttentionFlops, PassesThatChangeNothingAreNotMade) {
  AttentionInputs in = inputs(1, 6);
  in.coefficients = Tensor::from<float>({kHeads, 4}, {0, 0, 1, 0.5f, 0, 0, 1, 0});
  AttentionOptions options;
  options.heads = kHeads;
  EXPECT_EQ(counted(in, options).forward, 2 * kSize * (3 + 2) * 36);
}

}  // namespace
}  // namespace gfsa
