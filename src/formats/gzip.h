// gzip.h -- gzip streams by zlib, checksums verified (libarchive's own gzip filter does not verify them).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace gfsa {

// True if the bytes start as a gzip member does.
bool is_gzip(std::string_view bytes);

// Unpacks one or several concatenated members. Throws bad input that starts with `where`: truncated, corrupt, more than
// max_bytes.
std::string gunzip(std::string_view bytes, const std::string& where, uint64_t max_bytes = UINT64_MAX);
// The first `bytes_wanted` bytes alone, or all if there are fewer; what follows is not looked at.
std::string gunzip_start(std::string_view bytes, const std::string& where, size_t bytes_wanted);

// Reads a file in pieces, unpacking it if it is gzip.
class GzipFileReader {
 public:
  // Throws bad input if the file cannot be opened.
  explicit GzipFileReader(const std::string& path);
  ~GzipFileReader();
  // The next piece, valid until the next call; empty at the end. Throws bad input: truncated, corrupt, unreadable.
  std::string_view read();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gfsa
