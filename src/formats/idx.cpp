#include "formats/idx.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <bit>

#include "base/env.h"
#include "base/error.h"
#include "formats/gzip.h"

namespace gfsa {
namespace {

static_assert(std::endian::native == std::endian::little, "IDX elements are turned from big to little endian");

struct IdxType {
  uint8_t code;
  const char* dtype;
  size_t bytes;
};
constexpr IdxType kTypes[] = {{0x08, "U8", 1},  {0x09, "I8", 1},  {0x0B, "I16", 2},
                              {0x0C, "I32", 4}, {0x0D, "F32", 4}, {0x0E, "F64", 8}};

const IdxType* find_type(uint8_t code) {
  for (const IdxType& t : kTypes) {
    if (t.code == code) return &t;
  }
  return nullptr;
}

}  // namespace

int64_t IdxArray::elements() const {
  int64_t n = 1;
  for (const int64_t size : shape) n *= size;
  return n;
}

IdxArray parse_idx(std::string_view bytes, const std::string& where) {
  std::string unpacked;
  if (is_gzip(bytes)) {
    unpacked = gunzip(bytes, where);
    bytes = unpacked;
  }
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  if (bytes.size() < 4) bad_input("{}: has {} bytes, expected an IDX file (at least 4)", where, bytes.size());
  const IdxType* type = find_type(byte(2));
  const size_t rank = byte(3);
  if (byte(0) != 0 || byte(1) != 0 || type == nullptr || rank == 0) {
    bad_input(
        "{}: not an IDX file: magic {:02x} {:02x} {:02x} {:02x}, expected 00 00, a type of 08 to 0e, a rank from 01",
        where, byte(0), byte(1), byte(2), byte(3));
  }
  const size_t header = 4 + 4 * rank;
  if (bytes.size() < header) bad_input("{}: truncated: {} bytes, but the header takes {}", where, bytes.size(), header);

  IdxArray array{type->dtype, {}, {}};
  uint64_t expected = type->bytes;
  bool overflow = false;
  for (size_t d = 0; d < rank; ++d) {
    uint64_t size = 0;
    for (size_t i = 0; i < 4; ++i) size = size << 8 | byte(4 + 4 * d + i);
    overflow |= __builtin_mul_overflow(expected, size, &expected);
    array.shape.push_back(static_cast<int64_t>(size));
  }
  const uint64_t have = bytes.size() - header;
  if (overflow || have != expected) {
    bad_input("{}: {}: {} of shape [{}] takes {} bytes, the file has {}", where,
              overflow || have < expected ? "truncated" : "trailing bytes", type->dtype, fmt::join(array.shape, ", "),
              overflow ? "too many" : std::to_string(expected), have);
  }
  array.bytes.assign(bytes.substr(header));
  if (type->bytes > 1) {
    for (auto it = array.bytes.begin(); it != array.bytes.end(); it += static_cast<std::ptrdiff_t>(type->bytes)) {
      std::reverse(it, it + static_cast<std::ptrdiff_t>(type->bytes));
    }
  }
  return array;
}

IdxArray read_idx(const std::string& path) { return parse_idx(Env::real().read(path), path); }

}  // namespace gfsa
