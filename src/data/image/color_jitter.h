// color_jitter.h -- torchvision's ColorJitter on PIL images.
#pragma once

#include <array>

#include "core/philox.h"
#include "formats/image.h"

namespace gfsa::data {

// Strengths: factors are uniform in [max(0, 1 - s), 1 + s], hue in [-hue, hue]; 0 leaves a property alone.
struct ColorJitter {
  double brightness = 0, contrast = 0, saturation = 0, hue = 0;
  bool enabled() const { return brightness > 0 || contrast > 0 || saturation > 0 || hue > 0; }
};

// What is done to one image: properties 0 brightness, 1 contrast, 2 saturation, 3 hue, in the order given.
struct ColorJitterDraw {
  std::array<int, 4> order{0, 1, 2, 3};
  double brightness = 1, contrast = 1, saturation = 1, hue = 0;
};

ColorJitterDraw draw_color_jitter(RandomSequence& rng, const ColorJitter& jitter);
// A factor of 1 (hue: 0) does nothing.
void apply_color_jitter(Image& image, const ColorJitterDraw& draw);

}  // namespace gfsa::data
