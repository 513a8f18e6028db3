// augment_op.h -- the operations of timm's auto_augment.py by their names there: from a magnitude (0 to 10) to an
// argument, and from an argument to pixels.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/philox.h"
#include "data/image/affine.h"
#include "data/image/resample.h"

namespace gfsa::data {

enum class AugmentKind {
  kAutoContrast,
  kEqualize,
  kInvert,
  kRotate,
  kPosterize,
  kPosterizeIncreasing,
  kPosterizeOriginal,
  kSolarize,
  kSolarizeIncreasing,
  kSolarizeAdd,
  kColor,
  kColorIncreasing,
  kContrast,
  kContrastIncreasing,
  kBrightness,
  kBrightnessIncreasing,
  kSharpness,
  kSharpnessIncreasing,
  kShearX,
  kShearY,
  kTranslateX,
  kTranslateY,
  kTranslateXRel,
  kTranslateYRel,
  kDesaturate,
  kGaussianBlur,
  kGaussianBlurRand,
};

// timm's name ("PosterizeIncreasing"); an unknown name is bad input.
std::string_view augment_kind_name(AugmentKind kind);
AugmentKind augment_kind_by_name(std::string_view name);

// Does the sign of the argument come from a coin (rotation, shear, translation, the Increasing enhancements)?
bool is_signed(AugmentKind kind);
// Does it take an interpolation?
bool is_geometric(AugmentKind kind);

// What all operations of a policy share (timm's hparams).
struct AugmentSettings {
  Color fill{128, 128, 128};                   // outside the image: the data set's mean colour
  std::optional<Interpolation> interpolation;  // of geometric operations; none: bilinear or bicubic by a coin
  double translate_const = 250;                // pixels at magnitude 10, for TranslateX and TranslateY
  double translate_pct = 0.45;                 // share of the edge at magnitude 10, for the Rel variants
  double magnitude_std = 0;                    // of a normal around the magnitude; infinity: uniform in [0, magnitude]
  double magnitude_max = 10;
};

// The argument at `level` (already inside [0, magnitude_max]): degrees, factor, bits, threshold, addend, pixels, share
// of the edge or radius; 0 for operations without one. `negative`: the coin; ignored where is_signed(kind) is false.
double augment_argument(AugmentKind kind, double level, bool negative, const AugmentSettings& settings);

// An operation that is ready to be applied.
struct PixelOp {
  AugmentKind kind = AugmentKind::kInvert;
  double argument = 0;
  Interpolation interpolation = Interpolation::kBicubic;  // geometric operations only
};

void apply_pixel_op(Image& image, const PixelOp& op, const Color& fill);

// An entry of a policy: with `probability`, the operation at `magnitude`.
struct AugmentOp {
  AugmentKind kind = AugmentKind::kInvert;
  double probability = 0.5, magnitude = 10;
};

// timm's AugmentOp.__call__ without the pixels. None: the coin said no.
std::optional<PixelOp> draw_augment_op(RandomSequence& rng, const AugmentOp& op, const AugmentSettings& settings);

}  // namespace gfsa::data
