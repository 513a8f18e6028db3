// image_codecs.h -- the two codecs behind image.h, one file each; used by image.cpp alone.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "formats/image.h"

namespace gfsa::codec {

bool is_jpeg(std::span<const uint8_t> bytes);
bool is_png(std::span<const uint8_t> bytes);

Image decode_jpeg(std::span<const uint8_t> bytes, const std::string& where);
Image decode_png(std::span<const uint8_t> bytes, const std::string& where);
ImageSize jpeg_size(std::span<const uint8_t> bytes, const std::string& where);
ImageSize png_size(std::span<const uint8_t> bytes, const std::string& where);

// Throws if there are more than kMaxImagePixels.
void check_pixels(int64_t width, int64_t height, const std::string& where);
// Throws "truncated" if so many raw bytes cannot come out of so few compressed ones at `ratio`, the format's best: a
// damaged header must not make us allocate gigabytes.
void check_ratio(int64_t raw_bytes, size_t compressed_bytes, int64_t ratio, const ImageSize& size,
                 const std::string& where);

}  // namespace gfsa::codec
