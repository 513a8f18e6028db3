// mixup.h -- Mixup (arXiv:1710.09412) and CutMix (arXiv:1905.04899) of a batch, as timm's Mixup with mode "batch": one
// draw a batch, sample i is mixed with sample B - 1 - i; the middle one of an odd batch (timm refuses those) with
// itself.
#pragma once

#include <cstdint>
#include <span>

#include "core/philox.h"
#include "data/image/resample.h"

namespace gfsa::data {

struct MixConfig {
  double mixup_alpha = 0, cutmix_alpha = 0;  // of Beta(alpha, alpha); 0 switches the method off
  double probability = 1;                    // of mixing a batch at all
  double switch_probability = 0.5;           // of CutMix where both are on
  bool enabled() const { return mixup_alpha > 0 || cutmix_alpha > 0; }
};

// lambda: weight of the sample itself. For CutMix it is the share of pixels outside the (clipped) box.
struct MixDraw {
  double lambda = 1;
  bool cutmix = false;
  CropBox box;  // CutMix only; may be empty
};

MixDraw draw_mix(RandomSequence& rng, const MixConfig& config, int height, int width);
// The box whose area is 1 - lambda of the image before clipping, its centre uniform (timm's rand_bbox); sets
// draw.lambda to the share that is left.
MixDraw draw_cutmix_box(RandomSequence& rng, double lambda, int height, int width);
// Beta(a, b), a, b > 0.
double draw_beta(RandomSequence& rng, double a, double b);

// In place; images: [batch, channels, height, width].
void apply_mix(const MixDraw& draw, std::span<float> images, int batch, int channels, int height, int width);

// targets[i] = lambda smooth(labels[i]) + (1 - lambda) smooth(labels[B - 1 - i]), [batch, classes], where smooth puts
// 1 - smoothing + smoothing / classes on the label and smoothing / classes elsewhere. A label outside [0, classes) is
// bad input.
void mix_targets(double lambda, double smoothing, std::span<const int64_t> labels, int classes,
                 std::span<float> targets);

}  // namespace gfsa::data
