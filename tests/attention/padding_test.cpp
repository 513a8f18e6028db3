// Padding changes nothing real: what stands in padded positions, and that there are any, in forward and gradients.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "attention/attention_case.h"
#include "autograd/autograd.h"
#include "support/op_case.h"

namespace gfsa {
namespace {

constexpr int64_t kHeads = 2, kHeadSize = 8, kWidth = kHeads * kHeadSize;

struct Results {
  Tensor out, dqkv, dcoefficients;  // of the real positions, [B, n, C], [B, n, 3 C]
};

struct Case {
  std::vector<int64_t> lengths;  // real positions of each sample
  int64_t positions;
  AttentionForm form;
  DType dtype;
  bool by_mask;
  bool filtered;
  double fill;  // size of what stands in the padding
  Device device = {};
};

// A number for each (sample, position, column), whatever the padding.
double element(int64_t b, int64_t i, int64_t c, double scale) {
  return scale * std::sin(12.9898 * static_cast<double>(b * 7919 + i * 104729 + c + 1));
}

Results run(const Case& c) {
  const auto batch = static_cast<int64_t>(c.lengths.size()), n = c.positions;
  std::vector<double> qkv, seed;
  std::vector<bool> keep;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t i = 0; i < n; ++i) {
      const bool is_real = i < c.lengths[static_cast<size_t>(b)];
      keep.push_back(is_real);
      for (int64_t k = 0; k < 3 * kWidth; ++k)
        qkv.push_back(is_real ? element(b, i, k, 1) : c.fill * element(b, i, k, 1));
      // No loss reads a padded position.
      for (int64_t k = 0; k < kWidth; ++k) seed.push_back(is_real ? element(b, i, k + 1000, 1) : 0);
    }
  }
  AttentionInputs in;
  in.qkv = Tensor::from<double>({batch, n, 3 * kWidth}, qkv).to(c.dtype).to(c.device);
  require_grad(in.qkv);
  if (c.filtered) {
    in.coefficients = Tensor::from<double>({kHeads, 4}, {0.1, 0.3, 0.8, 0.4, -0.2, 0.1, 1.1, -0.3})
                          .to(accumulator_of(c.dtype))
                          .to(c.device);
    require_grad(in.coefficients);
  }
  if (c.by_mask) {
    in.key_mask = Tensor::empty({batch, n}, DType::boolean);
    for (size_t j = 0; j < keep.size(); ++j) in.key_mask.data<bool>()[j] = keep[j];
    in.key_mask = in.key_mask.to(c.device);
  } else {
    in.key_lengths = Tensor::from<int64_t>({batch}, c.lengths).to(c.device);
  }
  AttentionOptions options;
  options.heads = kHeads;
  options.form = c.form;
  const Tensor out = attention(in, options);
  backward(out, Tensor::from<double>({batch, n, kWidth}, seed).to(c.dtype).to(c.device));
  return {out.to(Device{}), grad_of(in.qkv).to(Device{}),
          c.filtered ? grad_of(in.coefficients).to(Device{}) : Tensor()};
}

void expect_same_real(const Results& a, const Results& b, const std::vector<int64_t>& lengths,
                      const std::string& what) {
  for (size_t s = 0; s < lengths.size(); ++s) {
    const auto real = [&](const Tensor& t) {
      return t.select(0, static_cast<int64_t>(s)).slice(0, 0, lengths[s]).contiguous();
    };
    for (const auto& [x, y] : {std::pair{real(a.out), real(b.out)}, std::pair{real(a.dqkv), real(b.dqkv)}}) {
      EXPECT_EQ(std::memcmp(x.raw(), y.raw(), x.bytes()), 0) << what << ", sample " << s;
    }
  }
  if (a.dcoefficients) {
    EXPECT_EQ(a.dcoefficients.to_vector<double>(), b.dcoefficients.to_vector<double>()) << what;
  }
}

std::vector<Case> cases(const std::vector<int64_t>& lengths, int64_t positions) {
  std::vector<Case> all;
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    for (const auto form : {AttentionForm::explicit_form, AttentionForm::two_pass}) {
      for (const bool by_mask : {false, true}) {
        for (const bool filtered : {false, true})
          all.push_back({lengths, positions, form, dtype, by_mask, filtered, 1});
      }
    }
  }
  return all;
}

std::string text(const Case& c) {
  return fmt::format("{} {}{}{}", name_of(c.dtype), c.form == AttentionForm::two_pass ? "two_pass" : "explicit",
                     c.by_mask ? " by mask" : "", c.filtered ? " filtered" : "");
}

// The same on GPUs, with less of everything.
std::vector<Case> cases_on_devices(const std::vector<int64_t>& lengths, int64_t positions) {
  std::vector<Case> all;
  for (const Device device : test::other_devices()) {
    for (Case c : cases(lengths, positions)) {
      c.device = device;
      if (c.dtype != DType::f64 && (c.filtered || c.dtype == DType::f32)) all.push_back(c);
    }
  }
  return all;
}

// On every processor: where the numbers stand does not depend on what they are.
TEST(Padding, ItsContentChangesNoBitOfWhatIsReal) {
  const std::vector<int64_t> lengths{40, 33, 1, 17};
  for (Case c : cases(lengths, 40)) {
    const Results plain = run(c);
    for (const double fill : {0.0, -100.0, 1e4}) {
      c.fill = fill;
      expect_same_real(run(c), plain, lengths, fmt::format("{} filled with {}", text(c), fill));
    }
  }
}

TEST(Padding, ItsContentChangesNoBitOfWhatIsRealOnDevices) {
  const std::vector<int64_t> lengths{33, 1, 17};
  for (Case c : cases_on_devices(lengths, 35)) {
    const Results plain = run(c);
    c.fill = 1e4;
    expect_same_real(run(c), plain, lengths, text(c));
    for (size_t s = 0; s < lengths.size(); ++s) {
      const Tensor hidden = plain.dqkv.select(0, static_cast<int64_t>(s)).slice(0, lengths[s], 35);
      for (const double d : hidden.to_vector<double>()) ASSERT_EQ(d, 0) << text(c) << ", sample " << s;
    }
  }
}

// A key that is hidden has the gradient zero, not only a small one.
TEST(Padding, GetsNoGradient) {
  const std::vector<int64_t> lengths{40, 33, 1, 17};
  for (const Case& c : cases(lengths, 40)) {
    const auto r = run(c);
    for (size_t s = 0; s < lengths.size(); ++s) {
      const Tensor hidden = r.dqkv.select(0, static_cast<int64_t>(s)).slice(0, lengths[s], 40);
      for (const double d : hidden.to_vector<double>()) ASSERT_EQ(d, 0) << text(c) << ", sample " << s;
    }
  }
}

// More positions than are real, in a batch of its own or among others. oneDNN may choose another kernel for another
// size, which adds in another order: on processors with AVX-512 all of this is equal bit for bit but for the
// coefficients' gradient of a single position; with AVX2 alone it is equal but for rounding. Evaluation, which pads the
// batch and not the sequence, always computes in one size and is exact everywhere.
TEST(Padding, ThatThereIsAnyChangesWhatIsRealByRoundingAtMost) {
  for (const int64_t n : {1, 17, 33}) {
    for (const Case& c : cases({n}, n)) {
      const double bound = c.dtype == DType::f64 ? 1e-14 : c.dtype == DType::f32 ? 2e-6 : 0.02;
      const Results bare = run(c);
      for (const int64_t padded : {n + 1, int64_t{64}}) {
        for (const bool among_others : {false, true}) {
          Case more = c;
          more.positions = padded;
          more.fill = 50;
          if (among_others) more.lengths.push_back(padded);
          const Results r = run(more);
          const std::string what =
              fmt::format("{} {} in {}{}", text(c), n, padded, among_others ? " among others" : "");
          const auto real = [&](const Tensor& t) { return t.slice(0, 0, 1).slice(1, 0, n).contiguous(); };
          EXPECT_LT(test::difference(real(r.out), bare.out), bound) << what;
          EXPECT_LT(test::difference(real(r.dqkv), bare.dqkv), bound) << what;
          if (c.filtered && !among_others) {
            EXPECT_LT(test::difference(r.dcoefficients, bare.dcoefficients), bound) << what;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace gfsa
