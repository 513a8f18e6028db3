// What is drawn at random against timm's and torchvision's own draws: 40000 of theirs, as histograms, and as many of
// ours. Seeds are fixed, so a test that passes does so always.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "core/philox.h"
#include "data/augment_golden.h"
#include "data/image/color_jitter.h"
#include "data/image/erasing.h"
#include "data/image/mixup.h"
#include "data/image/random_crop.h"

namespace gfsa::data {
namespace {

constexpr int kDraws = 40000;
constexpr double kDeviations = 4;  // of chi-square from its mean

RandomSequence sequence(int sample) { return {RandomKey(17, "test"), static_cast<uint32_t>(sample)}; }

std::vector<double> expected_counts(const std::string& name) {
  const auto counts = golden_values<int64_t>(name);
  return {counts.begin(), counts.end()};
}

// A wrong distribution must be told from a right one.
TEST(AugmentDraws, ChiSquareSeesADifference) {
  EXPECT_LT(chi_square_deviations({1000, 1000, 1000}, {1020, 980, 1010}), 2);
  EXPECT_GT(chi_square_deviations({1000, 1000, 1000}, {1150, 900, 950}), 5);
  EXPECT_LT(chi_square_deviations({1000, 1000, 1000}, {510, 490, 505}), 2);
}

TEST(AugmentDraws, RandomResizedCropAsTimm) {
  const auto compare = [](const std::string& name, int w, int h, std::array<double, 2> scale) {
    std::array<std::vector<double>, 4> counts;
    counts.fill(std::vector<double>(std::max(w, h) + 1));
    for (int i = 0; i < kDraws; ++i) {
      RandomSequence rng = sequence(i);
      const CropBox box = draw_random_resized_crop(rng, w, h, scale, {3.0 / 4, 4.0 / 3});
      ASSERT_GE(box.left, 0);
      ASSERT_GE(box.top, 0);
      ASSERT_LE(box.left + box.width, w);
      ASSERT_LE(box.top + box.height, h);
      ++counts[0][box.left], ++counts[1][box.top], ++counts[2][box.width], ++counts[3][box.height];
    }
    const char* columns[] = {"left", "top", "width", "height"};
    for (int k = 0; k < 4; ++k) {
      const auto expected = expected_counts("crop|" + name + "|" + columns[k]);
      EXPECT_LT(chi_square_deviations(expected, counts[k]), kDeviations) << name << " " << columns[k];
    }
  };
  compare("wide", 48, 40, {0.08, 1.0});
  compare("long", 96, 30, {0.5, 1.0});  // falls back to the centre most of the time
}

TEST(AugmentDraws, RandomCropIsUniform) {
  std::vector<double> left(9), top(5);
  for (int i = 0; i < kDraws; ++i) {
    RandomSequence rng = sequence(i);
    const CropBox box = draw_random_crop(rng, 40, 36, 32, 32);
    ++left.at(box.left), ++top.at(box.top);
  }
  EXPECT_LT(chi_square_deviations(std::vector<double>(9, 1e7), left), kDeviations);
  EXPECT_LT(chi_square_deviations(std::vector<double>(5, 1e7), top), kDeviations);
}

TEST(AugmentDraws, ErasingAsTimm) {
  std::vector<double> height(33), width(41), top(33);
  double none = 0;
  RandomErasing erasing;
  erasing.probability = 0.7, erasing.min_aspect = 0.2;
  for (int i = 0; i < kDraws; ++i) {
    RandomSequence rng = sequence(i);
    const auto boxes = draw_erasing(rng, erasing, 40, 32);
    ASSERT_LE(boxes.size(), 1u);
    if (boxes.empty()) {
      ++none;
    } else {
      ++height[boxes[0].height], ++width[boxes[0].width], ++top[boxes[0].top];
    }
  }
  EXPECT_LT(chi_square_deviations({expected_counts("erasing|none")[0], kDraws - expected_counts("erasing|none")[0]},
                                  {none, kDraws - none}),
            kDeviations);
  EXPECT_LT(chi_square_deviations(expected_counts("erasing|height"), height), kDeviations);
  EXPECT_LT(chi_square_deviations(expected_counts("erasing|width"), width), kDeviations);
  EXPECT_LT(chi_square_deviations(expected_counts("erasing|top"), top), kDeviations);
}

TEST(AugmentDraws, ErasingCountsShareTheArea) {
  RandomErasing erasing;
  erasing.probability = 1, erasing.count = 3, erasing.min_area = erasing.max_area = 0.3;
  std::vector<double> counts(4);
  for (int i = 0; i < 3000; ++i) {
    RandomSequence rng = sequence(i);
    const auto boxes = draw_erasing(rng, erasing, 100, 100);
    ASSERT_GE(boxes.size(), 1u);
    ++counts.at(boxes.size());
    double area = 0;
    for (const CropBox& box : boxes) area += box.width * box.height;
    EXPECT_NEAR(area, 3000, 200);
  }
  EXPECT_LT(chi_square_deviations({0, 1e6, 1e6, 1e6}, counts), kDeviations);
}

TEST(AugmentDraws, ErasingModesFillTheBoxAlone) {
  const std::vector<CropBox> boxes{{3, 2, 20, 10}};
  for (const ErasingMode mode : {ErasingMode::kConst, ErasingMode::kRand, ErasingMode::kPixel}) {
    std::vector<float> pixels(3 * 16 * 32, 7.0f);
    RandomSequence rng = sequence(1);
    apply_erasing(rng, boxes, mode, pixels, 3, 16, 32);
    double sum = 0, squares = 0;
    for (int c = 0; c < 3; ++c) {
      for (int y = 0; y < 16; ++y) {
        for (int x = 0; x < 32; ++x) {
          const float v = pixels[(c * 16 + y) * 32 + x];
          const bool inside = x >= 3 && x < 23 && y >= 2 && y < 12;
          ASSERT_EQ(v == 7.0f, !inside);
          if (!inside) continue;
          sum += v, squares += v * v;
          if (mode == ErasingMode::kConst) {
            ASSERT_EQ(v, 0.0f);
          }
          if (mode == ErasingMode::kRand) {
            ASSERT_EQ(v, pixels[(c * 16 + 2) * 32 + 3]);
          }
        }
      }
    }
    if (mode == ErasingMode::kPixel) {  // 600 standard normals
      EXPECT_NEAR(sum / 600, 0, 4 / std::sqrt(600.0));
      EXPECT_NEAR(squares / 600, 1, 4 * std::sqrt(2 / 600.0));
    }
  }
}

TEST(AugmentDraws, MixAsTimm) {
  const auto compare = [](const std::string& name, const MixConfig& config) {
    std::vector<double> counts(40);
    double unmixed = 0;
    for (int i = 0; i < kDraws; ++i) {
      RandomSequence rng = sequence(i);
      const MixDraw draw = draw_mix(rng, config, 32, 32);
      if (draw.lambda == 1 && !draw.cutmix) {
        ++unmixed;
      } else {
        ++counts[(draw.cutmix ? 20 : 0) + std::min(static_cast<int>(draw.lambda * 20), 19)];
      }
    }
    const std::vector<double> theirs = expected_counts("mix|" + name);
    EXPECT_LT(chi_square_deviations(theirs, counts), kDeviations) << name;
    const auto by_method = [](const std::vector<double>& c) {
      return std::vector<double>{std::accumulate(c.begin(), c.begin() + 20, 0.0),
                                 std::accumulate(c.begin() + 20, c.end(), 0.0)};
    };
    EXPECT_LT(chi_square_deviations(by_method(theirs), by_method(counts)), kDeviations) << name;
    const double expected = expected_counts("mix|" + name + "|unmixed")[0];
    if (expected + unmixed > 0) {
      EXPECT_LT(chi_square_deviations({expected, kDraws - expected}, {unmixed, kDraws - unmixed}), kDeviations) << name;
    }
  };
  compare("deit", {0.8, 1.0, 0.9, 0.3});
  compare("mixup", {1.3, 0, 1, 0.5});
  compare("cutmix", {0, 0.4, 1, 0.5});
}

TEST(AugmentDraws, BetaHasItsMoments) {
  for (const auto& [a, b] : {std::pair{0.2, 0.2}, {0.8, 0.8}, {1.0, 1.0}, {2.5, 0.7}, {0.01, 0.01}}) {
    double sum = 0, squares = 0;
    for (int i = 0; i < kDraws; ++i) {
      RandomSequence rng = sequence(i);
      const double x = draw_beta(rng, a, b);
      ASSERT_TRUE(x >= 0 && x <= 1) << x;
      sum += x, squares += x * x;
    }
    const double mean = a / (a + b), variance = a * b / ((a + b) * (a + b) * (a + b + 1));
    EXPECT_NEAR(sum / kDraws, mean, 4 * std::sqrt(variance / kDraws)) << a << " " << b;
    EXPECT_NEAR(squares / kDraws - mean * mean, variance, 0.02 * variance + 0.002) << a << " " << b;
  }
}

TEST(AugmentDraws, ColorJitterRangesAndOrders) {
  std::vector<double> orders(24);
  double low = 9, high = 0, hue = 0;
  for (int i = 0; i < kDraws; ++i) {
    RandomSequence rng = sequence(i);
    const ColorJitterDraw draw = draw_color_jitter(rng, {0.4, 0, 2.0, 0.1});
    int index = 0;  // the permutation's rank
    for (int k = 0; k < 4; ++k) {
      int smaller = 0;
      for (int j = k + 1; j < 4; ++j) smaller += draw.order[j] < draw.order[k];
      index = index * (4 - k) + smaller;
    }
    ++orders.at(index);
    low = std::min(low, draw.brightness), high = std::max(high, draw.brightness);
    hue = std::max(hue, std::abs(draw.hue));
    ASSERT_EQ(draw.contrast, 1);
    ASSERT_TRUE(draw.saturation >= 0 && draw.saturation <= 3);
  }
  EXPECT_LT(chi_square_deviations(std::vector<double>(24, 1e7), orders), kDeviations);
  EXPECT_NEAR(low, 0.6, 1e-3);
  EXPECT_NEAR(high, 1.4, 1e-3);
  EXPECT_NEAR(hue, 0.1, 1e-3);
}

}  // namespace
}  // namespace gfsa::data
