#include "formats/idx.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <bit>

#include "base/env.h"
#include "base/error.h"
#include "base/strings.h"
#include "formats/gzip.h"

namespace gfsa {
namespace {

static_assert(std::endian::native == std::endian::little, "IDX elements are turned from big to little endian");

struct IdxType {
  uint8_t code;
  const char* dtype;
  size_t bytes;
};
constexpr size_t kMaxHeaderBytes = 4 + 4 * 255;
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

namespace {

struct IdxHeader {
  const IdxType* type;
  std::vector<int64_t> shape;
  size_t bytes;         // of the header
  uint64_t data_bytes;  // that it announces

  // A header may announce 255 sizes.
  std::string text() const {
    if (shape.size() > 8) return fmt::format("{} of rank {}", type->dtype, shape.size());
    return fmt::format("{} of shape [{}]", type->dtype, fmt::join(shape, ", "));
  }
};

IdxHeader parse_header(std::string_view bytes, const std::string& where) {
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

  IdxHeader out{type, {}, header, type->bytes};
  // Of the sizes that are not 0: what follows may multiply in any order.
  uint64_t largest = type->bytes;
  bool overflow = false;
  for (size_t d = 0; d < rank; ++d) {
    uint64_t size = 0;
    for (size_t i = 0; i < 4; ++i) size = size << 8 | byte(4 + 4 * d + i);
    overflow |= size != 0 && __builtin_mul_overflow(largest, size, &largest);
    out.data_bytes *= size;
    out.shape.push_back(static_cast<int64_t>(size));
  }
  if (overflow || largest > kMaxIdxBytes) {
    bad_input("{}: {} is too large, expected at most {}", where, out.text(),
              human_bytes(static_cast<double>(kMaxIdxBytes)));
  }
  return out;
}

}  // namespace

IdxArray parse_idx(std::string_view bytes, const std::string& where) {
  std::string unpacked;
  const bool packed = is_gzip(bytes);
  const IdxHeader header = parse_header(packed ? gunzip_start(bytes, where, kMaxHeaderBytes) : bytes, where);
  if (packed) {  // no further than the header announces, and one byte to see that something follows
    unpacked = gunzip_start(bytes, where, header.bytes + header.data_bytes + 1);
    bytes = unpacked;
  }
  const uint64_t have = bytes.size() - header.bytes;
  if (have != header.data_bytes) {
    bad_input("{}: {}: {} takes {} bytes, the file has {}", where,
              have < header.data_bytes ? "truncated" : "trailing bytes", header.text(), header.data_bytes,
              packed && have > header.data_bytes ? "more" : std::to_string(have));
  }
  const IdxType* type = header.type;
  IdxArray array{type->dtype, header.shape, {}};
  array.bytes.assign(bytes.substr(header.bytes));
  if (type->bytes > 1) {
    for (auto it = array.bytes.begin(); it != array.bytes.end(); it += static_cast<std::ptrdiff_t>(type->bytes)) {
      std::reverse(it, it + static_cast<std::ptrdiff_t>(type->bytes));
    }
  }
  return array;
}

IdxArray read_idx(const std::string& path) {
  return parse_idx(Env::real().read(path, kMaxHeaderBytes + kMaxIdxBytes), path);
}

}  // namespace gfsa
