#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "formats/archive.h"
#include "formats/cifar_binary.h"
#include "formats/idx.h"
#include "formats/image.h"
#include "formats/tensor_file.h"
#include "fuzz/targets.h"

namespace gfsa::fuzz {
namespace {

// The bytes as a file that has a path, in memory.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : fd_(::memfd_create("fuzz", 0)) {
    if (fd_ < 0 || ::write(fd_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
      finding("no memory file");
  }
  ~MemoryFile() { ::close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return fmt::format("/proc/self/fd/{}", fd_); }

 private:
  int fd_;
};

std::span<const uint8_t> as_span(std::string_view bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

}  // namespace

void safetensors(std::string_view bytes) {
  std::map<std::string, Tensor> streamed;
  const bool mapped = accepts([&] {
    const auto file = SafetensorsFile::parse(std::string(bytes), "file");
    for (const auto& name : file.names()) {
      const TensorBytes& tensor = file.at(name);
      if (tensor.bytes > bytes.size()) finding(name + ": larger than the file");
    }
  });
  const MemoryFile file(bytes);
  const bool read = accepts([&] { streamed = read_tensors(file.path()); });
  if (read && !mapped) finding("streamed, but not mapped");
}

void idx(std::string_view bytes) {
  accepts([&] {
    const IdxArray array = parse_idx(bytes, "file");
    if (array.elements() < 0) finding("negative size");
  });
}

void cifar(std::string_view bytes) {
  if (bytes.empty()) return;
  const CifarKind kind = bytes[0] & 1 ? CifarKind::kCifar100 : CifarKind::kCifar10;
  const bool names = bytes[0] & 2;
  bytes.remove_prefix(1);
  accepts([&] {
    if (names) {
      parse_cifar_names(bytes, kind, "file");
    } else {
      const auto records = parse_cifar_binary(bytes, kind, "file");
      if (records.images.size() != records.labels.size() * kCifarPixelBytes) finding("images and labels differ");
    }
  });
}

void archive(std::string_view bytes) {
  const MemoryFile file(bytes);
  accepts([&] {
    ArchiveReader reader(file.path());
    for (int i = 0; reader.next(); ++i) {
      const std::string& name = reader.name();
      if (name.empty() || name[0] == '/' || name == ".." || name.starts_with("../") || name.find("/../") != name.npos) {
        finding("the name " + name);
      }
      if (i % 3 < 2) reader.read();
    }
  });
}

void image(std::string_view bytes) {
  constexpr int64_t kLargest = 4'000'000;  // pixels; decoding more is as safe, but slow
  ImageSize size;
  if (!accepts([&] { size = image_size(as_span(bytes), "file"); })) return;
  if (int64_t{size.width} * size.height > kLargest) return;
  accepts([&] {
    const Image image = decode_image(as_span(bytes), "file");
    if (image.width != size.width || image.height != size.height) finding("sizes differ");
    if (image.rgb.size() != static_cast<size_t>(3 * image.width) * static_cast<size_t>(image.height)) finding("pixels");
  });
}

}  // namespace gfsa::fuzz
