// safetensors_layout.h -- where the parts of a safetensors file lie, judged before any of its data is looked at: every
// reader of the format (mapped, streamed) goes through here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/safetensors_header.h"

namespace gfsa {

constexpr uint64_t kSafetensorsLengthBytes = 8;               // in front of the JSON
constexpr uint64_t kSafetensorsMaxHeaderBytes = 100'000'000;  // the limit of the format's reference implementation

// Bytes of the JSON, from the file's first 8 bytes (fewer if it has fewer). Bad input if no file of this size can have
// such a header.
uint64_t safetensors_header_bytes(const void* first_bytes, uint64_t file_bytes, const std::string& path);

// The header in its own order, checked against `data_bytes`, what follows it: dtype, shape against offsets, no overlap,
// no hole, no bytes past the last tensor. Bad input names file and tensor.
SafetensorsHeader parse_safetensors_layout(std::string_view json, uint64_t data_bytes, const std::string& path);

// The entries as their data lies in the file.
std::vector<const SafetensorsEntry*> in_file_order(const std::vector<SafetensorsEntry>& entries);

// "F64, F32, ... or BOOL"
std::string safetensors_dtype_names();
// Bytes of a tensor, or false if they, or the product of its sizes other than 0, do not fit into 63 bits.
bool safetensors_tensor_bytes(const std::vector<int64_t>& shape, size_t element_bytes, uint64_t* bytes);

}  // namespace gfsa
