// image.h -- encoded pictures to RGB bytes and back: JPEG by libjpeg-turbo, PNG by libpng. The pixels are those of
// Pillow's Image.open(...).convert("RGB"): alpha is dropped, EXIF orientation, colour profiles and gamma are ignored.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace gfsa {

// Rows top to bottom, pixels left to right, three bytes a pixel: rgb[(y * width + x) * 3 + channel], size width *
// height * 3.
struct Image {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;
};

// The size in a picture's header, without decoding it.
struct ImageSize {
  int width = 0, height = 0;
};

// A picture has at most this many pixels (a guard against nonsense in headers).
inline constexpr int64_t kMaxImagePixels = 200'000'000;

// Recognises the format by content, never by name. JPEG: baseline, progressive and arithmetic; gray, YCbCr, RGB, CMYK
// and YCCK (four channels inverted, as Adobe writes and Pillow assumes). PNG: every colour type and depth; 16-bit
// colour keeps the upper byte, 16-bit gray is clipped to 255 (what Pillow does with both). Thread safe, no shared
// state. Throws bad input that starts with `where` and says why: not a picture, truncated, corrupt, too large. A JPEG
// whose data ends early is an error; extraneous bytes between its markers are not.
Image decode_image(std::span<const uint8_t> bytes, const std::string& where);
ImageSize image_size(std::span<const uint8_t> bytes, const std::string& where);

// A PNG file with 8-bit RGB. Throws if the image is empty or `rgb` has the wrong size.
std::string encode_png(const Image& image);

}  // namespace gfsa
