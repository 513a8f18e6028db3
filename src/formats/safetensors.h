// safetensors.h -- the safetensors file format (https://huggingface.co/docs/safetensors): 8 bytes of header length, a
// JSON header, the tensors' bytes. Little endian, row major.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/env.h"
#include "formats/checksum.h"

namespace gfsa {

// A tensor's bytes, owned by somebody else. dtype is the format's name: F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL.
struct TensorBytes {
  std::string dtype;
  std::vector<int64_t> shape;  // [] is a scalar
  const std::byte* data = nullptr;
  size_t bytes = 0;
};

// Bytes an element takes, or 0 if the format's name is none of those above.
size_t safetensors_element_bytes(std::string_view dtype);

// A file that is mapped into memory while the object lives; spans that at() returned end with it. Everything is checked
// in open(): header length and JSON, unknown or duplicate keys, dtype, shape against offsets, no overlap, no hole, no
// bytes past the last tensor. Each error is bad input that names the file and, where there is one, the tensor.
class SafetensorsFile {
 public:
  static SafetensorsFile open(const std::string& path);
  // The same from bytes in memory; `where` names them in errors.
  static SafetensorsFile parse(std::string content, const std::string& where);

  const std::string& path() const { return path_; }
  // In the header's order.
  const std::vector<std::string>& names() const { return names_; }
  bool contains(const std::string& name) const { return tensors_.count(name) != 0; }
  // The data may be unaligned where another program wrote the file: copy it out. Throws bad input with the nearest
  // name.
  const TensorBytes& at(const std::string& name) const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  SafetensorsFile() = default;
  void read_header(const std::byte* content, size_t bytes);

  std::string path_;
  std::shared_ptr<const void> content_;
  std::vector<std::string> names_;
  std::map<std::string, TensorBytes> tensors_;
  std::map<std::string, std::string> metadata_;
};

using NamedTensorBytes = std::pair<std::string, TensorBytes>;

// Writes atomically through `env`. The header keeps the order given; the data lies by falling element size, so that
// every tensor is aligned to it; the header is padded with spaces to 8 bytes. Throws (exit code 1) on a duplicate or
// empty name, a dtype that is not the format's, bytes that do not match the shape. Returns what the written bytes are
// known by, hashed in the same pass.
FileChecksums write_safetensors(Env& env, const std::string& path, const std::vector<NamedTensorBytes>& tensors,
                                const std::map<std::string, std::string>& metadata = {});

}  // namespace gfsa
