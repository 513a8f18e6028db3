#include "ops/dropout.h"

#include <gtest/gtest.h>

#include "core/cpu/simd.h"
#include "core/step_table.h"
#include "support/op_case.h"

namespace gfsa::test {
namespace {

const RandomKey kKey(3, "dropout", 11);

// Straight from the definition.
bool keeps(uint32_t sample, int64_t index, double p) {
  const auto numbers = philox(kKey, sample, static_cast<uint64_t>(index / 4));
  return (numbers[static_cast<size_t>(index % 4)] >> 8) >= p * 0x1p24;
}

TEST(Dropout, MatchesItsDefinition) {
  for (const Shape& shape : {Shape{3, 33}, Shape{5}, Shape{0, 4}, Shape{2, 0}, Shape{2, 7, 150}, Shape{1, 256}}) {
    const int64_t inner = shape.numel() / std::max<int64_t>(1, shape[0]);
    check_op({.name = "dropout",
              .inputs = {data(shape)},
              .op = [](auto& x) { return dropout(x[0], 0.375, kKey, 1000, true); },
              .reference =
                  [inner](auto& x) {
                    std::vector<double> y;
                    for (int64_t i = 0; i < x[0].shape.numel(); ++i) {
                      const auto sample = static_cast<uint32_t>(1000 + i / inner);
                      y.push_back(keeps(sample, i % inner, 0.375) ? x[0][i] / 0.625 : 0);
                    }
                    return y;
                  }});
    check_op({.name = "drop_path",
              .inputs = {data(shape)},
              .op = [](auto& x) { return drop_path(x[0], 0.375, kKey, 1000, true); },
              .reference =
                  [inner](auto& x) {
                    std::vector<double> y;
                    for (int64_t i = 0; i < x[0].shape.numel(); ++i) {
                      y.push_back(keeps(static_cast<uint32_t>(1000 + i / inner), 0, 0.375) ? x[0][i] / 0.625 : 0);
                    }
                    return y;
                  }});
  }
}

TEST(Dropout, SamplesDoNotDependOnTheBatchTheyAreIn) {
  const Tensor x = random_tensor({6, 21}, DType::f32, 1);
  const Tensor whole = dropout(x, 0.5, kKey, 40, true), rest = dropout(x.slice(0, 2, 6), 0.5, kKey, 42, true);
  expect_same_bits(whole.slice(0, 2, 6), rest, "second part of the batch");
  EXPECT_NE(whole.to_vector<double>(), dropout(x, 0.5, RandomKey(3, "dropout", 12), 40, true).to_vector<double>());
}

TEST(Dropout, SameBitsOnEveryDevice) {
  for (const Device device : other_devices()) {
    for (const Shape& shape : {Shape{2, 1500}, Shape{3, 33}}) {
      const Tensor x = random_tensor(shape, DType::f32, 1), there = x.to(device);
      expect_same_bits(dropout(there, 0.3, kKey, 7, true), dropout(x, 0.3, kKey, 7, true), "dropout");
      expect_same_bits(drop_path(there, 0.3, kKey, 7, true), drop_path(x, 0.3, kKey, 7, true), "drop_path");
    }
  }
}

// Step and first sample from the device's memory, as graphs need them.
TEST(Dropout, TheSameFromATable) {
  for (const Device device : other_devices()) {
    StepTable table(device, 2 * sizeof(uint32_t));
    RandomKey moving(3, "dropout", 999);
    moving.on_device = static_cast<const uint32_t*>(table.data());
    const Tensor x = random_tensor({3, 1500}, DType::f32, 1).to(device);
    for (const std::array<uint32_t, 2> now : {std::array<uint32_t, 2>{11, 4}, {12, 0}}) {
      table.set(now.data());
      const RandomKey key(3, "dropout", now[0]);
      expect_same_bits(dropout(x, 0.3, moving, 7, true), dropout(x, 0.3, key, 7 + now[1], true), "dropout");
      expect_same_bits(drop_path(x, 0.3, moving, 7, true), drop_path(x, 0.3, key, 7 + now[1], true), "drop_path");
    }
  }
}

TEST(Dropout, KeepsTheShareAndTheMean) {
  const Tensor x = Tensor::full({4, 100000}, 1, DType::f32);
  double kept = 0, total = 0;
  for (double v : dropout(x, 0.1, kKey, 0, true).to_vector<double>()) kept += v != 0, total += v;
  EXPECT_NEAR(kept / 400000, 0.9, 0.003);  // 6 standard deviations
  EXPECT_NEAR(total / 400000, 1, 0.003);
  double paths = 0;
  const Tensor many = Tensor::full({40000, 1}, 1, DType::f32);
  for (double v : drop_path(many, 0.1, kKey, 0, true).to_vector<double>()) paths += v != 0;
  EXPECT_NEAR(paths / 40000, 0.9, 0.009);
}

TEST(Dropout, MaskOfAnyPiece) {
  for (uint64_t first : {0ull, 1ull, 6ull, 257ull, (1ull << 34) - 3}) {
    for (int64_t n : {0, 1, 3, 31, 255, 256, 257, 1000}) {
      for (simd::Isa isa : {simd::Isa::baseline, simd::supported()}) {
        simd::set_active(isa);
        std::vector<float> mask(static_cast<size_t>(n) + 1, -7);
        dropout_mask(mask.data(), n, kKey, 9, first, 0.25f);
        for (int64_t i = 0; i < n; ++i) {
          const uint64_t index = first + static_cast<uint64_t>(i);
          const bool kept = keeps(9, static_cast<int64_t>(index), 0.25);
          EXPECT_EQ(dropout_keeps(kKey, 9, index, 0.25f), kept);
          ASSERT_EQ(mask[static_cast<size_t>(i)], kept ? 1 / 0.75f : 0) << "first " << first << ", i " << i;
        }
        EXPECT_EQ(mask.back(), -7) << "written past the end";
      }
    }
  }
  simd::set_active(simd::supported());
}

TEST(Dropout, AnElementAtTheBoundIsKept) {
  for (const uint64_t index : {0u, 1u, 2u, 3u, 7u}) {
    const float p = uniform_from_bits(philox(kKey, 2, index / 4)[index % 4]);
    EXPECT_TRUE(dropout_keeps(kKey, 2, index, p)) << index;
    float mask = 0;
    dropout_mask(&mask, 1, kKey, 2, index, p);
    EXPECT_NE(mask, 0) << index;
  }
}

TEST(Dropout, NothingToDo) {
  const Tensor x = random_tensor({3, 4}, DType::f32, 1);
  EXPECT_TRUE(dropout(x, 0, kKey, 0, true).shares_storage_with(x));
  EXPECT_TRUE(dropout(x, 0.5, kKey, 0, false).shares_storage_with(x));
  EXPECT_TRUE(drop_path(x, 0.5, kKey, 0, false).shares_storage_with(x));
  expect_error([&] { dropout(x, 1, kKey, 0, true); }, {"dropout", "p is 1", "[0, 1)"});
  expect_error([&] { drop_path(x, -0.1, kKey, 0, false); }, {"drop_path", "p is -0.1"});
  expect_error([&] { dropout(Tensor::zeros({}, DType::f32), 0.5, kKey, 0, true); }, {"scalar"});
}

}  // namespace
}  // namespace gfsa::test
