#include "data/image/augment_op.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/strings.h"
#include "data/image/pixel_ops.h"

namespace gfsa::data {
namespace {

constexpr double kLevels = 10;  // timm's _LEVEL_DENOM

constexpr std::array<std::string_view, 27> kNames{"AutoContrast",
                                                  "Equalize",
                                                  "Invert",
                                                  "Rotate",
                                                  "Posterize",
                                                  "PosterizeIncreasing",
                                                  "PosterizeOriginal",
                                                  "Solarize",
                                                  "SolarizeIncreasing",
                                                  "SolarizeAdd",
                                                  "Color",
                                                  "ColorIncreasing",
                                                  "Contrast",
                                                  "ContrastIncreasing",
                                                  "Brightness",
                                                  "BrightnessIncreasing",
                                                  "Sharpness",
                                                  "SharpnessIncreasing",
                                                  "ShearX",
                                                  "ShearY",
                                                  "TranslateX",
                                                  "TranslateY",
                                                  "TranslateXRel",
                                                  "TranslateYRel",
                                                  "Desaturate",
                                                  "GaussianBlur",
                                                  "GaussianBlurRand"};
static_assert(kNames.size() == static_cast<size_t>(AugmentKind::kGaussianBlurRand) + 1);

double truncated(double x) { return std::trunc(x); }  // Python's int()

}  // namespace

std::string_view augment_kind_name(AugmentKind kind) { return kNames[static_cast<size_t>(kind)]; }

AugmentKind augment_kind_by_name(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) {
    bad_input("unknown augmentation '{}'{}", name,
              did_you_mean(name, std::vector<std::string>(kNames.begin(), kNames.end())));
  }
  return static_cast<AugmentKind>(found - kNames.begin());
}

bool is_geometric(AugmentKind kind) {
  switch (kind) {
    case AugmentKind::kRotate:
    case AugmentKind::kShearX:
    case AugmentKind::kShearY:
    case AugmentKind::kTranslateX:
    case AugmentKind::kTranslateY:
    case AugmentKind::kTranslateXRel:
    case AugmentKind::kTranslateYRel:
      return true;
    default:
      return false;
  }
}

bool is_signed(AugmentKind kind) {
  switch (kind) {
    case AugmentKind::kColorIncreasing:
    case AugmentKind::kContrastIncreasing:
    case AugmentKind::kBrightnessIncreasing:
    case AugmentKind::kSharpnessIncreasing:
      return true;
    default:
      return is_geometric(kind);
  }
}

double augment_argument(AugmentKind kind, double level, bool negative, const AugmentSettings& settings) {
  const double share = level / kLevels;
  const auto with_sign = [&](double v) { return negative ? -v : v; };
  switch (kind) {
    case AugmentKind::kAutoContrast:
    case AugmentKind::kEqualize:
    case AugmentKind::kInvert:
      return 0;
    case AugmentKind::kRotate:
      return with_sign(share * 30.0);
    case AugmentKind::kPosterize:
      return truncated(share * 4);
    case AugmentKind::kPosterizeIncreasing:
      return 4 - truncated(share * 4);
    case AugmentKind::kPosterizeOriginal:
      return truncated(share * 4) + 4;
    case AugmentKind::kSolarize:
      return std::min(256.0, truncated(share * 256));
    case AugmentKind::kSolarizeIncreasing:
      return 256 - std::min(256.0, truncated(share * 256));
    case AugmentKind::kSolarizeAdd:
      return std::min(128.0, truncated(share * 110));
    case AugmentKind::kColor:
    case AugmentKind::kContrast:
    case AugmentKind::kBrightness:
    case AugmentKind::kSharpness:
      return share * 1.8 + 0.1;
    case AugmentKind::kColorIncreasing:
    case AugmentKind::kContrastIncreasing:
    case AugmentKind::kBrightnessIncreasing:
    case AugmentKind::kSharpnessIncreasing:
      return std::max(0.1, 1.0 + with_sign(share * 0.9));
    case AugmentKind::kShearX:
    case AugmentKind::kShearY:
      return with_sign(share * 0.3);
    case AugmentKind::kTranslateX:
    case AugmentKind::kTranslateY:
      return with_sign(share * settings.translate_const);
    case AugmentKind::kTranslateXRel:
    case AugmentKind::kTranslateYRel:
      return with_sign(share * settings.translate_pct);
    case AugmentKind::kDesaturate:
      return std::clamp(0.5 + 0.5 * share, 0.5, 1.0);
    case AugmentKind::kGaussianBlur:
      return std::clamp(0.1 + (2.0 - 0.1) * share, 0.1, 2.0);
    case AugmentKind::kGaussianBlurRand:
      return std::clamp(share, 0.0, 1.0);
  }
  return 0;
}

std::optional<PixelOp> draw_augment_op(RandomSequence& rng, const AugmentOp& op, const AugmentSettings& settings) {
  if (op.probability < 1 && rng.uniform() > op.probability) return std::nullopt;
  double magnitude = op.magnitude;
  if (std::isinf(settings.magnitude_std)) {
    magnitude = rng.uniform(0, magnitude);
  } else if (settings.magnitude_std > 0) {
    magnitude += settings.magnitude_std * rng.normal();
  }
  magnitude = std::clamp(magnitude, 0.0, settings.magnitude_max);
  PixelOp out;
  out.kind = op.kind;
  const bool negative = is_signed(op.kind) && rng.uniform() > 0.5;
  out.argument = augment_argument(op.kind, magnitude, negative, settings);
  if (is_geometric(op.kind)) {
    out.interpolation = settings.interpolation ? *settings.interpolation
                        : rng.below(2) == 0    ? Interpolation::kBilinear
                                               : Interpolation::kBicubic;
  }
  if (op.kind == AugmentKind::kGaussianBlurRand) {  // here the level only bounds the radius
    out.kind = AugmentKind::kGaussianBlur;
    out.argument = rng.uniform(0.1, 2.0 * out.argument);
  }
  return out;
}

void apply_pixel_op(Image& image, const PixelOp& op, const Color& fill) {
  const double v = op.argument;
  switch (op.kind) {
    case AugmentKind::kAutoContrast:
      return auto_contrast(image);
    case AugmentKind::kEqualize:
      return equalize(image);
    case AugmentKind::kInvert:
      return invert(image);
    case AugmentKind::kRotate:
      image = rotate(image, v, op.interpolation, fill);
      return;
    case AugmentKind::kPosterize:
    case AugmentKind::kPosterizeIncreasing:
    case AugmentKind::kPosterizeOriginal:
      return posterize(image, static_cast<int>(v));
    case AugmentKind::kSolarize:
    case AugmentKind::kSolarizeIncreasing:
      return solarize(image, static_cast<int>(v));
    case AugmentKind::kSolarizeAdd:
      return solarize_add(image, static_cast<int>(v));
    case AugmentKind::kColor:
    case AugmentKind::kColorIncreasing:
      return adjust_color(image, v);
    case AugmentKind::kContrast:
    case AugmentKind::kContrastIncreasing:
      return adjust_contrast(image, v);
    case AugmentKind::kBrightness:
    case AugmentKind::kBrightnessIncreasing:
      return adjust_brightness(image, v);
    case AugmentKind::kSharpness:
    case AugmentKind::kSharpnessIncreasing:
      return adjust_sharpness(image, v);
    case AugmentKind::kShearX:
      image = shear_x(image, v, op.interpolation, fill);
      return;
    case AugmentKind::kShearY:
      image = shear_y(image, v, op.interpolation, fill);
      return;
    case AugmentKind::kTranslateX:
      image = translate_x(image, v, op.interpolation, fill);
      return;
    case AugmentKind::kTranslateY:
      image = translate_y(image, v, op.interpolation, fill);
      return;
    case AugmentKind::kTranslateXRel:
      image = translate_x(image, v * image.width, op.interpolation, fill);
      return;
    case AugmentKind::kTranslateYRel:
      image = translate_y(image, v * image.height, op.interpolation, fill);
      return;
    case AugmentKind::kDesaturate:
      return adjust_color(image, std::clamp(1.0 - v, 0.0, 1.0));
    case AugmentKind::kGaussianBlur:
    case AugmentKind::kGaussianBlurRand:
      return gaussian_blur(image, v);
  }
}

}  // namespace gfsa::data
