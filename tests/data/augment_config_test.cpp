#include "data/image/augment_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "config/reader.h"

namespace gfsa::data {
namespace {

using testing::HasSubstr;

AugmentConfig read(const std::string& text) {
  AugmentConfig config;
  config::load_text(config, text, "augment.yaml");
  return config;
}

std::string problem(const std::string& text) {
  try {
    read(text);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), kExitBadInput);
    return error.message();
  }
}

TEST(AugmentConfig, ReadsTheDeitRecipe) {
  const AugmentConfig c = read(
      "random_resized_crop: true\n"
      "interpolation: bicubic\n"
      "policy: rand-m9-mstd0.5-inc1\n"
      "color_jitter: 0.4\n"
      "erasing: {prob: 0.25, mode: pixel, count: 1}\n"
      "mixup: 0.8\n"
      "cutmix: 1.0\n"
      "mix_prob: 1.0\n"
      "mix_switch_prob: 0.5\n"
      "label_smoothing: 0.1\n"
      "repeated: 3\n"
      "eval: {crop_pct: 0.875}\n");
  EXPECT_TRUE(c.random_resized_crop.enabled);
  EXPECT_EQ(c.jitter().saturation, 0.4);
  EXPECT_EQ(c.jitter().hue, 0);
  EXPECT_EQ(c.random_erasing().probability, 0.25);
  EXPECT_EQ(c.random_erasing().mode, ErasingMode::kPixel);
  EXPECT_EQ(c.mix().mixup_alpha, 0.8);
  EXPECT_EQ(c.mix().cutmix_alpha, 1.0);
  EXPECT_TRUE(c.soft_targets());
  EXPECT_EQ(c.repeated, 3);
  EXPECT_EQ(c.fill(), (Color{124, 116, 104}));
}

TEST(AugmentConfig, DefaultsAreAFlipAlone) {
  const AugmentConfig c = read("{}");
  EXPECT_FALSE(c.random_resized_crop.enabled);
  EXPECT_EQ(c.flip, 0.5);
  EXPECT_FALSE(c.jitter().enabled());
  EXPECT_EQ(c.random_erasing().probability, 0);
  EXPECT_FALSE(c.mix().enabled());
  EXPECT_FALSE(c.soft_targets());
  EXPECT_EQ(c.pad_crop.padding, 0);
  EXPECT_FALSE(c.eval.resize.has_value());
}

TEST(AugmentConfig, ShortFormsAndLists) {
  const AugmentConfig c = read("{pad_crop: 4, erasing: 0.1, color_jitter: [0.1, 0.2, 0.3, 0.05], eval: {resize: 40}}");
  EXPECT_EQ(c.pad_crop.padding, 4);
  EXPECT_EQ(c.erasing.prob, 0.1);
  EXPECT_EQ(c.jitter().contrast, 0.2);
  EXPECT_EQ(c.jitter().hue, 0.05);
  EXPECT_EQ(c.eval.resize, 40);
}

TEST(AugmentConfig, SaysWhatIsWrong) {
  EXPECT_THAT(problem("policy: orignal"), HasSubstr("did you mean 'original'"));
  EXPECT_THAT(problem("policy: rand-m9-foo3"), HasSubstr("foo3"));
  EXPECT_THAT(problem("flip: 1.5"), HasSubstr("flip"));
  EXPECT_THAT(problem("interpolation: bicubik"), HasSubstr("did you mean 'bicubic'"));
  EXPECT_THAT(problem("color_jitter: [0.1, 0.2]"), HasSubstr("1, 3 or 4 numbers"));
  EXPECT_THAT(problem("color_jitter: [0.1, 0.2, 0.3, 0.7]"), HasSubstr("at most 0.5"));
  EXPECT_THAT(problem("random_resized_crop: {scale: [0.9, 0.1]}"), HasSubstr("scale"));
  EXPECT_THAT(problem("erasing: {min_area: 0.5}"), HasSubstr("max_area"));
  EXPECT_THAT(problem("erasing: {mode: noise}"), HasSubstr("mode"));
  EXPECT_THAT(problem("std: [0.2, 0, 0.2]"), HasSubstr("std"));
  EXPECT_THAT(problem("mixupp: 0.8"), HasSubstr("did you mean 'mixup'"));
  EXPECT_THAT(problem("label_smoothing: 1"), HasSubstr("label_smoothing"));
}

}  // namespace
}  // namespace gfsa::data
