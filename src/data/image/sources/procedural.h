// procedural.h -- a generated data set for quick starts and tests: one of ten glyphs at a random place, in random size
// and colours, on noisy ground.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "data/image/image_source.h"

namespace gfsa::data {

// Glyph and ground swap roles at random, so a pixel's mean is the same in every class and a linear classifier stays
// near chance; what counts is how neighbouring pixels relate, anywhere. No class turns into another when mirrored left
// to right. A picture is a pure function of (seed, split, index); the label is drawn too, so classes are balanced only
// on average.
struct ProceduralConfig : ImageSourceConfig {
  int64_t train_size = 10240, val_size = 2048;
  int64_t generator_seed = 0;
  // What makes it harder: smaller glyphs, less contrast, more noise.
  std::array<double, 2> radius{7.0, 11.0};  // half the glyph's width, in pixels of 32
  int contrast = 96;                        // least difference in brightness between glyph and ground, of 255
  int noise = 16;                           // largest deviation of a pixel, triangular, of 255
  void describe(config::Schema& s) override;
  // Splits: train, val (or test).
  std::unique_ptr<ImageSource> open(const std::string& split) const override;
};

inline constexpr int kProceduralSize = 32;  // pixels, both ways

}  // namespace gfsa::data
