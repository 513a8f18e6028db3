#include "data/image/color_jitter.h"

#include <algorithm>
#include <utility>

#include "data/image/pixel_ops.h"

namespace gfsa::data {

ColorJitterDraw draw_color_jitter(RandomSequence& rng, const ColorJitter& jitter) {
  ColorJitterDraw draw;
  for (int i = 3; i > 0; --i) std::swap(draw.order[i], draw.order[rng.below(static_cast<uint64_t>(i) + 1)]);
  const auto factor = [&](double strength) {
    return strength > 0 ? rng.uniform(std::max(0.0, 1.0 - strength), 1.0 + strength) : 1.0;
  };
  draw.brightness = factor(jitter.brightness);
  draw.contrast = factor(jitter.contrast);
  draw.saturation = factor(jitter.saturation);
  if (jitter.hue > 0) draw.hue = rng.uniform(-jitter.hue, jitter.hue);
  return draw;
}

void apply_color_jitter(Image& image, const ColorJitterDraw& draw) {
  for (const int property : draw.order) {
    if (property == 0 && draw.brightness != 1) adjust_brightness(image, draw.brightness);
    if (property == 1 && draw.contrast != 1) adjust_contrast(image, draw.contrast);
    if (property == 2 && draw.saturation != 1) adjust_color(image, draw.saturation);
    if (property == 3 && draw.hue != 0) adjust_hue(image, draw.hue);
  }
}

}  // namespace gfsa::data
