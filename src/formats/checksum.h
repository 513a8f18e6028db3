// checksum.h -- XXH3 (https://github.com/Cyan4973/xxHash), which tells damaged files from whole ones; not made against
// an attacker. As text: 16 or 32 lower-case hexadecimal digits, the ones that `xxhsum -H3` and `xxhsum -H128` print.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gfsa {

// Of bytes that come piece by piece.
class Checksum {
 public:
  Checksum();
  ~Checksum();
  Checksum(const Checksum&) = delete;
  Checksum& operator=(const Checksum&) = delete;

  void update(const void* data, size_t bytes);
  void update(std::string_view text) { update(text.data(), text.size()); }
  // Of everything since construction.
  std::string text64() const;
  std::string text128() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string checksum64(std::string_view content);
std::string checksum128(std::string_view content);

// What a file's content is known by.
struct FileChecksums {
  uint64_t bytes = 0;
  std::string xxh3_128;  // of the whole file
  // A safetensors file's parts: its first header_bytes bytes (length and JSON), and each tensor's data by name.
  uint64_t header_bytes = 0;
  std::string header_xxh3_64;
  std::vector<std::pair<std::string, std::string>> tensors_xxh3_64;
};

}  // namespace gfsa
