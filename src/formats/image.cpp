#include "formats/image.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "formats/image_codecs.h"

namespace gfsa {
namespace {

enum class Kind { kJpeg, kPng };

Kind recognise(std::span<const uint8_t> bytes, const std::string& where) {
  if (codec::is_jpeg(bytes)) return Kind::kJpeg;
  if (codec::is_png(bytes)) return Kind::kPng;
  if (bytes.empty()) bad_input("{}: not a picture: 0 bytes", where);
  const auto first = bytes.first(std::min<size_t>(bytes.size(), 8));
  bad_input("{}: not a picture: expected JPEG (ff d8 ff) or PNG (89 50 4e 47), got {} bytes starting with {:02x}",
            where, bytes.size(), fmt::join(first, " "));
}

}  // namespace

Image decode_image(std::span<const uint8_t> bytes, const std::string& where) {
  return recognise(bytes, where) == Kind::kJpeg ? codec::decode_jpeg(bytes, where) : codec::decode_png(bytes, where);
}

ImageSize image_size(std::span<const uint8_t> bytes, const std::string& where) {
  return recognise(bytes, where) == Kind::kJpeg ? codec::jpeg_size(bytes, where) : codec::png_size(bytes, where);
}

namespace codec {

void check_pixels(int64_t width, int64_t height, const std::string& where) {
  if (width < 1 || height < 1) bad_input("{}: the picture is empty: {} x {}", where, width, height);
  if (width * height > kMaxImagePixels) {
    bad_input("{}: too large: {} x {} pixels, expected at most {} million", where, width, height,
              kMaxImagePixels / 1'000'000);
  }
}

void check_ratio(int64_t raw_bytes, size_t compressed_bytes, int64_t ratio, const ImageSize& size,
                 const std::string& where) {
  if (raw_bytes / ratio > static_cast<int64_t>(compressed_bytes)) {
    bad_input("{}: truncated: {} bytes cannot hold the {} x {} pixels that the header announces", where,
              compressed_bytes, size.width, size.height);
  }
}

}  // namespace codec
}  // namespace gfsa
