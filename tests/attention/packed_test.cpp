// Packed sequences: each attends to itself as if it were a sample of a padded batch.
#include <gtest/gtest.h>

#include <numeric>

#include "attention/attention_case.h"
#include "autograd/autograd.h"
#include "base/threads.h"
#include "support/op_case.h"

namespace gfsa::test {
namespace {

constexpr auto kTwoPass = AttentionForm::two_pass;
constexpr auto kExplicit = AttentionForm::explicit_form;

AttentionTestCase packed(const std::vector<int64_t>& lengths) {
  const int64_t n = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  return {.batch = 1, .rows = n, .keys = n, .sequences = lengths};
}

TEST(PackedAttention, EqualsPlainLoopsWithExactDerivatives) {
  for (const auto& lengths : std::vector<std::vector<int64_t>>{{4, 0, 1, 5}, {0, 3, 7, 0}, {6}}) {
    for (const int64_t degree : {-1, 1, 2, 3}) {
      for (const bool causal : {false, true}) {
        for (const auto form : {kTwoPass, kExplicit}) {
          for (const double dropout : {0.0, 0.3}) {
            AttentionTestCase c = packed(lengths);
            c.head_size = 3;
            c.degree = degree;
            c.uniform = degree > 0;
            c.causal = causal;
            c.form = form;
            c.dropout = dropout;
            c.packed = degree != 2;
            expect_exact(c);
            if (form == kTwoPass || dropout == 0) continue;
            c.order = DropoutOrder::filter_first;
            expect_exact(c);
          }
        }
      }
    }
  }
}

// [1, N, C] as [S, longest, C], zeros where there is nothing; and back.
Tensor spread(const Tensor& x, const std::vector<int64_t>& lengths) {
  const int64_t longest = *std::max_element(lengths.begin(), lengths.end());
  const Tensor y = Tensor::zeros({static_cast<int64_t>(lengths.size()), longest, x.dim(2)}, x.dtype());
  int64_t first = 0;
  for (size_t s = 0; s < lengths.size(); ++s) {
    y.select(0, static_cast<int64_t>(s))
        .slice(0, 0, lengths[s])
        .copy_from(x.select(0, 0).slice(0, first, first + lengths[s]));
    first += lengths[s];
  }
  return y;
}
Tensor gathered(const Tensor& x, const std::vector<int64_t>& lengths) {
  const Tensor y = Tensor::empty({1, std::accumulate(lengths.begin(), lengths.end(), int64_t{0}), x.dim(2)}, x.dtype());
  int64_t first = 0;
  for (size_t s = 0; s < lengths.size(); ++s) {
    y.select(0, 0)
        .slice(0, first, first + lengths[s])
        .copy_from(x.select(0, static_cast<int64_t>(s)).slice(0, 0, lengths[s]));
    first += lengths[s];
  }
  return y;
}

// What a model does: the same sequences as one row without padding and as a padded batch.
TEST(PackedAttention, EqualsAPaddedBatch) {
  const std::vector<int64_t> lengths{31, 1, 0, 33, 32, 70, 5};
  const int64_t width = 32, n = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  for (const auto& [dtype, tolerance] : {std::pair{DType::f64, 1e-12}, {DType::f32, 1e-5}, {DType::bf16, 0.05}}) {
    for (const auto form : {kTwoPass, kExplicit}) {
      for (const bool causal : {false, true}) {
        for (const bool filtered : {false, true}) {
          SCOPED_TRACE(fmt::format("{} form {} causal {} filtered {}", name_of(dtype), static_cast<int>(form), causal,
                                   filtered));
          const Tensor qkv = random_tensor({1, n, 3 * width}, dtype, 1), seed = random_tensor({1, n, width}, dtype, 2);
          AttentionOptions o;
          o.heads = 2;
          o.causal = causal;
          o.form = form;
          const auto run = [&](AttentionInputs in, const Tensor& dout) {
            require_grad(in.qkv);
            if (filtered) {
              in.coefficients =
                  Tensor::from<double>({2, 4}, {0.1, 0.3, 0.8, 0.4, -0.2, 0.1, 1.1, -0.3}).to(accumulator_of(dtype));
              require_grad(in.coefficients);
            }
            const Tensor y = attention(in, o);
            backward(y, dout);
            return std::vector<Tensor>{y, grad_of(in.qkv), filtered ? grad_of(in.coefficients) : Tensor()};
          };
          AttentionInputs one, batch;
          one.qkv = qkv.clone();
          std::vector<int64_t> offsets(lengths.size() + 1, 0);
          std::partial_sum(lengths.begin(), lengths.end(), offsets.begin() + 1);
          one.offsets = Tensor::from<int64_t>({static_cast<int64_t>(offsets.size())}, offsets);
          batch.qkv = spread(qkv, lengths);
          batch.key_lengths = Tensor::from<int64_t>({static_cast<int64_t>(lengths.size())}, lengths);
          const auto found = run(one, seed), expected = run(batch, spread(seed, lengths));
          EXPECT_LT(difference(found[0], gathered(expected[0], lengths)), tolerance);
          EXPECT_LT(difference(found[1], gathered(expected[1], lengths)), tolerance);
          if (filtered) {
            EXPECT_LT(difference(found[2], expected[2]), tolerance);
          }
        }
      }
    }
  }
}

TEST(PackedAttention, OneSequenceIsTheUnpackedResultBitForBit) {
  std::vector<Device> devices = other_devices();
  devices.push_back({});
  for (const Device device : devices) {
    for (const auto form : {kTwoPass, kExplicit}) {
      for (const DType dtype : {DType::f32, DType::bf16}) {
        AttentionTestCase c{.batch = 1,
                            .rows = 37,
                            .keys = 37,
                            .head_size = 16,
                            .degree = 2,
                            .uniform = true,
                            .causal = true,
                            .dropout = 0.2,
                            .form = form,
                            .device = device};
        const AttentionValues x = make_values(c);
        const AttentionResult bare = run_attention(c, x, dtype);
        c.sequences = {37};
        const AttentionResult r = run_attention(c, x, dtype);
        const std::pair<const Tensor&, const Tensor&> pairs[] = {{r.out, bare.out},
                                                                 {r.dq, bare.dq},
                                                                 {r.dk, bare.dk},
                                                                 {r.dv, bare.dv},
                                                                 {r.dcoefficients, bare.dcoefficients}};
        for (const auto& [a, b] : pairs) expect_same_bits(a, b, c.text());
      }
    }
  }
}

TEST(PackedAttention, ThreadsAndRepetitionChangeNoBit) {
  AttentionTestCase c = packed({1, 50, 0, 31, 32, 33, 2, 2});
  c.head_size = 16;
  c.degree = 2;
  c.dropout = 0.1;
  for (const auto form : {kTwoPass, kExplicit}) {
    c.form = form;
    const AttentionValues x = make_values(c);
    const int before = threads();
    set_threads(1);
    const AttentionResult one = run_attention(c, x, DType::f32);
    for (const int n : {2, 3, 8}) {
      set_threads(n);
      const AttentionResult r = run_attention(c, x, DType::f32);
      const std::pair<const Tensor&, const Tensor&> pairs[] = {
          {r.out, one.out}, {r.dq, one.dq}, {r.dk, one.dk}, {r.dv, one.dv}, {r.dcoefficients, one.dcoefficients}};
      for (const auto& [a, b] : pairs) expect_same_bits(a, b, fmt::format("{} threads", n));
    }
    set_threads(before);
  }
}

// Many short sequences: memory goes with the longest, not with the row.
TEST(PackedAttention, NothingOfTheSizeOfTheRowSquaredIsMade) {
  std::vector<Device> devices = other_devices();
  devices.push_back({});
  const int64_t count = 40, each = 16, n = count * each, size = 8;
  std::vector<int64_t> offsets;
  for (int64_t s = 0; s <= count; ++s) offsets.push_back(s * each);
  for (const Device device : devices) {
    for (const auto form : {kTwoPass, kExplicit}) {
      AttentionInputs in;
      in.qkv = Tensor::full({1, n, 3 * size}, 0.1, DType::f32, device);
      in.coefficients = Tensor::from<float>({1, 4}, {0, 0.1f, 0.7f, 0.3f}).to(device);
      in.offsets = Tensor::from<int64_t>({count + 1}, offsets).to(device);
      require_grad(in.qkv);
      Arena& memory = arena(device);
      const uint64_t before = memory.figures().current;
      memory.reset_peak();
      AttentionOptions o;
      o.form = form;
      o.longest = each;
      const Tensor y = attention(in, o);
      backward(y, Tensor::full(y.shape(), 1, DType::f32, device));
      EXPECT_LT(memory.figures().peak - before, static_cast<uint64_t>(n * n) * sizeof(float) / 2);
      EXPECT_LT(difference(y, std::vector<double>(static_cast<size_t>(n * size), 0.1 * 1.1)), 1e-5);
    }
  }
}

TEST(PackedAttention, NoSequences) {
  std::vector<Device> devices = other_devices();
  devices.push_back({});
  for (const Device device : devices) {
    for (const auto& offsets : std::vector<std::vector<int64_t>>{{0}, {0, 0, 0}}) {
      AttentionInputs in;
      in.qkv = Tensor::empty({1, 0, 24}, DType::f32, device);
      in.offsets = Tensor::from<int64_t>({static_cast<int64_t>(offsets.size())}, offsets).to(device);
      require_grad(in.qkv);
      AttentionOptions o;
      o.heads = 2;
      const Tensor y = attention(in, o);
      EXPECT_EQ(y.shape(), (Shape{1, 0, 8}));
      backward(y, Tensor::empty({1, 0, 8}, DType::f32, device));
    }
  }
}

// The host does not look at them there; nothing beyond the tensors is touched (the emulated device would say so).
TEST(PackedAttention, OffsetsThatAreWrongOnADevice) {
  for (const Device device : other_devices()) {
    for (const auto form : {kTwoPass, kExplicit}) {
      for (const auto& offsets : std::vector<std::vector<int64_t>>{{-3, 5, 90}, {4, 2, 9}, {0, 1000000000000, 9}}) {
        AttentionInputs in;
        in.qkv = random_tensor({1, 9, 24}, DType::f32, 1).to(device);
        in.coefficients = random_tensor({2, 4}, DType::f32, 2).to(device);
        in.offsets = Tensor::from<int64_t>({3}, offsets).to(device);
        require_grad(in.qkv);
        AttentionOptions o;
        o.heads = 2;
        o.form = form;
        o.causal = true;
        const Tensor y = attention(in, o);
        backward(y, Tensor::full(y.shape(), 1, DType::f32, device));
        y.to(Device{});
      }
    }
  }
}

TEST(PackedAttention, ErrorsNameWhatIsWrong) {
  const auto run = [](const std::vector<int64_t>& offsets, auto change) {
    return [=] {
      AttentionInputs in;
      in.qkv = random_tensor({1, 6, 24}, DType::f32, 1);
      in.offsets = Tensor::from<int64_t>({static_cast<int64_t>(offsets.size())}, offsets);
      AttentionOptions o;
      o.heads = 2;
      change(in, o);
      attention(in, o);
    };
  };
  using In = AttentionInputs;
  using Opt = AttentionOptions;
  const auto nothing = [](In&, Opt&) {};
  EXPECT_NO_THROW(run({0, 2, 2, 6}, nothing)());
  expect_error(run({0, 2, 5}, nothing), {"offsets go from 0 to 5", "0 to 6"});
  expect_error(run({1, 2, 6}, nothing), {"offsets go from 1"});
  expect_error(run({0, 4, 2, 6}, nothing), {"offsets[2] is 2 after 4"});
  expect_error(run({0, 6}, [](In&, Opt& o) { o.longest = -1; }), {"longest is -1"});
  expect_error(run({0, 6}, [](In& in, Opt&) { in.key_lengths = Tensor::from<int64_t>({1}, {6}); }),
               {"offsets come without key_mask"});
  expect_error(run({0, 6},
                   [](In& in, Opt&) {
                     in.bias = random_tensor({1, 1, 6, 6}, DType::f32, 1);
                   }),
               {"offsets come without"});
  expect_error(run({0, 6}, [](In& in, Opt&) { in.qkv = random_tensor({2, 6, 24}, DType::f32, 1); }), {"one row", "2"});
  expect_error(run({0, 6}, [](In& in, Opt&) { in.offsets = Tensor::from<int32_t>({2}, {0, 6}); }), {"offsets", "i32"});
  expect_error(run({0, 6},
                   [](In& in, Opt&) {
                     in.offsets = Tensor::empty({1, 2}, DType::i64);
                   }),
               {"offsets have shape [1, 2]"});
}

}  // namespace
}  // namespace gfsa::test
