// dtype.h -- element types.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace gfsa {

// bfloat16: the upper half of an IEEE binary32. Conversion from float rounds to nearest even; NaN stays NaN.
// constexpr throughout: such functions run in kernels as well.
struct bfloat16 {
  uint16_t bits = 0;
  bfloat16() = default;
  bfloat16(const bfloat16&) = default;
  // Written out: GCC 12 does not vectorise a loop that stores through the implicit one.
  constexpr bfloat16& operator=(const bfloat16& other) {
    bits = other.bits;
    return *this;
  }
  constexpr explicit bfloat16(float x) {
    const auto u = std::bit_cast<uint32_t>(x);
    const uint32_t rounded = (u + 0x7FFFu + ((u >> 16) & 1u)) >> 16;
    bits = static_cast<uint16_t>((u & 0x7FFFFFFFu) > 0x7F800000u ? (u >> 16) | 0x40u : rounded);
  }
  constexpr explicit operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
  constexpr explicit operator double() const { return static_cast<float>(*this); }
};

enum class DType : uint8_t { f64, f32, bf16, i64, i32, u8, boolean };

size_t size_of(DType dtype);
std::string_view name_of(DType dtype);  // "f64", "f32", "bf16", "i64", "i32", "u8", "bool"
bool is_floating(DType dtype);

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<bfloat16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::u8;
};
template <>
struct DTypeOf<bool> {
  static constexpr DType value = DType::boolean;
};
template <class T>
inline constexpr DType dtype_of = DTypeOf<T>::value;

// The type sums are kept in: double for f64, float for f32 and bf16.
template <class T>
struct AccumulatorOf {
  using type = float;
};
template <>
struct AccumulatorOf<double> {
  using type = double;
};
template <class T>
using acc_t = typename AccumulatorOf<T>::type;
// One element of another type, as Tensor::copy_from converts it. Through f32 where bfloat16 takes part; bool is x != 0.
template <class To, class From>
constexpr To convert_element(From x) {
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else if constexpr (std::is_same_v<To, bfloat16>) {
    return bfloat16(static_cast<float>(x));
  } else if constexpr (std::is_same_v<To, bool>) {
    return static_cast<float>(x) != 0.0f;
  } else if constexpr (std::is_same_v<From, bfloat16>) {
    return static_cast<To>(static_cast<float>(x));
  } else {
    return static_cast<To>(x);
  }
}

DType accumulator_of(DType dtype);  // f64 -> f64, f32 and bf16 -> f32

}  // namespace gfsa
