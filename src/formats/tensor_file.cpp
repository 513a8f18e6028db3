#include "formats/tensor_file.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"

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

template <class Stored, class T, class F>
Tensor converted(const TensorBytes& bytes, const Shape& shape, F&& convert) {
  const Tensor t = Tensor::empty(shape, dtype_of<T>);
  T* out = t.data<T>();
  for (int64_t i = 0; i < shape.numel(); ++i) {
    Stored x;
    std::memcpy(&x, bytes.data + static_cast<size_t>(i) * sizeof x, sizeof x);
    out[i] = convert(x);
  }
  return t;
}

}  // namespace

Tensor to_tensor(const TensorBytes& bytes, const std::string& where) {
  if (bytes.shape.size() > static_cast<size_t>(Shape::kMaxRank))
    bad_input("{}: has {} dimensions, expected at most {}", where, bytes.shape.size(), Shape::kMaxRank);
  const Shape shape{std::span<const int64_t>(bytes.shape)};
  if (bytes.dtype == "F16") return converted<uint16_t, float>(bytes, shape, from_half);
  if (bytes.dtype == "I16") return converted<int16_t, int32_t>(bytes, shape, [](int16_t x) { return int32_t{x}; });
  if (bytes.dtype == "I8") return converted<int8_t, int32_t>(bytes, shape, [](int8_t x) { return int32_t{x}; });
  const auto type = kTypes.find(bytes.dtype);
  if (type == kTypes.end()) bad_input("{}: is {}, which is not a type of this program", where, bytes.dtype);
  const Tensor t = Tensor::empty(shape, type->second);
  if (bytes.bytes > 0) std::memcpy(t.raw(), bytes.data, bytes.bytes);
  return t;
}

std::map<std::string, Tensor> read_tensors(const std::string& path) {
  const auto file = SafetensorsFile::open(path);
  std::map<std::string, Tensor> tensors;
  for (const auto& name : file.names()) tensors[name] = to_tensor(file.at(name), path + ": " + name);
  return tensors;
}

void write_tensors(Env& env, const std::string& path, const NamedTensors& tensors,
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
  write_safetensors(env, path, bytes, metadata);
}

}  // namespace gfsa
