// Hue as torchvision shifts it on PIL images: Pillow's 8-bit HSV (Convert.c) there and back.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "data/image/pixel_ops.h"

namespace gfsa::data {
namespace {

struct Hsv {
  uint8_t h, s, v;
};

Hsv hsv_of(const uint8_t* rgb) {
  const uint8_t r = rgb[0], g = rgb[1], b = rgb[2];
  const uint8_t high = std::max({r, g, b}), low = std::min({r, g, b});
  if (low == high) return {0, 0, high};
  const float range = static_cast<float>(high - low), s = range / static_cast<float>(high);
  const float rc = static_cast<float>(high - r) / range, gc = static_cast<float>(high - g) / range,
              bc = static_cast<float>(high - b) / range;
  float h;
  if (r == high) {
    h = bc - gc;
  } else if (g == high) {
    h = static_cast<float>(2.0 + rc - bc);
  } else {
    h = static_cast<float>(4.0 + gc - rc);
  }
  const double turns = h / 6.0 + 1.0;
  h = static_cast<float>(turns - std::floor(turns));
  return {static_cast<uint8_t>(static_cast<int>(h * 255.0)), static_cast<uint8_t>(static_cast<int>(s * 255.0)), high};
}

void store_rgb(const Hsv& in, uint8_t* rgb) {
  if (in.s == 0) {
    rgb[0] = rgb[1] = rgb[2] = in.v;
    return;
  }
  const float hue = static_cast<float>(in.h);
  const int sector = static_cast<int>(hue * 6.0 / 255.0);
  const float f = static_cast<float>(hue * 6.0 / 255.0 - static_cast<float>(sector));
  const float fs = static_cast<float>(in.s) / 255.0f;
  const double v = static_cast<float>(in.v);
  const auto level = [](double x) { return static_cast<uint8_t>(std::clamp(static_cast<int>(x + 0.5), 0, 255)); };
  const uint8_t p = level(v * (1.0 - fs)), q = level(v * (1.0 - fs * f)), t = level(v * (1.0 - fs * (1.0 - f)));
  const uint8_t choices[6][3] = {{in.v, t, p}, {q, in.v, p}, {p, in.v, t}, {p, q, in.v}, {t, p, in.v}, {in.v, p, q}};
  std::copy_n(choices[sector % 6], 3, rgb);
}

}  // namespace

void adjust_hue(Image& image, double factor) {
  if (!(factor >= -0.5 && factor <= 0.5)) bad_input("adjust_hue: the factor is {}, expected -0.5 to 0.5", factor);
  const uint8_t shift = static_cast<uint8_t>(static_cast<int>(factor * 255));
  for (size_t i = 0; i < image.rgb.size(); i += 3) {
    Hsv hsv = hsv_of(image.rgb.data() + i);
    hsv.h = static_cast<uint8_t>(hsv.h + shift);
    store_rgb(hsv, image.rgb.data() + i);
  }
}

}  // namespace gfsa::data
