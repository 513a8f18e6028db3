#include "data/image/augment_policy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "base/error.h"
#include "data/augment_golden.h"

namespace gfsa::data {
namespace {

constexpr int kDraws = 40000;

AugmentSettings settings() {
  AugmentSettings s;
  s.translate_const = 100;
  return s;
}

TEST(AugmentPolicy, ArgumentsAtEachLevelAsTimm) {
  const auto levels = golden_values<double>("levels");
  int kinds = 0;
  for (int k = 0; k <= static_cast<int>(AugmentKind::kGaussianBlurRand); ++k) {
    const AugmentKind kind = static_cast<AugmentKind>(k);
    const std::string name = "level|" + std::string(augment_kind_name(kind));
    EXPECT_EQ(augment_kind_by_name(augment_kind_name(kind)), kind);
    if (!golden().contains(name)) continue;
    const auto expected = golden_values<double>(name);
    for (int negative = 0; negative < 2; ++negative) {
      for (size_t i = 0; i < levels.size(); ++i) {
        EXPECT_DOUBLE_EQ(augment_argument(kind, levels[i], negative != 0, settings()),
                         expected[negative * levels.size() + i])
            << name << " at " << levels[i];
      }
    }
    ++kinds;
  }
  EXPECT_EQ(kinds, 24);
}

// Which operations a policy chooses and with which arguments, against 40000 images of timm's.
TEST(AugmentPolicy, DrawsAsTimm) {
  for (const std::string text : {"rand-m9-mstd0.5-inc1", "rand-m7-n3-p0.8-mstd101", "rand-m5-n2-mstd2-tweights",
                                 "original-mstd0.5", "v0", "3a"}) {
    SCOPED_TRACE(text);
    const AugmentPolicy policy(text, settings());
    std::vector<double> counts(27);
    std::map<AugmentKind, std::vector<double>> arguments;
    double bicubic = 0, geometric = 0;
    for (int i = 0; i < kDraws; ++i) {
      RandomSequence rng(RandomKey(3, "policy"), i);
      for (PixelOp op : policy.draw(rng)) {
        if (text == "3a" && op.kind == AugmentKind::kGaussianBlur) {  // timm draws the radius inside the operation
          ASSERT_TRUE(op.argument >= 0.1 && op.argument <= 2.0);
          op.kind = AugmentKind::kGaussianBlurRand, op.argument = 1;
        }
        ++counts[static_cast<size_t>(op.kind)];
        arguments[op.kind].push_back(op.argument);
        if (is_geometric(op.kind)) ++geometric, bicubic += op.interpolation == Interpolation::kBicubic;
      }
    }
    const auto expected = golden_values<int64_t>("policy|" + text + "|counts");
    EXPECT_LT(chi_square_deviations({expected.begin(), expected.end()}, counts), 4);
    if (geometric > 0) {
      EXPECT_NEAR(bicubic / geometric, 0.5, 2 / std::sqrt(geometric));
    }
    for (const auto& [kind, values] : arguments) {
      const std::string name = "policy|" + text + "|" + std::string(augment_kind_name(kind));
      if (!golden().contains(name)) continue;
      const auto histogram = golden_values<double>(name);  // lowest, highest, counts
      std::vector<double> observed(16);
      double outside = 0;
      for (const double v : values) {
        if (v < histogram[0] || v > histogram[1]) {
          ++outside;
        } else {
          ++observed[std::min(static_cast<int>((v - histogram[0]) / (histogram[1] - histogram[0]) * 16), 15)];
        }
      }
      EXPECT_LT(outside, 0.002 * static_cast<double>(values.size()) + 3) << name;
      EXPECT_LT(chi_square_deviations({histogram.begin() + 2, histogram.end()}, observed), 4) << name;
    }
  }
}

TEST(AugmentPolicy, FixedInterpolationIsKept) {
  AugmentSettings s = settings();
  s.interpolation = Interpolation::kBilinear;
  const AugmentPolicy policy("rand-m9-p1", s);
  for (int i = 0; i < 200; ++i) {
    RandomSequence rng(RandomKey(4, "policy"), i);
    const auto ops = policy.draw(rng);
    ASSERT_EQ(ops.size(), 2u);
    for (const PixelOp& op : ops) {
      if (is_geometric(op.kind)) {
        ASSERT_EQ(op.interpolation, Interpolation::kBilinear);
      }
    }
  }
}

TEST(AugmentPolicy, WeightedChoiceNeverRepeats) {
  const AugmentPolicy policy("rand-m5-n14-p1-t3aw", settings());
  for (int i = 0; i < 100; ++i) {
    RandomSequence rng(RandomKey(4, "policy"), i);
    std::set<AugmentKind> kinds;
    for (const PixelOp& op : policy.draw(rng)) kinds.insert(op.kind);
    ASSERT_EQ(kinds.size(), 14u);
  }
}

TEST(AugmentPolicy, ParsesNamesAndOptions) {
  EXPECT_TRUE(AugmentPolicy("none", settings()).empty());
  const AugmentPolicy deit("rand-m9-mstd0.5-inc1", settings());
  EXPECT_EQ(deit.choices().size(), 15u);
  EXPECT_EQ(deit.settings().magnitude_std, 0.5);
  EXPECT_EQ(deit.choices()[0][0].magnitude, 9);
  EXPECT_EQ(deit.choices()[0][0].probability, 0.5);
  EXPECT_FALSE(deit.keeps_color_jitter());
  EXPECT_TRUE(std::isinf(AugmentPolicy("rand-mstd101", settings()).settings().magnitude_std));
  EXPECT_EQ(AugmentPolicy("rand-m15-mmax30", settings()).settings().magnitude_max, 30);
  EXPECT_TRUE(AugmentPolicy("3a", settings()).keeps_color_jitter());
  EXPECT_TRUE(AugmentPolicy("rand-m9-t3a", settings()).keeps_color_jitter());
  for (const char* name : {"original", "originalr", "v0", "v0r"}) {
    EXPECT_EQ(AugmentPolicy(name, settings()).choices().size(), 25u) << name;
  }
}

TEST(AugmentPolicy, RefusesWhatItCannotRead) {
  for (const char* text : {"random-m9", "rand-x3", "rand-m", "rand-m9-mstdfoo", "rand-p1.5", "rand-n0", "rand-tfoo",
                           "rand-m9x", "orig", "original-m9", "rand--m9", "rand-n15-t3aw"}) {
    EXPECT_THROW(AugmentPolicy(text, settings()), Error) << text;
  }
  try {
    AugmentPolicy("orignal", settings());
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(error.message().find("did you mean 'original'"), std::string::npos) << error.message();
  }
}

}  // namespace
}  // namespace gfsa::data
