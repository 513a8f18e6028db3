#include "formats/tensor_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <span>

#include "base/error.h"
#include "formats/safetensors_layout.h"

namespace gfsa {
namespace {

const std::map<std::string, DType> kTypes{{"F64", DType::f64},     {"F32", DType::f32}, {"BF16", DType::bf16},
                                          {"I64", DType::i64},     {"I32", DType::i32}, {"U8", DType::u8},
                                          {"BOOL", DType::boolean}};

std::string format_name(DType dtype) {
  for (const auto& [name, type] : kTypes) {
    if (type == dtype) return name;
  }
  fail("safetensors: no name for {}", name_of(dtype));
}

float from_half(uint16_t h) {
  const int exponent = h >> 10 & 31, mantissa = h & 1023;
  const float sign = h >> 15 ? -1.0f : 1.0f;
  if (exponent == 31)
    return mantissa ? std::numeric_limits<float>::quiet_NaN() : sign * std::numeric_limits<float>::infinity();
  return sign * (exponent ? std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25)
                          : std::ldexp(static_cast<float>(mantissa), -24));
}

constexpr size_t kReadBytes = 1 << 20;  // at a time; a multiple of every element's size

// How a stored dtype becomes one of ours: elements of `stored_bytes` each, converted by `convert` (null: as they are).
struct Conversion {
  DType dtype;
  size_t stored_bytes;
  void (*convert)(const std::byte* from, int64_t count, void* to);
};

template <class Stored, class T, class F>
void convert_all(const std::byte* from, int64_t count, void* to, const F& convert) {
  T* out = static_cast<T*>(to);
  for (int64_t i = 0; i < count; ++i) {
    Stored x;
    std::memcpy(&x, from + static_cast<size_t>(i) * sizeof x, sizeof x);
    out[i] = convert(x);
  }
}

Conversion conversion_of(const std::string& dtype, const std::string& where) {
  if (dtype == "F16") {
    return {DType::f32, 2,
            [](const std::byte* from, int64_t n, void* to) { convert_all<uint16_t, float>(from, n, to, from_half); }};
  }
  if (dtype == "I16") {
    return {DType::i32, 2, [](const std::byte* from, int64_t n, void* to) {
              convert_all<int16_t, int32_t>(from, n, to, [](int16_t x) { return int32_t{x}; });
            }};
  }
  if (dtype == "I8") {
    return {DType::i32, 1, [](const std::byte* from, int64_t n, void* to) {
              convert_all<int8_t, int32_t>(from, n, to, [](int8_t x) { return int32_t{x}; });
            }};
  }
  const auto type = kTypes.find(dtype);
  if (type == kTypes.end()) bad_input("{}: is {}, which is not a type of this program", where, dtype);
  return {type->second, safetensors_element_bytes(dtype), nullptr};
}

Shape checked_shape(const std::vector<int64_t>& shape, const std::string& where) {
  if (shape.size() > static_cast<size_t>(Shape::kMaxRank))
    bad_input("{}: has {} dimensions, expected at most {}", where, shape.size(), Shape::kMaxRank);
  return Shape{std::span<const int64_t>(shape)};
}

// One pass over a file from its first byte to its last, hashing what it reads if there is something to compare with.
class TensorFileReader {
 public:
  TensorFileReader(Env& env, const std::string& path, const FileChecksums* expected)
      : path_(path), expected_(expected), file_(env.open(path)) {}

  void read(const std::function<void(const std::string&, Tensor)>& take) {
    const SafetensorsHeader header = read_header();
    for (const SafetensorsEntry* entry : in_file_order(header.entries)) take(entry->name, read_tensor(*entry));
    if (expected_ != nullptr && whole_.text128() != expected_->xxh3_128) {
      bad_input("{}: damaged: its checksum is {}, expected {}", path_, whole_.text128(), expected_->xxh3_128);
    }
  }

 private:
  SafetensorsHeader read_header() {
    const uint64_t size = file_->size();
    if (expected_ != nullptr && size != expected_->bytes) {
      bad_input("{}: damaged: has {} bytes, expected {}", path_, size, expected_->bytes);
    }
    char length[kSafetensorsLengthBytes] = {};
    if (size >= sizeof length) file_->read(0, length, sizeof length);
    if (expected_ != nullptr) check_length(length);
    const uint64_t json_bytes = safetensors_header_bytes(length, size, path_);
    std::string head(kSafetensorsLengthBytes + json_bytes, ' ');
    file_->read(0, head.data(), head.size());
    if (expected_ != nullptr) {
      const std::string found = checksum64(head);
      if (found != expected_->header_xxh3_64) {
        bad_input("{}: header: damaged: its checksum is {}, expected {}", path_, found, expected_->header_xxh3_64);
      }
      whole_.update(head);
      for (const auto& [name, sum] : expected_->tensors_xxh3_64) sums_[name] = sum;
    }
    position_ = head.size();
    return parse_safetensors_layout(std::string_view(head).substr(kSafetensorsLengthBytes), size - head.size(), path_);
  }
  void check_length(const char* length) const {
    uint64_t json_bytes = 0;
    std::memcpy(&json_bytes, length, sizeof json_bytes);
    if (json_bytes + kSafetensorsLengthBytes != expected_->header_bytes) {
      bad_input("{}: header: damaged: its length is {}, expected {}", path_, json_bytes,
                expected_->header_bytes - kSafetensorsLengthBytes);
    }
  }

  Tensor read_tensor(const SafetensorsEntry& entry) {
    const std::string where = path_ + ": " + entry.name;
    const Conversion conversion = conversion_of(entry.dtype, where);
    const Tensor tensor = Tensor::empty(checked_shape(entry.shape, where), conversion.dtype);
    auto* out = static_cast<std::byte*>(tensor.raw());
    if (conversion.convert != nullptr) buffer_.resize(kReadBytes);
    Checksum part;
    for (uint64_t left = entry.end - entry.begin; left > 0;) {
      const auto n = static_cast<size_t>(std::min<uint64_t>(kReadBytes, left));
      std::byte* target = conversion.convert != nullptr ? buffer_.data() : out;
      file_->read(position_, target, n);
      if (expected_ != nullptr) part.update(target, n), whole_.update(target, n);
      const size_t elements = n / conversion.stored_bytes;
      if (conversion.convert != nullptr) conversion.convert(target, static_cast<int64_t>(elements), out);
      out += elements * size_of(conversion.dtype);
      position_ += n, left -= n;
    }
    if (expected_ != nullptr) check_tensor(entry.name, part.text64());
    return tensor;
  }
  void check_tensor(const std::string& name, const std::string& found) const {
    const auto sum = sums_.find(name);
    if (sum == sums_.end()) bad_input("{}: tensor '{}': there is no checksum for it", path_, name);
    if (sum->second != found) {
      bad_input("{}: tensor '{}': damaged: its checksum is {}, expected {}", path_, name, found, sum->second);
    }
  }

  const std::string& path_;
  const FileChecksums* expected_;
  std::unique_ptr<ReadableFile> file_;
  std::map<std::string, std::string> sums_;  // expected, by tensor
  Checksum whole_;
  uint64_t position_ = 0;
  std::vector<std::byte> buffer_;  // what is converted comes through here
};

}  // namespace

Tensor to_tensor(const TensorBytes& bytes, const std::string& where) {
  const Conversion conversion = conversion_of(bytes.dtype, where);
  const Tensor t = Tensor::empty(checked_shape(bytes.shape, where), conversion.dtype);
  if (conversion.convert != nullptr) {
    conversion.convert(bytes.data, t.numel(), t.raw());
  } else if (bytes.bytes > 0) {
    std::memcpy(t.raw(), bytes.data, bytes.bytes);
  }
  return t;
}

void for_each_tensor(Env& env, const std::string& path, const FileChecksums* expected,
                     const std::function<void(const std::string&, Tensor)>& take) {
  TensorFileReader(env, path, expected).read(take);
}

std::map<std::string, Tensor> read_tensors(Env& env, const std::string& path, const FileChecksums* expected) {
  std::map<std::string, Tensor> tensors;
  for_each_tensor(env, path, expected, [&](const std::string& name, Tensor t) { tensors[name] = std::move(t); });
  return tensors;
}

std::map<std::string, Tensor> read_tensors(const std::string& path) { return read_tensors(Env::real(), path); }

FileChecksums write_tensors(Env& env, const std::string& path, const NamedTensors& tensors,
                            const std::map<std::string, std::string>& metadata) {
  NamedTensors dense;
  std::vector<NamedTensorBytes> bytes;
  dense.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) {
    dense.emplace_back(name, tensor.contiguous());
    const Tensor& t = dense.back().second;
    bytes.push_back({name,
                     {format_name(t.dtype()),
                      {t.shape().begin(), t.shape().end()},
                      static_cast<const std::byte*>(t.raw()),
                      t.bytes()}});
  }
  return write_safetensors(env, path, bytes, metadata);
}

}  // namespace gfsa
