#include "data/image/augment_config.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "data/image/augment_policy.h"

namespace gfsa::data {
namespace {

// Why a policy's text cannot be read; "" if it can.
std::string policy_problem(const std::string& text) {
  try {
    static_cast<void>(AugmentPolicy(text, AugmentSettings{}));
    return "";
  } catch (const Error& error) {
    return error.message();
  }
}

}  // namespace

void RandomResizedCropConfig::describe(config::Schema& s) {
  s.shorthand("enabled");
  s.field("enabled", enabled)
      .doc(
          "Crop a random part and resize it to the model's image size; else the shorter edge is resized and the centre "
          "taken.");
  s.field("scale", scale).above(0).at_most(1).doc("Area of the crop as a share of the image, smallest and largest.");
  s.field("ratio", ratio).positive().doc("Width over height of the crop, smallest and largest; log-uniform.");
  s.check(scale[0] <= scale[1], "scale", "the first must not be larger than the second");
  s.check(ratio[0] <= ratio[1], "ratio", "the first must not be larger than the second");
}

void ErasingConfig::describe(config::Schema& s) {
  s.shorthand("prob");
  s.field("prob", prob)
      .in(0, 1)
      .doc("Probability that a rectangle of an image is erased, after normalisation.")
      .source("arXiv:1708.04896");
  s.field("mode", mode)
      .choices({"const", "rand", "pixel"})
      .doc("Erase with zeros, with one random colour a rectangle, or with random pixels (standard normal).");
  s.field("count", count).at_least(1).at_most(100).doc("Up to so many rectangles an image; they share the area.");
  s.field("min_area", min_area).above(0).at_most(1).doc("Smallest erased area, as a share of the image.");
  s.field("max_area", max_area).above(0).at_most(1).doc("Largest erased area, as a share of the image.");
  s.field("min_aspect", min_aspect).above(0).at_most(1).doc("Aspect ratios lie between this and its inverse.");
  s.check(min_area <= max_area, "min_area", "it must not be larger than max_area");
}

void PadCropConfig::describe(config::Schema& s) {
  s.shorthand("padding");
  s.field("padding", padding)
      .in(0, 4096)
      .unit("pixels")
      .doc("Pad by so much on every side and crop the image size at random; 0 is off. For small images.");
  s.field("mode", mode).choices({"zero", "reflect"}).doc("What the padding shows: black or the mirrored image.");
}

void EvalTransformConfig::describe(config::Schema& s) {
  s.shorthand("crop_pct");
  s.field("crop_pct", crop_pct)
      .at_least(0.01)
      .at_most(1)
      .doc("The shorter edge is resized to image size / crop_pct, then the centre is taken.");
  s.field("resize", resize)
      .in(1, 65535)
      .unit("pixels")
      .doc("The shorter edge is resized to this, whatever crop_pct is.");
}

void AugmentConfig::describe(config::Schema& s) {
  s.section("random_resized_crop", random_resized_crop, "Random part of the image, resized (training only).");
  s.section("pad_crop", pad_crop, "Random crop of the padded image (training only).");
  s.field("interpolation", interpolation)
      .choices({"bilinear", "bicubic", "random"})
      .doc(
          "Of resizing, and of the policy's rotations and shears; random chooses anew each time (evaluation: "
          "bilinear).");
  s.field("flip", flip).in(0, 1).doc("Probability of a horizontal flip.");
  s.field("policy", policy)
      .not_empty()
      .doc(
          "Random operations on each image: none, rand-m9-mstd0.5-inc1 (RandAugment and its options as in timm), "
          "original, originalr, v0, v0r (AutoAugment), 3a (3-Augment).")
      .source("timm auto_augment.py");
  const std::string problem = policy_problem(policy);
  s.check(problem.empty(), "policy", problem);
  s.field("color_jitter", color_jitter)
      .scalar_or_list()
      .at_least(0)
      .doc(
          "Strength of random brightness, contrast, saturation and, as a fourth, hue; one number stands for the first "
          "three. As in timm it is off beside a policy other than 3a.");
  s.check(color_jitter.size() != 2 && color_jitter.size() <= 4, "color_jitter", "it takes 1, 3 or 4 numbers");
  s.check(color_jitter.size() < 4 || color_jitter[3] <= 0.5, "color_jitter", "hue, the fourth, is at most 0.5");
  s.section("erasing", erasing, "Random erasing (training only).");
  s.field("mixup", mixup).at_least(0).doc("Alpha of Mixup's Beta distribution; 0 is off.").source("arXiv:1710.09412");
  s.field("cutmix", cutmix)
      .at_least(0)
      .doc("Alpha of CutMix's Beta distribution; 0 is off.")
      .source("arXiv:1905.04899");
  s.field("mix_prob", mix_prob).in(0, 1).doc("Probability that a batch is mixed at all.");
  s.field("mix_switch_prob", mix_switch_prob).in(0, 1).doc("Probability of CutMix where Mixup is on too.");
  s.field("label_smoothing", label_smoothing).at_least(0).below(1).doc("Share of the target spread over all classes.");
  s.field("repeated", repeated)
      .at_least(1)
      .doc("Repeated augmentation: each image so many times an epoch, each time augmented differently; 1 is off.")
      .source("arXiv:1901.09335; DeiT uses 3");
  s.field("mean", mean).each_in(0, 1).doc("Subtracted from channels scaled to [0, 1].");
  s.field("std", std).positive().doc("Channels are divided by it after that.");
  s.section("eval", eval, "Resizing for evaluation.");
}

ColorJitter AugmentConfig::jitter() const {
  if (color_jitter.empty()) return {};
  if (color_jitter.size() == 1) return {color_jitter[0], color_jitter[0], color_jitter[0], 0};
  return {color_jitter[0], color_jitter[1], color_jitter[2], color_jitter.size() > 3 ? color_jitter[3] : 0.0};
}

RandomErasing AugmentConfig::random_erasing() const {
  RandomErasing out;
  out.probability = erasing.prob;
  out.mode = erasing.mode == "const"  ? ErasingMode::kConst
             : erasing.mode == "rand" ? ErasingMode::kRand
                                      : ErasingMode::kPixel;
  out.count = erasing.count;
  out.min_area = erasing.min_area, out.max_area = erasing.max_area, out.min_aspect = erasing.min_aspect;
  return out;
}

MixConfig AugmentConfig::mix() const { return {mixup, cutmix, mix_prob, mix_switch_prob}; }

Color AugmentConfig::fill() const {
  Color color;
  for (int c = 0; c < 3; ++c) color[c] = static_cast<uint8_t>(std::min(255.0, std::nearbyint(255 * mean[c])));
  return color;
}

}  // namespace gfsa::data
