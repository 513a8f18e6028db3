// JPEG by libjpeg-turbo. libjpeg reports errors by longjmp, so every call into it stands in a member function that owns
// no C++ object and returns false on a jump; the exceptions are thrown outside.
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include <jpeglib.h>
// After jpeglib.h: the codes of its warnings.
#include <jerror.h>

#include "base/error.h"
#include "formats/image_codecs.h"

namespace gfsa::codec {
namespace {

// A progressive file may have any number of scans, each a pass over the whole picture; real ones have about ten.
constexpr int kMaxScans = 1000;

class JpegDecoder {
 public:
  explicit JpegDecoder(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  ~JpegDecoder() {
    if (created_) jpeg_destroy_decompress(&jpeg_);
  }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  bool read_header() {
    jpeg_.err = jpeg_std_error(&errors_);
    errors_.error_exit = on_error;
    errors_.emit_message = on_message;
    jpeg_.client_data = this;
    if (setjmp(jump_) != 0) return false;
    jpeg_create_decompress(&jpeg_);
    created_ = true;
    progress_.progress_monitor = on_progress;
    jpeg_.progress = &progress_;
    jpeg_mem_src(&jpeg_, bytes_.data(), bytes_.size());
    jpeg_read_header(&jpeg_, TRUE);
    return true;
  }
  // rgb: width * height * 3 bytes; cmyk_row: width * 4 bytes, used for pictures of four channels.
  bool decode(uint8_t* rgb, uint8_t* cmyk_row) {
    if (setjmp(jump_) != 0) return false;
    const bool cmyk = jpeg_.num_components == 4;
    jpeg_.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&jpeg_);
    const size_t pitch = size_t{jpeg_.output_width} * 3;
    while (jpeg_.output_scanline < jpeg_.output_height) {
      uint8_t* out = rgb + jpeg_.output_scanline * pitch;
      if (cmyk) {
        jpeg_read_scanlines(&jpeg_, &cmyk_row, 1);
        cmyk_to_rgb(cmyk_row, out, jpeg_.output_width);
      } else {
        jpeg_read_scanlines(&jpeg_, &out, 1);
      }
    }
    jpeg_finish_decompress(&jpeg_);
    return true;
  }

  const jpeg_decompress_struct& info() const { return jpeg_; }
  bool truncated() const { return truncated_; }
  const char* message() const { return message_; }

 private:
  static JpegDecoder& self(j_common_ptr jpeg) { return *static_cast<JpegDecoder*>(jpeg->client_data); }

  [[noreturn]] static void on_error(j_common_ptr jpeg) {
    JpegDecoder& decoder = self(jpeg);
    jpeg->err->format_message(jpeg, decoder.message_);
    decoder.truncated_ = jpeg->err->msg_code == JWRN_JPEG_EOF;
    std::longjmp(decoder.jump_, 1);
  }
  // Warnings after which pixels are made up are errors; the others (extraneous bytes, odd markers) are let pass.
  static void on_message(j_common_ptr jpeg, int level) {
    if (level >= 0) return;
    switch (jpeg->err->msg_code) {
      case JWRN_JPEG_EOF:
      case JWRN_HIT_MARKER:
      case JWRN_HUFF_BAD_CODE:
      case JWRN_ARITH_BAD_CODE:
      case JWRN_MUST_RESYNC:
        on_error(jpeg);
      default:
        break;
    }
  }
  static void on_progress(j_common_ptr jpeg) {
    if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number > kMaxScans) {
      JpegDecoder& decoder = self(jpeg);
      std::snprintf(decoder.message_, sizeof decoder.message_, "more than %d scans", kMaxScans);
      std::longjmp(decoder.jump_, 1);
    }
  }
  // Pillow's cmyk2rgb on inverted input (raw mode CMYK;I): out = nk - ink * nk / 255, rounded, with nk = 255 - black.
  static void cmyk_to_rgb(const uint8_t* cmyk, uint8_t* rgb, size_t pixels) {
    for (size_t i = 0; i < pixels; ++i) {
      const int nk = cmyk[4 * i + 3];
      for (size_t c = 0; c < 3; ++c) {
        const int product = (255 - cmyk[4 * i + c]) * nk + 128;
        const int value = nk - (((product >> 8) + product) >> 8);
        rgb[3 * i + c] = static_cast<uint8_t>(value < 0 ? 0 : value);
      }
    }
  }

  std::span<const uint8_t> bytes_;
  jpeg_decompress_struct jpeg_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf jump_;
  char message_[JMSG_LENGTH_MAX] = {};
  bool created_ = false, truncated_ = false;
};

[[noreturn]] void raise(const JpegDecoder& decoder, const std::string& where) {
  if (decoder.truncated()) bad_input("{}: truncated JPEG: the data ends before the picture does", where);
  bad_input("{}: corrupt or unsupported JPEG: {}", where, decoder.message());
}

ImageSize checked_header(JpegDecoder& decoder, std::span<const uint8_t> bytes, const std::string& where) {
  if (!decoder.read_header()) raise(decoder, where);
  const jpeg_decompress_struct& jpeg = decoder.info();
  const ImageSize size{static_cast<int>(jpeg.image_width), static_cast<int>(jpeg.image_height)};
  check_pixels(size.width, size.height, where);
  if (jpeg.num_components != 1 && jpeg.num_components != 3 && jpeg.num_components != 4) {
    bad_input("{}: unsupported JPEG: {} channels, expected 1, 3 or 4", where, jpeg.num_components);
  }
  // A Huffman code has at least one bit, a block of 64 pixels at least one code; twice that for safety.
  if (!jpeg.arith_code) check_ratio(int64_t{size.width} * size.height, bytes.size(), 1024, size, where);
  return size;
}

}  // namespace

bool is_jpeg(std::span<const uint8_t> bytes) {
  return bytes.size() >= 3 && bytes[0] == 0xFF && bytes[1] == 0xD8 && bytes[2] == 0xFF;
}

ImageSize jpeg_size(std::span<const uint8_t> bytes, const std::string& where) {
  JpegDecoder decoder(bytes);
  return checked_header(decoder, bytes, where);
}

Image decode_jpeg(std::span<const uint8_t> bytes, const std::string& where) {
  JpegDecoder decoder(bytes);
  const ImageSize size = checked_header(decoder, bytes, where);
  Image image{size.width, size.height, {}};
  image.rgb.resize(static_cast<size_t>(size.width) * static_cast<size_t>(size.height) * 3);
  std::vector<uint8_t> cmyk_row(decoder.info().num_components == 4 ? static_cast<size_t>(size.width) * 4 : 0);
  if (!decoder.decode(image.rgb.data(), cmyk_row.data())) raise(decoder, where);
  return image;
}

}  // namespace gfsa::codec
