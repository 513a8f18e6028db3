// safetensors_header.h -- the JSON header of a safetensors file as typed entries; inside of formats/.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace gfsa {

struct SafetensorsEntry {
  std::string name, dtype;
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the header's order
  std::map<std::string, std::string> metadata;
};

// Throws bad input that starts with `path`: not JSON, not of the format's structure, a key twice. Sizes and offsets are
// not compared here.
SafetensorsHeader parse_safetensors_header(std::string_view json, const std::string& path);

// The header's JSON text, entries in their order, not padded.
std::string safetensors_header_json(const SafetensorsHeader& header);

}  // namespace gfsa
