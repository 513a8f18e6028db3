#include "formats/safetensors_layout.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "formats/safetensors.h"

namespace gfsa {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is used in place, which is little endian");

struct NamedSize {
  const char* dtype;
  size_t bytes;
};
constexpr NamedSize kDtypes[] = {{"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},
                                 {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U8", 1},   {"BOOL", 1}};

void check_entry(const SafetensorsEntry& e, uint64_t data_bytes, const std::string& path) {
  const size_t element = safetensors_element_bytes(e.dtype);
  if (element == 0) {
    bad_input("{}: tensor '{}': dtype '{}' is not known, expected {}", path, e.name, e.dtype,
              safetensors_dtype_names());
  }
  if (e.end > data_bytes) {
    bad_input("{}: tensor '{}': ends at byte {} of the data, but the file has {}: truncated?", path, e.name, e.end,
              data_bytes);
  }
  uint64_t bytes = 0;
  if (!safetensors_tensor_bytes(e.shape, element, &bytes)) {
    bad_input("{}: tensor '{}': shape [{}] is too large", path, e.name, fmt::join(e.shape, ", "));
  }
  if (bytes != e.end - e.begin) {
    bad_input("{}: tensor '{}': {} of shape [{}] takes {} bytes, but data_offsets [{}, {}] hold {}", path, e.name,
              e.dtype, fmt::join(e.shape, ", "), bytes, e.begin, e.end, e.end - e.begin);
  }
}

void check_places(const std::vector<SafetensorsEntry>& entries, uint64_t data_bytes, const std::string& path) {
  uint64_t position = 0;
  const SafetensorsEntry* previous = nullptr;
  for (const SafetensorsEntry* e : in_file_order(entries)) {
    if (e->begin < position) {
      bad_input("{}: tensor '{}': begins at byte {}, inside of tensor '{}', which ends at {}", path, e->name, e->begin,
                previous->name, position);
    }
    if (e->begin > position) {
      bad_input("{}: tensor '{}': begins at byte {}, but the data before it ends at {}: a hole", path, e->name,
                e->begin, position);
    }
    position = e->end;
    previous = e;
  }
  if (position != data_bytes) {
    bad_input("{}: {} bytes follow the last tensor, expected none", path, data_bytes - position);
  }
}

}  // namespace

size_t safetensors_element_bytes(std::string_view dtype) {
  for (const NamedSize& d : kDtypes) {
    if (dtype == d.dtype) return d.bytes;
  }
  return 0;
}

std::string safetensors_dtype_names() {
  std::vector<std::string> names;
  for (const NamedSize& d : kDtypes) names.emplace_back(d.dtype);
  return one_of(names);
}

bool safetensors_tensor_bytes(const std::vector<int64_t>& shape, size_t element_bytes, uint64_t* bytes) {
  // Sizes of 0 left out, the product must fit as well: strides are products of some of them.
  uint64_t largest = element_bytes;
  bool empty = false;
  for (const int64_t n : shape) {
    if (n < 0) return false;
    empty |= n == 0;
    if (n > 0 && __builtin_mul_overflow(largest, static_cast<uint64_t>(n), &largest)) return false;
  }
  *bytes = empty ? 0 : largest;
  return largest <= INT64_MAX;
}

std::vector<const SafetensorsEntry*> in_file_order(const std::vector<SafetensorsEntry>& entries) {
  std::vector<const SafetensorsEntry*> order;
  for (const SafetensorsEntry& e : entries) order.push_back(&e);
  std::stable_sort(order.begin(), order.end(),
                   [](auto* a, auto* b) { return std::pair(a->begin, a->end) < std::pair(b->begin, b->end); });
  return order;
}

uint64_t safetensors_header_bytes(const void* first_bytes, uint64_t file_bytes, const std::string& path) {
  if (file_bytes < kSafetensorsLengthBytes) {
    bad_input("{}: has {} bytes, expected a safetensors file (at least 8)", path, file_bytes);
  }
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, first_bytes, kSafetensorsLengthBytes);
  if (header_bytes > kSafetensorsMaxHeaderBytes) {
    bad_input("{}: not a safetensors file: header of {} bytes, expected at most {}", path, header_bytes,
              kSafetensorsMaxHeaderBytes);
  }
  if (header_bytes > file_bytes - kSafetensorsLengthBytes) {
    bad_input("{}: truncated: header of {} bytes in a file of {}", path, header_bytes, file_bytes);
  }
  return header_bytes;
}

SafetensorsHeader parse_safetensors_layout(std::string_view json, uint64_t data_bytes, const std::string& path) {
  if (json.empty() || json[0] != '{')
    bad_input("{}: not a safetensors file: the header does not start with '{{'", path);
  SafetensorsHeader header = parse_safetensors_header(json, path);
  for (const SafetensorsEntry& e : header.entries) check_entry(e, data_bytes, path);
  check_places(header.entries, data_bytes, path);
  return header;
}

}  // namespace gfsa
