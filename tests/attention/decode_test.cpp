// Attention with a cache gives what the causal forward pass over the whole sequence gives.
#include "attention/decode.h"

#include <gtest/gtest.h>

#include "attention/attention_case.h"
#include "autograd/autograd.h"
#include "base/threads.h"
#include "support/op_case.h"

namespace gfsa::test {
namespace {

constexpr int64_t kHeads = 2;

struct Setting {
  Device device;
  DType dtype = DType::f64;
  int64_t degree = -1;  // -1: no coefficients
  int64_t head_size = 8;
  bool uniform = true;
};
std::string text(const Setting& s) {
  return fmt::format("{} {} degree {} D {}", s.device.text(), name_of(s.dtype), s.degree, s.head_size);
}
double tolerance_of(DType dtype) { return dtype == DType::f64 ? 1e-12 : dtype == DType::f32 ? 1e-5 : 0.05; }

// B whole sequences, of which parts are taken.
struct Text {
  Tensor q, k, v, coefficients;  // f64, on the CPU; q, k, v [B, N, C] hold numbers of the setting's type
  std::vector<Tensor> expected;  // [N, C] of each sequence: the causal forward pass

  Text(const Setting& s, int64_t sequences, int64_t tokens) {
    const Shape shape{sequences, tokens, kHeads * s.head_size};
    const auto values = [&](uint64_t seed, double deviation) {
      const auto x = random_values(static_cast<size_t>(shape.numel()), seed, deviation);
      return Tensor::from<double>(shape, x).to(s.dtype).to(DType::f64);
    };
    q = values(1, 1.5);
    k = values(2, 1.5);
    v = values(3, 1);
    if (s.degree > 0) {
      const Shape table{kHeads, s.degree + 2};
      auto c = random_values(static_cast<size_t>(table.numel()), 4, 0.7);
      for (int64_t h = 0; h < kHeads && !s.uniform; ++h) c[static_cast<size_t>(h * (s.degree + 2))] = 0;
      coefficients = Tensor::from<double>(table, c);
    }
    AttentionOptions o = options();
    for (int64_t b = 0; b < sequences; ++b) {
      AttentionInputs in;
      in.q = q.slice(0, b, b + 1);
      in.k = k.slice(0, b, b + 1);
      in.v = v.slice(0, b, b + 1);
      in.coefficients = coefficients;
      expected.push_back(attention(in, o).select(0, 0));
    }
  }
  static AttentionOptions options() {
    AttentionOptions o;
    o.heads = kHeads;
    o.causal = true;
    return o;
  }
};

AttentionCache empty_cache(const Setting& s, int64_t sequences, int64_t capacity = 0) {
  return AttentionCache({.sequences = sequences,
                         .heads = kHeads,
                         .head_size = s.head_size,
                         .degree = std::max<int64_t>(1, s.degree),
                         .dtype = s.dtype,
                         .device = s.device},
                        capacity);
}

// The next counts[b] tokens of whole sequence which[b], padded to `rows`; compares every row.
void expect_step(const Setting& s, const Text& whole, AttentionCache& cache, const std::vector<int64_t>& which,
                 int64_t rows, const std::vector<int64_t>& counts, bool packed = false) {
  const auto batch = static_cast<int64_t>(which.size()), width = kHeads * s.head_size;
  const std::vector<int64_t> before = cache.lengths();
  const auto count = [&](size_t b) { return counts.empty() ? rows : counts[b]; };
  const auto part = [&](const Tensor& all) {
    const Tensor x = Tensor::full({batch, rows, width}, 1e3, DType::f64);  // padding
    for (size_t b = 0; b < which.size(); ++b) {
      x.select(0, static_cast<int64_t>(b))
          .slice(0, 0, count(b))
          .copy_from(all.select(0, which[b]).slice(0, before[b], before[b] + count(b)));
    }
    return x;
  };
  AttentionInputs in;
  if (packed) {
    const Tensor qkv = Tensor::empty({batch, rows, 3 * width}, DType::f64);
    qkv.slice(2, 0, width).copy_from(part(whole.q));
    qkv.slice(2, width, 2 * width).copy_from(part(whole.k));
    qkv.slice(2, 2 * width, 3 * width).copy_from(part(whole.v));
    in.qkv = qkv.to(s.dtype).to(s.device);
  } else {
    in.q = part(whole.q).to(s.dtype).to(s.device);
    in.k = part(whole.k).to(s.dtype).to(s.device);
    in.v = part(whole.v).to(s.dtype).to(s.device);
  }
  if (whole.coefficients) in.coefficients = whole.coefficients.to(accumulator_of(s.dtype)).to(s.device);
  const Tensor y = attention_step(in, Text::options(), cache, counts).to(Device{});
  ASSERT_EQ(y.shape(), (Shape{batch, rows, width}));
  for (size_t b = 0; b < which.size(); ++b) {
    EXPECT_EQ(cache.lengths()[b], before[b] + count(b));
    const Tensor own = y.select(0, static_cast<int64_t>(b));
    EXPECT_LT(difference(
                  own.slice(0, 0, count(b)).contiguous(),
                  whole.expected[static_cast<size_t>(which[b])].slice(0, before[b], before[b] + count(b)).contiguous()),
              tolerance_of(s.dtype))
        << text(s) << ", sequence " << b << " after " << before[b] << " tokens, " << count(b) << " new";
    for (const double x : own.slice(0, count(b), rows).to_vector<double>()) EXPECT_EQ(x, 0) << "padding";
  }
}

std::vector<Setting> settings() {
  std::vector<Setting> all;
  for (const int64_t degree : {-1, 1, 2, 3}) {
    for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) all.push_back({{}, dtype, degree});
    for (const Device device : other_devices()) {
      for (const DType dtype : {DType::f32, DType::bf16}) all.push_back({device, dtype, degree});
    }
  }
  return all;
}

TEST(Decode, TokenAfterToken) {
  for (const Setting& s : settings()) {
    const Text whole(s, 2, 30);
    AttentionCache cache = empty_cache(s, 2);
    for (int64_t t = 0; t < 30; ++t) expect_step(s, whole, cache, {0, 1}, 1, {}, t % 2 == 1);
  }
}

// Prompts of different lengths at once, then tokens, a few together, and a second long piece; room grows on the way.
TEST(Decode, PromptsOfDifferentLengthsAndWhatFollows) {
  for (Setting s : settings()) {
    s.head_size = s.degree == 2 ? 20 : 8;
    s.uniform = s.degree != 3;
    const Text whole(s, 4, 190);
    const bool slow = s.device.type == DeviceType::emulated;
    AttentionCache cache = empty_cache(s, 4);
    expect_step(s, whole, cache, {0, 1, 2, 3}, slow ? 34 : 100, {31, 1, slow ? 34 : 100, 0});
    expect_step(s, whole, cache, {0, 1, 2, 3}, 1, {});
    expect_step(s, whole, cache, {0, 1, 2, 3}, 1, {1, 0, 1, 1});
    expect_step(s, whole, cache, {0, 1, 2, 3}, 5, {}, true);
    expect_step(s, whole, cache, {0, 1, 2, 3}, slow ? 30 : 70, {slow ? 28 : 64, 13, 2, 11});
    expect_step(s, whole, cache, {0, 1, 2, 3}, 1, {});
  }
}

TEST(Decode, SizesOfHeads) {
  for (const Setting& like : settings()) {
    if (like.degree != 2 || like.dtype == DType::bf16) continue;
    for (const int64_t size : {1, 3, 64, 150}) {
      Setting s = like;
      s.head_size = size;
      const Text whole(s, 1, 22);
      AttentionCache cache = empty_cache(s, 1, 22);
      expect_step(s, whole, cache, {0}, 20, {});
      expect_step(s, whole, cache, {0}, 1, {});
      expect_step(s, whole, cache, {0}, 1, {});
    }
  }
}

TEST(Decode, SequencesCanBeChosenAgain) {
  for (const Setting& s : settings()) {
    const Text whole(s, 3, 12);
    AttentionCache cache = empty_cache(s, 3, 4);
    expect_step(s, whole, cache, {0, 1, 2}, 6, {6, 2, 4});
    cache.select({2, 0, 2, 1});
    EXPECT_EQ(cache.lengths(), (std::vector<int64_t>{4, 6, 4, 2}));
    expect_step(s, whole, cache, {2, 0, 2, 1}, 1, {});
    cache.select({3});
    expect_step(s, whole, cache, {1}, 3, {});
    EXPECT_EQ(cache.lengths(), (std::vector<int64_t>{6}));
  }
}

// n tokens one after the other ask for new memory log n times.
TEST(Decode, RoomGrowsByDoubling) {
  const Setting s{.device = {}, .dtype = DType::f32, .degree = 2};
  const Text whole(s, 1, 300);
  AttentionCache cache = empty_cache(s, 1);
  int64_t capacity = cache.capacity(), growths = 0;
  for (int64_t t = 0; t < 300; ++t) {
    expect_step(s, whole, cache, {0}, 1, {});
    growths += cache.capacity() != capacity ? 1 : 0;
    capacity = cache.capacity();
  }
  EXPECT_EQ(growths, 4);  // 64, 128, 256, 512
  EXPECT_EQ(cache.bytes(), (512u * 3 + 1) * 4 * 8 * kHeads);
}

TEST(Decode, NothingIsRecorded) {
  const Setting s{.device = {}, .dtype = DType::f32};
  AttentionCache cache = empty_cache(s, 1);
  AttentionInputs in;
  in.qkv = random_tensor({1, 2, 3 * kHeads * 8}, DType::f32, 1);
  require_grad(in.qkv);
  EXPECT_FALSE(requires_grad(attention_step(in, Text::options(), cache)));
  EXPECT_EQ(tape_length(), 0u);
}

TEST(Decode, NoSequencesAndNoTokens) {
  std::vector<Device> devices = other_devices();
  devices.push_back({});
  for (const Device device : devices) {
    const Setting s{.device = device, .dtype = DType::f32};
    for (const auto& [sequences, tokens] : {std::pair<int64_t, int64_t>{0, 3}, {2, 0}}) {
      AttentionCache cache = empty_cache(s, sequences);
      AttentionInputs in;
      in.qkv = Tensor::empty({sequences, tokens, 3 * kHeads * 8}, DType::f32, device);
      EXPECT_EQ(attention_step(in, Text::options(), cache).shape(), (Shape{sequences, tokens, kHeads * 8}));
      EXPECT_EQ(cache.longest(), 0);
    }
  }
}

TEST(Decode, ThreadsChangeNoBit) {
  const Setting s{.device = {}, .dtype = DType::f32, .degree = 2};
  AttentionInputs in;
  in.qkv = random_tensor({3, 40, 3 * kHeads * 8}, DType::f32, 1);
  in.coefficients = random_tensor({kHeads, 4}, DType::f32, 2);
  Tensor first;
  const int before = threads();
  for (const int n : {1, 2, 5}) {
    set_threads(n);
    AttentionCache cache = empty_cache(s, 3);
    const Tensor y = attention_step(in, Text::options(), cache, {40, 3, 20});
    if (n > 1) expect_same_bits(y, first, fmt::format("{} threads", n));
    first = y;
  }
  set_threads(before);
}

TEST(Decode, ErrorsNameWhatIsWrong) {
  const auto run = [](auto change, const std::vector<int64_t>& counts = {}) {
    return [=] {
      AttentionInputs in;
      in.qkv = random_tensor({2, 3, 3 * kHeads * 8}, DType::f32, 1);
      AttentionOptions o = Text::options();
      AttentionCache cache = empty_cache({.device = {}, .dtype = DType::f32}, 2);
      change(in, o);
      attention_step(in, o, cache, counts);
    };
  };
  using In = AttentionInputs;
  using Opt = AttentionOptions;
  const auto nothing = [](In&, Opt&) {};
  EXPECT_NO_THROW(run(nothing)());
  expect_error(run(nothing, {1}), {"1 counts for 2 sequences"});
  expect_error(run(nothing, {1, 4}), {"counts[1] is 4", "0 to 3"});
  expect_error(run([](In&, Opt& o) { o.causal = false; }), {"causal"});
  expect_error(run([](In&, Opt& o) { o.dropout = 0.1; }), {"no dropout"});
  expect_error(run([](In&, Opt& o) { o.heads = 4; }), {"4 heads", "2 heads of size 8"});
  expect_error(run([](In& in, Opt&) { in.bias = random_tensor({1, 1, 3, 3}, DType::f32, 1); }), {"no bias"});
  expect_error(run([](In& in, Opt&) { in.key_lengths = Tensor::from<int64_t>({2}, {1, 1}); }), {"no bias, masks"});
  expect_error(run([](In& in, Opt&) {
                 in.qkv = random_tensor({3, 3, 48}, DType::f32, 1);
               }),
               {"[3, 3, 16]", "2 sequences"});
  expect_error(run([](In& in, Opt&) { in.qkv = random_tensor({2, 3, 48}, DType::f64, 1); }), {"f64", "f32"});
  expect_error(run([](In& in, Opt&) {
                 in.coefficients = random_tensor({2, 4}, DType::f32, 1);
               }),
               {"degree is 2", "the cache's 1"});
  AttentionCache cache = empty_cache({}, 2);
  expect_error([&] { cache.select({0, 2}); }, {"no sequence 2 of 2"});
  expect_error([] { AttentionCache({.sequences = 1, .heads = 0, .head_size = 4}); }, {"0 heads"});
}

}  // namespace
}  // namespace gfsa::test
