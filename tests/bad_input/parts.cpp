// Building blocks of broken files.
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "bad_input/bad_input.h"
#include "base/env.h"
#include "base/error.h"
#include "support/gzip.h"

namespace gfsa::bad_input_test {

void write(const std::string& path, std::string_view content) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << content;  // not by Env: hundreds of fsyncs take long
}

std::string golden(const std::string& name) { return Env::real().read(GFSA_SOURCE_DIR "/tests/golden/" + name); }

std::string big_endian(uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 255);
  return out;
}

std::string safetensors(const std::string& header, const std::string& data) {
  uint64_t bytes = header.size();
  std::string out(sizeof bytes, '\0');
  std::memcpy(out.data(), &bytes, sizeof bytes);
  return out + header + data;
}

std::string tar_member(const std::string& name, const std::string& content, char type, const std::string& link,
                       int64_t size) {
  constexpr size_t kBlock = 512;
  std::string header(kBlock, '\0');
  const auto put = [&](size_t at, const std::string& text) { header.replace(at, text.size(), text); };
  put(0, name.substr(0, 100));
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", size < 0 ? static_cast<int64_t>(content.size()) : size));
  put(136, "00000000000");
  put(148, "        ");
  header[156] = type;
  put(157, link.substr(0, 100));
  put(257, std::string("ustar\0", 6) + "00");
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  return header + content + std::string((kBlock - content.size() % kBlock) % kBlock, '\0');
}

std::string tar_end() { return std::string(1024, '\0'); }

std::string png_with_header(std::string png, uint32_t width, uint32_t height, int depth, int color) {
  constexpr size_t kHeader = 12, kSizes = 16, kChecksum = 29;  // of the chunk's type, its content, its end
  png.replace(kSizes, 8, big_endian(width) + big_endian(height));
  if (depth >= 0) png[kSizes + 8] = static_cast<char>(depth);
  if (color >= 0) png[kSizes + 9] = static_cast<char>(color);
  const auto* bytes = reinterpret_cast<const Bytef*>(png.data());
  png.replace(kChecksum, 4, big_endian(static_cast<uint32_t>(crc32(0, bytes + kHeader, kChecksum - kHeader))));
  return png;
}

std::string jpeg_with_frame(std::string jpeg, int width, int height, int components) {
  size_t frame = std::string::npos;
  for (const char marker : {'\xC0', '\xC1', '\xC2'}) {
    frame = std::min(frame, jpeg.find(std::string{'\xFF', marker, '\0'}));
  }
  const auto put = [&](size_t at, int value) {
    jpeg[frame + at] = static_cast<char>(value >> 8), jpeg[frame + at + 1] = static_cast<char>(value & 255);
  };
  put(5, height);
  put(7, width);
  if (components >= 0) jpeg[frame + 9] = static_cast<char>(components);
  return jpeg;
}

std::string gzip(const std::string& content) { return test::gzip(content, 9); }

}  // namespace gfsa::bad_input_test
