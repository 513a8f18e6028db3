// erasing.h -- timm's RandomErasing on a normalised float image (Zhong et al. 2017, arXiv:1708.04896).
#pragma once

#include <span>
#include <vector>

#include "core/philox.h"
#include "data/image/resample.h"

namespace gfsa::data {

enum class ErasingMode {
  kConst,
  kRand,
  kPixel
};  // zeros; one normal colour a box; a normal number a pixel and channel

struct RandomErasing {
  double probability = 0;
  ErasingMode mode = ErasingMode::kPixel;
  int count = 1;                               // up to so many boxes, uniform in [1, count]; they share the area
  double min_area = 0.02, max_area = 1 / 3.0;  // of the image
  double min_aspect = 0.3;                     // log-uniform in [min_aspect, 1 / min_aspect]
};

// Boxes smaller than the image in both directions; a box for which ten trials fail is left out.
std::vector<CropBox> draw_erasing(RandomSequence& rng, const RandomErasing& erasing, int width, int height);

// pixels: [channels, height, width]
void apply_erasing(RandomSequence& rng, const std::vector<CropBox>& boxes, ErasingMode mode, std::span<float> pixels,
                   int channels, int height, int width);

}  // namespace gfsa::data
