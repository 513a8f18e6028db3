// pixel_ops.h -- operations on the colours of 8-bit RGB images, in place, bit for bit as Pillow (ImageOps,
// ImageEnhance, ImageFilter, HSV conversion) does them on mode "RGB".
#pragma once

#include <array>
#include <cstdint>

#include "formats/image.h"

namespace gfsa::data {

using LookupTable = std::array<uint8_t, 256>;

// The same table for every channel, or one a channel.
void apply_table(Image& image, const LookupTable& table);
void apply_tables(Image& image, const std::array<LookupTable, 3>& tables);

// ImageOps; histograms are a channel's own.
void auto_contrast(Image& image);
void equalize(Image& image);
void invert(Image& image);
// Keeps the `bits` upper bits. bits >= 8 changes nothing; 0 makes the image black (timm's TPU policy asks for it;
// Pillow accepted it up to version 12 and refuses it since).
void posterize(Image& image, int bits);
// Values >= threshold are inverted.
void solarize(Image& image, int threshold);
// Values < threshold get `add` added, at most 255.
void solarize_add(Image& image, int add, int threshold = 128);

// ImageEnhance: 0 is the degenerate image (gray, flat mean gray, black, smoothed), 1 the image itself, above 1 more.
void adjust_color(Image& image, double factor);  // torchvision's adjust_saturation
void adjust_contrast(Image& image, double factor);
void adjust_brightness(Image& image, double factor);
void adjust_sharpness(Image& image, double factor);

// torchvision's adjust_hue on PIL images: hue shifted by factor * 255 of 256 levels; factor in [-0.5, 0.5] (bad input
// otherwise).
void adjust_hue(Image& image, double factor);

// convert("L").convert("RGB"): ITU-R 601-2 luma.
void grayscale(Image& image);

// ImageFilter.GaussianBlur(radius): three extended box filters a direction; radius is the standard deviation, >= 0.
void gaussian_blur(Image& image, double radius);

}  // namespace gfsa::data
