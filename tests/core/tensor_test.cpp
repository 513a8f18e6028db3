// dtype, shape, tensor, device, dispatch.
#include "core/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/threads.h"
#include "core/dispatch.h"
#include "support/op_case.h"

namespace gfsa {
namespace {

using test::expect_error;

TEST(DType, SizesNamesAndKinds) {
  EXPECT_EQ(size_of(DType::f64), 8u);
  EXPECT_EQ(size_of(DType::bf16), 2u);
  EXPECT_EQ(size_of(DType::boolean), 1u);
  EXPECT_EQ(name_of(DType::i64), "i64");
  EXPECT_TRUE(is_floating(DType::bf16));
  EXPECT_FALSE(is_floating(DType::i32));
  EXPECT_EQ(accumulator_of(DType::bf16), DType::f32);
  EXPECT_EQ(accumulator_of(DType::f64), DType::f64);
}

// Against the definition: the nearer of the two neighbours, the even one in the middle.
TEST(DType, Bfloat16RoundsToNearestEven) {
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 40009) {
    const float x = std::bit_cast<float>(static_cast<uint32_t>(bits));
    const auto y = static_cast<float>(bfloat16(x));
    if (std::isnan(x)) {
      ASSERT_TRUE(std::isnan(y));
      continue;
    }
    const uint32_t down = static_cast<uint32_t>(bits) & 0xFFFF0000u, up = down + 0x10000u, rest = bits & 0xFFFFu;
    const bool take_up = rest > 0x8000u || (rest == 0x8000u && (down & 0x10000u) != 0);
    ASSERT_EQ(std::bit_cast<uint32_t>(y), take_up ? up : down) << std::hex << bits;
  }
  EXPECT_EQ(bfloat16(1.0f).bits, 0x3F80);
  EXPECT_EQ(bfloat16(std::bit_cast<float>(0x3F808000u)).bits, 0x3F80);  // a tie, to even
  EXPECT_EQ(bfloat16(std::bit_cast<float>(0x3F818000u)).bits, 0x3F82);
  EXPECT_TRUE(std::isinf(static_cast<float>(bfloat16(std::numeric_limits<float>::max()))));
}

TEST(Shape, Basics) {
  const Shape s{2, 3, 4};
  EXPECT_EQ(s.numel(), 24);
  EXPECT_EQ(s[-1], 4);
  EXPECT_EQ(s.text(), "[2, 3, 4]");
  EXPECT_TRUE((s.contiguous_strides() == Shape{12, 4, 1}));
  EXPECT_EQ(Shape{}.numel(), 1);
  EXPECT_EQ((Shape{3, 0}).numel(), 0);
  EXPECT_FALSE((Shape{2, 3} == Shape{2, 3, 1}));
  expect_error([&] { (void)s[3]; }, {"dimension 3", "[2, 3, 4]"});
  expect_error([&] { (void)s[-4]; }, {"dimension -4"});
  expect_error([] { Shape{-1}; }, {"negative"});
  expect_error([] { Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}; }, {"at most 8"});
}

TEST(Shape, Broadcast) {
  EXPECT_TRUE((broadcast("add", {2, 1, 4}, {3, 1}) == Shape{2, 3, 4}));
  EXPECT_TRUE((broadcast("add", {}, {3}) == Shape{3}));
  EXPECT_TRUE((broadcast("add", {1}, {0}) == Shape{0}));
  expect_error([] { broadcast("add", {2, 3}, {2}); }, {"add", "[2, 3]", "[2]"});
}

Tensor counting(const Shape& shape) {
  std::vector<float> v(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(i);
  return Tensor::from(shape, v);
}

TEST(Tensor, ViewsShareMemory) {
  const Tensor t = counting({2, 3, 4});
  const Tensor s = t.slice(1, 1, 3), r = t.select(0, 1), p = t.transpose(0, 2);
  EXPECT_EQ(s.to_vector<double>(), (std::vector<double>{4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23}));
  EXPECT_EQ(r.to_vector<double>(), (std::vector<double>{12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}));
  EXPECT_TRUE((p.shape() == Shape{4, 3, 2}));
  EXPECT_EQ(p.select(0, 1).to_vector<double>(), (std::vector<double>{1, 13, 5, 17, 9, 21}));
  EXPECT_TRUE(s.shares_storage_with(t));
  EXPECT_FALSE(s.is_contiguous());
  EXPECT_TRUE(r.is_contiguous());
  r.fill(-1);
  EXPECT_EQ(t.select(0, 1).select(0, 0).to_vector<double>(), std::vector<double>(4, -1));
  const Tensor e = counting({3, 1}).expand({2, 3, 2});
  EXPECT_EQ(e.to_vector<double>(), (std::vector<double>{0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2}));
  EXPECT_TRUE((t.view({6, 4}).shape() == Shape{6, 4}));
}

TEST(Tensor, ViewErrors) {
  const Tensor t = counting({2, 3});
  expect_error([&] { t.view({7}); }, {"[7]", "[2, 3]"});
  expect_error([&] { t.transpose(0, 1).view({6}); }, {"strided", "contiguous()"});
  expect_error([&] { t.slice(1, 2, 4); }, {"[2, 4)"});
  expect_error([&] { t.expand({2, 4}); }, {"[2, 3]", "[2, 4]"});
  expect_error([&] { t.copy_from(counting({3, 2})); }, {"[3, 2]", "[2, 3]"});
  expect_error([&] { t.data<double>(); }, {"f32", "f64"});
  expect_error([&] { t.item(); }, {"[2, 3]"});
  expect_error([] { Tensor::from<float>({3}, {1, 2}); }, {"2 values", "[3]"});
}

TEST(Tensor, CopiesOnlyWhenNeeded) {
  const Tensor t = counting({2, 3});
  EXPECT_TRUE(t.contiguous().shares_storage_with(t));
  EXPECT_TRUE(t.to(DType::f32).shares_storage_with(t));
  EXPECT_FALSE(t.clone().shares_storage_with(t));
  EXPECT_FALSE(t.transpose(0, 1).contiguous().shares_storage_with(t));
  EXPECT_TRUE(t.is_unique());
  const Tensor other = t;
  EXPECT_FALSE(t.is_unique());
}

TEST(Tensor, ConvertsBetweenAllTypes) {
  const Tensor t = Tensor::from<double>({4}, {0, 1, 2.75, -3});
  EXPECT_EQ(t.to(DType::i64).to_vector<double>(), (std::vector<double>{0, 1, 2, -3}));
  EXPECT_EQ(t.to(DType::bf16).to_vector<double>(), (std::vector<double>{0, 1, 2.75, -3}));
  EXPECT_EQ(t.to(DType::boolean).to_vector<double>(), (std::vector<double>{0, 1, 1, 1}));
  for (DType a : {DType::f64, DType::f32, DType::bf16, DType::i64, DType::i32, DType::u8, DType::boolean}) {
    for (DType b : {DType::f64, DType::f32, DType::bf16, DType::i64, DType::i32, DType::u8, DType::boolean}) {
      EXPECT_EQ(Tensor::full({2}, 1, a).to(b).to_vector<double>(), std::vector<double>(2, 1))
          << name_of(a) << name_of(b);
    }
  }
}

TEST(Tensor, LargeCopiesRunOnTheTeam) {
  const int before = threads();
  set_threads(3);
  const Tensor t = counting({301, 257});
  EXPECT_EQ(t.transpose(0, 1).contiguous().transpose(0, 1).contiguous().to_vector<float>(), t.to_vector<float>());
  EXPECT_EQ(t.to(DType::f64).to_vector<float>(), t.to_vector<float>());
  set_threads(before);
}

TEST(Tensor, ScalarsAndEmptyOnes) {
  EXPECT_EQ(Tensor::full({}, 2.5, DType::f32).item(), 2.5);
  EXPECT_TRUE(Tensor::zeros({0, 3}, DType::f32).to_vector<float>().empty());
  EXPECT_TRUE(Tensor::zeros({0, 3}, DType::f32).transpose(0, 1).contiguous().is_contiguous());
  EXPECT_FALSE(Tensor().defined());
}

TEST(Device, Parse) {
  EXPECT_TRUE(parse_device("cpu") == Device{});
  EXPECT_EQ(parse_device("cuda:1").text(), "cuda:1");
  expect_error([] { parse_device("gpu"); }, {"'gpu'", "expected cpu, cuda"});
  expect_error([] { parse_device("cuda:x"); }, {"cuda:x"});
  EXPECT_FALSE(backend({}).description().empty());
}

TEST(Dispatch, PairsShareAnAccumulator) {
  int calls = 0;
  dispatch_floating_pair("t", DType::f32, DType::bf16, [&](auto from, auto to) {
    calls += std::is_same_v<decltype(from), float> && std::is_same_v<decltype(to), bfloat16> ? 1 : 0;
  });
  EXPECT_EQ(calls, 1);
  expect_error([] { dispatch_floating_pair("t", DType::f64, DType::f32, [](auto, auto) {}); }, {"t:", "f64 to f32"});
  expect_error([] { dispatch_floating("t", DType::i64, [](auto) {}); }, {"not i64"});
}

}  // namespace
}  // namespace gfsa
