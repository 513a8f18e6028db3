#include "data/image/auto_augment_tables.h"

namespace gfsa::data {
namespace {

using Table = std::vector<std::vector<AugmentOp>>;

// The TPU implementation of EfficientNet.
Table v0() {
  return {
      {{AugmentKind::kEqualize, 0.8, 1}, {AugmentKind::kShearY, 0.8, 4}},
      {{AugmentKind::kColor, 0.4, 9}, {AugmentKind::kEqualize, 0.6, 3}},
      {{AugmentKind::kColor, 0.4, 1}, {AugmentKind::kRotate, 0.6, 8}},
      {{AugmentKind::kSolarize, 0.8, 3}, {AugmentKind::kEqualize, 0.4, 7}},
      {{AugmentKind::kSolarize, 0.4, 2}, {AugmentKind::kSolarize, 0.6, 2}},
      {{AugmentKind::kColor, 0.2, 0}, {AugmentKind::kEqualize, 0.8, 8}},
      {{AugmentKind::kEqualize, 0.4, 8}, {AugmentKind::kSolarizeAdd, 0.8, 3}},
      {{AugmentKind::kShearX, 0.2, 9}, {AugmentKind::kRotate, 0.6, 8}},
      {{AugmentKind::kColor, 0.6, 1}, {AugmentKind::kEqualize, 1.0, 2}},
      {{AugmentKind::kInvert, 0.4, 9}, {AugmentKind::kRotate, 0.6, 0}},
      {{AugmentKind::kEqualize, 1.0, 9}, {AugmentKind::kShearY, 0.6, 3}},
      {{AugmentKind::kColor, 0.4, 7}, {AugmentKind::kEqualize, 0.6, 0}},
      {{AugmentKind::kPosterize, 0.4, 6}, {AugmentKind::kAutoContrast, 0.4, 7}},
      {{AugmentKind::kSolarize, 0.6, 8}, {AugmentKind::kColor, 0.6, 9}},
      {{AugmentKind::kSolarize, 0.2, 4}, {AugmentKind::kRotate, 0.8, 9}},
      {{AugmentKind::kRotate, 1.0, 7}, {AugmentKind::kTranslateYRel, 0.8, 9}},
      {{AugmentKind::kShearX, 0.0, 0}, {AugmentKind::kSolarize, 0.8, 4}},
      {{AugmentKind::kShearY, 0.8, 0}, {AugmentKind::kColor, 0.6, 4}},
      {{AugmentKind::kColor, 1.0, 0}, {AugmentKind::kRotate, 0.6, 2}},
      {{AugmentKind::kEqualize, 0.8, 4}, {AugmentKind::kEqualize, 0.0, 8}},
      {{AugmentKind::kEqualize, 1.0, 4}, {AugmentKind::kAutoContrast, 0.6, 2}},
      {{AugmentKind::kShearY, 0.4, 7}, {AugmentKind::kSolarizeAdd, 0.6, 7}},
      {{AugmentKind::kPosterize, 0.8, 2}, {AugmentKind::kSolarize, 0.6, 10}},
      {{AugmentKind::kSolarize, 0.6, 8}, {AugmentKind::kEqualize, 0.6, 1}},
      {{AugmentKind::kColor, 0.8, 6}, {AugmentKind::kRotate, 0.4, 5}},
  };
}

// The ImageNet policy of the paper.
Table original() {
  return {
      {{AugmentKind::kPosterizeOriginal, 0.4, 8}, {AugmentKind::kRotate, 0.6, 9}},
      {{AugmentKind::kSolarize, 0.6, 5}, {AugmentKind::kAutoContrast, 0.6, 5}},
      {{AugmentKind::kEqualize, 0.8, 8}, {AugmentKind::kEqualize, 0.6, 3}},
      {{AugmentKind::kPosterizeOriginal, 0.6, 7}, {AugmentKind::kPosterizeOriginal, 0.6, 6}},
      {{AugmentKind::kEqualize, 0.4, 7}, {AugmentKind::kSolarize, 0.2, 4}},
      {{AugmentKind::kEqualize, 0.4, 4}, {AugmentKind::kRotate, 0.8, 8}},
      {{AugmentKind::kSolarize, 0.6, 3}, {AugmentKind::kEqualize, 0.6, 7}},
      {{AugmentKind::kPosterizeOriginal, 0.8, 5}, {AugmentKind::kEqualize, 1.0, 2}},
      {{AugmentKind::kRotate, 0.2, 3}, {AugmentKind::kSolarize, 0.6, 8}},
      {{AugmentKind::kEqualize, 0.6, 8}, {AugmentKind::kPosterizeOriginal, 0.4, 6}},
      {{AugmentKind::kRotate, 0.8, 8}, {AugmentKind::kColor, 0.4, 0}},
      {{AugmentKind::kRotate, 0.4, 9}, {AugmentKind::kEqualize, 0.6, 2}},
      {{AugmentKind::kEqualize, 0.0, 7}, {AugmentKind::kEqualize, 0.8, 8}},
      {{AugmentKind::kInvert, 0.6, 4}, {AugmentKind::kEqualize, 1.0, 8}},
      {{AugmentKind::kColor, 0.6, 4}, {AugmentKind::kContrast, 1.0, 8}},
      {{AugmentKind::kRotate, 0.8, 8}, {AugmentKind::kColor, 1.0, 2}},
      {{AugmentKind::kColor, 0.8, 8}, {AugmentKind::kSolarize, 0.8, 7}},
      {{AugmentKind::kSharpness, 0.4, 7}, {AugmentKind::kInvert, 0.6, 8}},
      {{AugmentKind::kShearX, 0.6, 5}, {AugmentKind::kEqualize, 1.0, 9}},
      {{AugmentKind::kColor, 0.4, 0}, {AugmentKind::kEqualize, 0.6, 3}},
      {{AugmentKind::kEqualize, 0.4, 7}, {AugmentKind::kSolarize, 0.2, 4}},
      {{AugmentKind::kSolarize, 0.6, 5}, {AugmentKind::kAutoContrast, 0.6, 5}},
      {{AugmentKind::kInvert, 0.6, 4}, {AugmentKind::kEqualize, 1.0, 8}},
      {{AugmentKind::kColor, 0.6, 4}, {AugmentKind::kContrast, 1.0, 8}},
      {{AugmentKind::kEqualize, 0.8, 8}, {AugmentKind::kEqualize, 0.6, 3}},
  };
}

// The "r" variants: Posterize of the research code, which drops more bits at higher magnitudes.
Table with_increasing_posterize(Table table) {
  for (auto& sequence : table) {
    for (AugmentOp& op : sequence) {
      if (op.kind == AugmentKind::kPosterize || op.kind == AugmentKind::kPosterizeOriginal) {
        op.kind = AugmentKind::kPosterizeIncreasing;
      }
    }
  }
  return table;
}

}  // namespace

Table auto_augment_table(const std::string& name) {
  if (name == "original") return original();
  if (name == "originalr") return with_increasing_posterize(original());
  if (name == "v0") return v0();
  if (name == "v0r") return with_increasing_posterize(v0());
  if (name == "3a") {
    return {{{AugmentKind::kSolarize, 1, 5}},
            {{AugmentKind::kDesaturate, 1, 10}},
            {{AugmentKind::kGaussianBlurRand, 1, 10}}};
  }
  return {};
}

std::vector<WeightedKind> rand_augment_table(const std::string& name, bool& weighted) {
  weighted = name == "3aw" || name == "weights";
  if (name.empty()) {
    return {
        {AugmentKind::kAutoContrast, 1}, {AugmentKind::kEqualize, 1},      {AugmentKind::kInvert, 1},
        {AugmentKind::kRotate, 1},       {AugmentKind::kPosterize, 1},     {AugmentKind::kSolarize, 1},
        {AugmentKind::kSolarizeAdd, 1},  {AugmentKind::kColor, 1},         {AugmentKind::kContrast, 1},
        {AugmentKind::kBrightness, 1},   {AugmentKind::kSharpness, 1},     {AugmentKind::kShearX, 1},
        {AugmentKind::kShearY, 1},       {AugmentKind::kTranslateXRel, 1}, {AugmentKind::kTranslateYRel, 1},
    };
  }
  if (name == "increasing") {
    return {
        {AugmentKind::kAutoContrast, 1},
        {AugmentKind::kEqualize, 1},
        {AugmentKind::kInvert, 1},
        {AugmentKind::kRotate, 1},
        {AugmentKind::kPosterizeIncreasing, 1},
        {AugmentKind::kSolarizeIncreasing, 1},
        {AugmentKind::kSolarizeAdd, 1},
        {AugmentKind::kColorIncreasing, 1},
        {AugmentKind::kContrastIncreasing, 1},
        {AugmentKind::kBrightnessIncreasing, 1},
        {AugmentKind::kSharpnessIncreasing, 1},
        {AugmentKind::kShearX, 1},
        {AugmentKind::kShearY, 1},
        {AugmentKind::kTranslateXRel, 1},
        {AugmentKind::kTranslateYRel, 1},
    };
  }
  if (name == "3a") {
    return {
        {AugmentKind::kSolarizeIncreasing, 1},
        {AugmentKind::kDesaturate, 1},
        {AugmentKind::kGaussianBlur, 1},
    };
  }
  if (name == "3aw") {
    return {
        {AugmentKind::kSolarizeIncreasing, 6},
        {AugmentKind::kDesaturate, 6},
        {AugmentKind::kGaussianBlur, 6},
        {AugmentKind::kRotate, 3},
        {AugmentKind::kShearX, 2},
        {AugmentKind::kShearY, 2},
        {AugmentKind::kPosterizeIncreasing, 1},
        {AugmentKind::kAutoContrast, 1},
        {AugmentKind::kColorIncreasing, 1},
        {AugmentKind::kSharpnessIncreasing, 1},
        {AugmentKind::kContrastIncreasing, 1},
        {AugmentKind::kBrightnessIncreasing, 1},
        {AugmentKind::kEqualize, 1},
        {AugmentKind::kInvert, 1},
    };
  }
  if (name == "weights") {
    return {
        {AugmentKind::kRotate, 3},
        {AugmentKind::kShearX, 2},
        {AugmentKind::kShearY, 2},
        {AugmentKind::kTranslateXRel, 1},
        {AugmentKind::kTranslateYRel, 1},
        {AugmentKind::kColorIncreasing, .25},
        {AugmentKind::kSharpnessIncreasing, 0.25},
        {AugmentKind::kAutoContrast, 0.25},
        {AugmentKind::kSolarizeIncreasing, .05},
        {AugmentKind::kSolarizeAdd, .05},
        {AugmentKind::kContrastIncreasing, .05},
        {AugmentKind::kBrightnessIncreasing, .05},
        {AugmentKind::kEqualize, .05},
        {AugmentKind::kPosterizeIncreasing, 0.05},
        {AugmentKind::kInvert, 0.05},
    };
  }
  return {};
}

}  // namespace gfsa::data
