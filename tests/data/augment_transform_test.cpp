#include <gtest/gtest.h>

#include <numeric>

#include "base/error.h"
#include "data/augment_golden.h"
#include "data/image/mixup.h"
#include "data/image/transform.h"

namespace gfsa::data {
namespace {

AugmentConfig everything() {
  AugmentConfig config;
  config.random_resized_crop.enabled = true;
  config.policy = "rand-m9-mstd0.5-inc1";
  config.color_jitter = {0.4};
  config.erasing.prob = 0.5;
  config.interpolation = "random";
  return config;
}

std::vector<float> run(const TrainTransform& transform, const Image& image, uint64_t seed, uint64_t epoch,
                       uint64_t sample, uint32_t copy) {
  std::vector<float> out(static_cast<size_t>(3) * transform.image_size() * transform.image_size());
  RandomSequence rng = augment_sequence(seed, epoch, sample, copy);
  transform(image, rng, out);
  return out;
}

// float32 of torch: the same operations in the same order; tolerance 0.
TEST(AugmentTransform, EvaluationEqualsTimm) {
  int cases = 0;
  for (const std::string& name : golden().names()) {
    const size_t at = name.find("|eval|");
    if (at == std::string::npos) continue;
    const Image image = golden_image(name.substr(0, at));
    AugmentConfig config;
    const int size = std::stoi(name.substr(at + 6));
    config.eval.crop_pct = std::stod(name.substr(name.find(',') + 1));
    config.interpolation = name.substr(name.rfind('|') + 1);
    std::vector<float> out(static_cast<size_t>(3) * size * size);
    EvalTransform(config, size)(image, out);
    EXPECT_EQ(out, golden_values<float>(name)) << name;
    ++cases;
  }
  EXPECT_EQ(cases, 4);
}

TEST(AugmentTransform, SameKeySamePixels) {
  const Image image = golden_image("wide");
  const TrainTransform transform(everything(), 32);
  for (uint64_t sample = 0; sample < 20; ++sample) {
    const auto first = run(transform, image, 1, 2, sample, 0);
    EXPECT_EQ(first, run(transform, image, 1, 2, sample, 0));
    EXPECT_NE(first, run(transform, image, 2, 2, sample, 0));
    EXPECT_NE(first, run(transform, image, 1, 3, sample, 0));
    EXPECT_NE(first, run(transform, image, 1, 2, sample + 1, 0));
    EXPECT_NE(first, run(transform, image, 1, 2, sample, 1));
    EXPECT_NE(first, run(transform, image, 1, 2, sample + (uint64_t{1} << 32), 0));
  }
}

TEST(AugmentTransform, WithoutAugmentationItNormalisesAlone) {
  const Image whole = golden_image("wide"), image = crop(whole, {3, 2, 32, 32});
  AugmentConfig config;
  config.flip = 0;
  const TrainTransform train(config, 32);
  config.eval.crop_pct = 1;
  const EvalTransform eval(config, 32);
  std::vector<float> expected(3 * 32 * 32);
  eval(image, expected);
  EXPECT_EQ(run(train, image, 1, 1, 1, 0), expected);
  EXPECT_EQ(train.normalize().inverse(expected, 32, 32).rgb, image.rgb);
}

TEST(AugmentTransform, PadCropAndFlipMoveTheImage) {
  const Image image = crop(golden_image("wide"), {3, 2, 32, 32});
  AugmentConfig config;
  config.pad_crop.padding = 4;
  const TrainTransform transform(config, 32);
  int unchanged = 0, black_corners = 0;
  for (uint64_t sample = 0; sample < 300; ++sample) {
    RandomSequence rng = augment_sequence(1, 0, sample);
    const Image out = transform.augment(image, rng);
    unchanged += out.rgb == image.rgb;
    black_corners += out.rgb[0] == 0 && out.rgb[1] == 0 && out.rgb[2] == 0;
  }
  EXPECT_LT(unchanged, 15);       // 1 / 162 of 300
  EXPECT_GT(black_corners, 170);  // 1 - (5/9)^2 = 0.69 of 300
  config.pad_crop.mode = "reflect";
  const TrainTransform reflecting(config, 32);
  RandomSequence rng = augment_sequence(1, 0, 0);
  EXPECT_EQ(reflecting.augment(image, rng).rgb.size(), image.rgb.size());
  EXPECT_THROW(TrainTransform(config, 4), Error);
}

TEST(AugmentTransform, FlipsAsOftenAsAsked) {
  const Image image = crop(golden_image("wide"), {3, 2, 32, 32});
  Image mirrored = image;
  flip_horizontal(mirrored);
  AugmentConfig config;
  config.flip = 0.3;
  const TrainTransform transform(config, 32);
  int flips = 0;
  for (uint64_t sample = 0; sample < 2000; ++sample) {
    RandomSequence rng = augment_sequence(1, 0, sample);
    const Image out = transform.augment(image, rng);
    ASSERT_TRUE(out.rgb == image.rgb || out.rgb == mirrored.rgb);
    flips += out.rgb == mirrored.rgb;
  }
  EXPECT_NEAR(flips, 600, 4 * 20.5);  // four standard deviations
}

TEST(AugmentTransform, JitterIsOffBesideRandAugmentButNotBeside3Augment) {
  const Image image = crop(golden_image("wide"), {3, 2, 32, 32});
  AugmentConfig config;
  config.flip = 0, config.color_jitter = {0.3};
  const auto changed = [&](const std::string& policy) {
    config.policy = policy;
    const TrainTransform transform(config, 32);
    int n = 0;
    for (uint64_t sample = 0; sample < 50; ++sample) {
      RandomSequence rng = augment_sequence(1, 0, sample);
      n += transform.augment(image, rng).rgb != image.rgb;
    }
    return n;
  };
  EXPECT_EQ(changed("none"), 50);
  EXPECT_EQ(changed("rand-m9-p0"), 0);
  EXPECT_EQ(changed("3a"), 50);
}

TEST(AugmentTransform, WrongRoomIsRefused) {
  const Image image = golden_image("wide");
  std::vector<float> out(7);
  EXPECT_THROW(EvalTransform(AugmentConfig(), 32)(image, out), Error);
  RandomSequence rng = augment_sequence(1, 0, 0);
  EXPECT_THROW(TrainTransform(AugmentConfig(), 32)(image, rng, out), Error);
}

TEST(AugmentMix, EqualsTimm) {
  const auto images = golden_values<float>("batch|images");
  const auto labels = golden_values<int64_t>("batch|labels");
  std::vector<float> mixed = images, targets(4 * 3);
  apply_mix({0.30000000000000004, false, {}}, mixed, 4, 2, 6, 5);
  EXPECT_EQ(mixed, golden_values<float>("batch|mixup"));
  mix_targets(0.30000000000000004, 0.1, labels, 3, targets);
  EXPECT_EQ(targets, golden_values<float>("batch|mixup_targets"));

  mixed = images;
  const auto box = golden_values<int64_t>("batch|cutmix_box");
  MixDraw draw{golden_values<double>("batch|cutmix_lambda")[0], true, {}};
  draw.box = {static_cast<int>(box[0]), static_cast<int>(box[1]), static_cast<int>(box[2]), static_cast<int>(box[3])};
  apply_mix(draw, mixed, 4, 2, 6, 5);
  EXPECT_EQ(mixed, golden_values<float>("batch|cutmix"));
  mix_targets(draw.lambda, 0.1, labels, 3, targets);
  EXPECT_EQ(targets, golden_values<float>("batch|cutmix_targets"));
  mix_targets(1, 0.1, labels, 3, targets);
  EXPECT_EQ(targets, golden_values<float>("batch|smoothed"));
}

TEST(AugmentMix, TargetsAreDistributionsAndLambdaIsTheArea) {
  const std::vector<int64_t> labels{3, 1, 4, 1, 0};  // odd: the middle one is its own partner
  for (uint64_t step = 0; step < 200; ++step) {
    RandomSequence rng = mix_sequence(5, step);
    const MixDraw draw = draw_mix(rng, {0.8, 1.0, 0.9, 0.5}, 24, 32);
    ASSERT_TRUE(draw.lambda >= 0 && draw.lambda <= 1);
    if (draw.cutmix) {
      EXPECT_NEAR(draw.lambda, 1 - draw.box.width * draw.box.height / (24.0 * 32), 1e-12);
    }
    std::vector<float> targets(5 * 7);
    mix_targets(draw.lambda, 0.1, labels, 7, targets);
    for (int i = 0; i < 5; ++i) {
      EXPECT_NEAR(std::accumulate(targets.begin() + 7 * i, targets.begin() + 7 * (i + 1), 0.0), 1.0, 1e-6);
    }
    EXPECT_NEAR(targets[7 * 2 + 4], 0.9 + 0.1 / 7, 1e-6);
    std::vector<float> images(static_cast<size_t>(5) * 24 * 32);
    for (size_t i = 0; i < images.size(); ++i) images[i] = static_cast<float>(i / (24 * 32));
    apply_mix(draw, images, 5, 1, 24, 32);
    const double mean = std::accumulate(images.begin(), images.begin() + 24 * 32, 0.0) / (24 * 32);
    EXPECT_NEAR(mean, 4 * (1 - draw.lambda), 1e-4);  // sample 0 shows 4 with weight 1 - lambda
  }
}

TEST(AugmentMix, BadLabelIsNamed) {
  std::vector<float> targets(4);
  EXPECT_THROW(mix_targets(1, 0, std::vector<int64_t>{0, 2}, 2, targets), Error);
  EXPECT_THROW(mix_targets(1, 0, std::vector<int64_t>{-1, 0}, 2, targets), Error);
}

}  // namespace
}  // namespace gfsa::data
