// random_crop.h -- where to crop, as torchvision and timm draw it. Drawing is apart from pixels, so that each can be
// tested alone. Every function takes its numbers from `rng` only.
#pragma once

#include <array>

#include "core/philox.h"
#include "data/image/resample.h"

namespace gfsa::data {

// RandomResizedCrop: area uniform in scale * the image's, aspect ratio log-uniform in `ratio`, both rounded to pixels;
// at most ten trials, then the largest central crop whose ratio is allowed (timm's RandomResizedCropAndInterpolation).
CropBox draw_random_resized_crop(RandomSequence& rng, int width, int height, const std::array<double, 2>& scale,
                                 const std::array<double, 2>& ratio);

// RandomCrop(size): a uniform position. The image must be at least as large (bad input otherwise).
CropBox draw_random_crop(RandomSequence& rng, int width, int height, int crop_width, int crop_height);

// CenterCrop's box, torchvision's rounding; the same demand.
CropBox center_crop_box(int width, int height, int crop_width, int crop_height);

// CenterCrop: an image that is too small is padded with black on all sides first.
Image center_crop(const Image& image, int width, int height);

// Resize(size): the shorter edge becomes `size`, the other in proportion (truncated). Bad input if that gives more than
// kMaxImagePixels.
Image resize_shorter_edge(const Image& image, int size, Interpolation interpolation);

}  // namespace gfsa::data
