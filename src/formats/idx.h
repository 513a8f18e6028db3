// idx.h -- the IDX format of MNIST (http://yann.lecun.com/exdb/mnist): a magic number with element type and rank, the
// sizes, the elements, all big endian.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gfsa {

// The most that one file may hold: a header, or a gzip bomb, must not fill the memory.
inline constexpr uint64_t kMaxIdxBytes = uint64_t{8} << 30;

struct IdxArray {
  std::string dtype;           // as in safetensors.h: U8 I8 I16 I32 F32 F64
  std::vector<int64_t> shape;  // rank 1 to 255
  std::string bytes;           // row major, this machine's byte order

  int64_t elements() const;
};

// The file, gzip-compressed or not (told by content). Throws bad input naming the file: wrong magic, truncated,
// trailing bytes, broken gzip.
IdxArray read_idx(const std::string& path);
// The same from bytes in memory; `where` names them in errors.
IdxArray parse_idx(std::string_view bytes, const std::string& where);

}  // namespace gfsa
