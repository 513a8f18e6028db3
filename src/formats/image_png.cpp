// PNG by libpng. Like libjpeg it reports errors by longjmp: see image_jpeg.cpp.
#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "formats/image_codecs.h"

namespace gfsa {
namespace codec {
namespace {

constexpr size_t kSignatureBytes = 8;

class PngDecoder {
 public:
  explicit PngDecoder(std::span<const uint8_t> bytes) : rest_(bytes) {}
  ~PngDecoder() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngDecoder(const PngDecoder&) = delete;
  PngDecoder& operator=(const PngDecoder&) = delete;

  bool read_header() {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    if (png_ == nullptr) return false;
    info_ = png_create_info_struct(png_);
    if (info_ == nullptr) return false;
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    // The limits are ours (check_pixels), which read_header's caller applies before anything is allocated.
    png_set_user_limits(png_, 0x7FFFFFFF, 0x7FFFFFFF);
    png_set_read_fn(png_, this, on_read);
    png_read_info(png_, info_);
    return true;
  }
  // After read_header(): 3 bytes a pixel, or 2 for 16-bit gray, which to_rgb() narrows as Pillow does.
  bool set_transforms() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    const int type = png_get_color_type(png_, info_);
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png_);
    if (type == PNG_COLOR_TYPE_GRAY && bit_depth() < 8) png_set_expand_gray_1_2_4_to_8(png_);
    if (!is_gray16()) {
      if (bit_depth() == 16) png_set_strip_16(png_);
      if ((type & PNG_COLOR_MASK_COLOR) == 0) png_set_gray_to_rgb(png_);
      png_set_strip_alpha(png_);
    }
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }
  bool decode(uint8_t** rows) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);
    return true;
  }

  int64_t width() const { return png_get_image_width(png_, info_); }
  int64_t height() const { return png_get_image_height(png_, info_); }
  int bit_depth() const { return png_get_bit_depth(png_, info_); }
  bool is_gray16() const { return png_get_color_type(png_, info_) == PNG_COLOR_TYPE_GRAY && bit_depth() == 16; }
  size_t row_bytes() const { return png_get_rowbytes(png_, info_); }
  bool truncated() const { return truncated_; }
  const char* message() const { return message_; }

 private:
  [[noreturn]] static void on_error(png_structp png, png_const_charp message) {
    auto& decoder = *static_cast<PngDecoder*>(png_get_error_ptr(png));
    std::snprintf(decoder.message_, sizeof decoder.message_, "%s", message);
    png_longjmp(png, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}
  static void on_read(png_structp png, png_bytep out, size_t n) {
    auto& decoder = *static_cast<PngDecoder*>(png_get_io_ptr(png));
    if (n > decoder.rest_.size()) {
      decoder.truncated_ = true;
      png_error(png, "end of data");
    }
    std::memcpy(out, decoder.rest_.data(), n);
    decoder.rest_ = decoder.rest_.subspan(n);
  }

  std::span<const uint8_t> rest_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  char message_[200] = "out of memory";
  bool truncated_ = false;
};

[[noreturn]] void raise(const PngDecoder& decoder, const std::string& where) {
  if (decoder.truncated()) bad_input("{}: truncated PNG: the data ends before the picture does", where);
  bad_input("{}: corrupt or unsupported PNG: {}", where, decoder.message());
}

ImageSize checked_header(PngDecoder& decoder, std::span<const uint8_t> bytes, const std::string& where) {
  if (!decoder.read_header()) raise(decoder, where);
  check_pixels(decoder.width(), decoder.height(), where);
  const ImageSize size{static_cast<int>(decoder.width()), static_cast<int>(decoder.height())};
  // Deflate packs at most 1032 bytes into one.
  check_ratio(static_cast<int64_t>(decoder.row_bytes()) * size.height, bytes.size(), 1040, size, where);
  return size;
}

}  // namespace

bool is_png(std::span<const uint8_t> bytes) {
  return bytes.size() >= kSignatureBytes && png_sig_cmp(bytes.data(), 0, kSignatureBytes) == 0;
}

ImageSize png_size(std::span<const uint8_t> bytes, const std::string& where) {
  PngDecoder decoder(bytes);
  return checked_header(decoder, bytes, where);
}

Image decode_png(std::span<const uint8_t> bytes, const std::string& where) {
  PngDecoder decoder(bytes);
  const ImageSize size = checked_header(decoder, bytes, where);
  if (!decoder.set_transforms()) raise(decoder, where);
  const size_t pixels = static_cast<size_t>(size.width) * static_cast<size_t>(size.height);
  const size_t pitch = static_cast<size_t>(size.width) * (decoder.is_gray16() ? 2 : 3);
  if (decoder.row_bytes() != pitch) {
    bad_input("{}: unsupported PNG: {} bytes a row, expected {}", where, decoder.row_bytes(), pitch);
  }
  std::vector<uint8_t> pixels_read(pitch * static_cast<size_t>(size.height));
  std::vector<uint8_t*> rows(static_cast<size_t>(size.height));
  for (size_t y = 0; y < rows.size(); ++y) rows[y] = pixels_read.data() + y * pitch;
  if (!decoder.decode(rows.data())) raise(decoder, where);
  if (!decoder.is_gray16()) return {size.width, size.height, std::move(pixels_read)};

  Image image{size.width, size.height, std::vector<uint8_t>(pixels * 3)};
  for (size_t i = 0; i < pixels; ++i) {
    const uint8_t value = pixels_read[2 * i] != 0 ? 255 : pixels_read[2 * i + 1];
    image.rgb[3 * i] = image.rgb[3 * i + 1] = image.rgb[3 * i + 2] = value;
  }
  return image;
}

namespace {

class PngEncoder {
 public:
  ~PngEncoder() { png_destroy_write_struct(&png_, &info_); }
  bool encode(const uint8_t* const* rows, uint32_t width, uint32_t height, std::string* out) {
    png_ = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, on_error, on_warning);
    if (png_ == nullptr) return false;
    info_ = png_create_info_struct(png_);
    if (info_ == nullptr) return false;
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_write_fn(png_, out, on_write, on_flush);
    png_set_IHDR(png_, info_, width, height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png_, info_);
    png_write_image(png_, const_cast<png_bytepp>(rows));
    png_write_end(png_, nullptr);
    return true;
  }

 private:
  [[noreturn]] static void on_error(png_structp png, png_const_charp) { png_longjmp(png, 1); }
  static void on_warning(png_structp, png_const_charp) {}
  static void on_write(png_structp png, png_bytep data, size_t n) {
    static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<const char*>(data), n);
  }
  static void on_flush(png_structp) {}

  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

}  // namespace
}  // namespace codec

std::string encode_png(const Image& image) {
  const size_t pitch = static_cast<size_t>(image.width) * 3;
  if (image.width < 1 || image.height < 1 || image.rgb.size() != pitch * static_cast<size_t>(image.height)) {
    fail("encode_png: {} x {} pixels need 3 bytes each and at least one pixel, got {} bytes", image.width, image.height,
         image.rgb.size());
  }
  std::vector<const uint8_t*> rows(static_cast<size_t>(image.height));
  for (size_t y = 0; y < rows.size(); ++y) rows[y] = image.rgb.data() + y * pitch;
  std::string png;
  if (!codec::PngEncoder().encode(rows.data(), static_cast<uint32_t>(image.width), static_cast<uint32_t>(image.height),
                                  &png)) {
    fail("encode_png: libpng could not encode {} x {} pixels", image.width, image.height);
  }
  return png;
}

}  // namespace gfsa
