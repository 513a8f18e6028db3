// resample.h -- resizing, cropping, padding and mirroring of 8-bit RGB images, bit for bit as Pillow (Resample.c,
// Crop.c, Geometry.c of libImaging) does them.
#pragma once

#include <string>

#include "formats/image.h"

namespace gfsa::data {

enum class Interpolation { kNearest, kBilinear, kBicubic };

// "nearest", "bilinear", "bicubic"; bad input otherwise.
Interpolation interpolation_by_name(const std::string& name);

// Pixels [left, left + width) x [top, top + height).
struct CropBox {
  int left = 0, top = 0, width = 0, height = 0;
  bool operator==(const CropBox&) const = default;
};

// A region with fractional edges, in pixels: Pillow's box=(left, top, right, bottom).
struct FloatBox {
  float left = 0, top = 0, right = 0, bottom = 0;
};

// Image.resize((width, height), interpolation, box). Bilinear and bicubic (a = -0.5) are stretched by the scale when
// shrinking (antialiased), separable (in the order of Pillow 13: see resample.cpp), with weights of 22 fractional bits
// and an 8-bit image between the passes. Throws bad input if a size is below 1 or the box is empty or leaves the image.
Image resize(const Image& image, int width, int height, Interpolation interpolation);
Image resize(const Image& image, int width, int height, Interpolation interpolation, const FloatBox& box);

// crop(image, box) and then resize, without the copy: pixels outside the box have no influence.
Image crop_and_resize(const Image& image, const CropBox& box, int width, int height, Interpolation interpolation);

// The box must lie inside the image (bad input otherwise).
Image crop(const Image& image, const CropBox& box);

enum class Padding { kZero, kReflect };  // kReflect: without repeating the edge pixel, as numpy.pad's "reflect"

// The image with `left`, `top`, ... rows and columns added. Reflection needs them smaller than the image.
Image pad(const Image& image, int left, int top, int right, int bottom, Padding padding);

// Image.transpose(FLIP_LEFT_RIGHT), in place.
void flip_horizontal(Image& image);

}  // namespace gfsa::data
