// binding.h -- a struct's member behind one face: what a visitor may know and do with it, without its type.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace gfsa::config {

enum class Kind { kBool, kInteger, kNumber, kText };    // of one element
enum class Form { kScalar, kOptional, kList, kArray };  // kOptional: null stands for "not set"
using Scalar = std::variant<bool, int64_t, double, std::string>;
using Scalars = std::vector<Scalar>;

struct Binding {
  Kind kind = Kind::kText;
  Form form = Form::kScalar;
  size_t length = 1;           // of a kArray
  double lowest = -kInfinity;  // what the member's type can hold (kInteger only)
  double highest = kInfinity;
  void* member = nullptr;
  Scalars (*get_values)(const void*) = nullptr;         // an empty optional gives no value
  void (*set_values)(void*, const Scalars&) = nullptr;  // the values have kind and count already checked

  Scalars get() const { return get_values(member); }
  void set(const Scalars& values) const { set_values(member, values); }

  static constexpr double kInfinity = std::numeric_limits<double>::infinity();
};

namespace detail {

template <class T>
struct ElementOf;  // a member of any other type is a compile error here
template <>
struct ElementOf<bool> {
  static constexpr Kind kKind = Kind::kBool;
  using Stored = bool;
};
template <>
struct ElementOf<int32_t> {
  static constexpr Kind kKind = Kind::kInteger;
  using Stored = int64_t;
};
template <>
struct ElementOf<int64_t> {
  static constexpr Kind kKind = Kind::kInteger;
  using Stored = int64_t;
};
template <>
struct ElementOf<double> {
  static constexpr Kind kKind = Kind::kNumber;
  using Stored = double;
};
template <>
struct ElementOf<std::string> {
  static constexpr Kind kKind = Kind::kText;
  using Stored = std::string;
};

template <class E>
Scalar pack(const E& value) {
  return Scalar(static_cast<typename ElementOf<E>::Stored>(value));
}
template <class E>
E unpack(const Scalar& value) {
  return static_cast<E>(std::get<typename ElementOf<E>::Stored>(value));
}

template <class T>
struct Access {
  using Element = T;
  static constexpr Form kForm = Form::kScalar;
  static constexpr size_t kLength = 1;
  static Scalars get(const void* p) { return {pack(*static_cast<const T*>(p))}; }
  static void set(void* p, const Scalars& v) { *static_cast<T*>(p) = unpack<T>(v[0]); }
};
template <class E>
struct Access<std::optional<E>> {
  using Element = E;
  static constexpr Form kForm = Form::kOptional;
  static constexpr size_t kLength = 1;
  static Scalars get(const void* p) {
    const auto& value = *static_cast<const std::optional<E>*>(p);
    return value ? Scalars{pack(*value)} : Scalars{};
  }
  static void set(void* p, const Scalars& v) {
    auto& value = *static_cast<std::optional<E>*>(p);
    if (v.empty()) {
      value.reset();
    } else {
      value = unpack<E>(v[0]);
    }
  }
};
template <class E>
struct Access<std::vector<E>> {
  using Element = E;
  static constexpr Form kForm = Form::kList;
  static constexpr size_t kLength = 0;
  static Scalars get(const void* p) {
    Scalars out;
    for (const auto& value : *static_cast<const std::vector<E>*>(p)) out.push_back(pack<E>(value));
    return out;
  }
  static void set(void* p, const Scalars& v) {
    auto& values = *static_cast<std::vector<E>*>(p);
    values.clear();
    for (const auto& value : v) values.push_back(unpack<E>(value));
  }
};
template <class E, size_t N>
struct Access<std::array<E, N>> {
  using Element = E;
  static constexpr Form kForm = Form::kArray;
  static constexpr size_t kLength = N;
  static Scalars get(const void* p) {
    Scalars out;
    for (const auto& value : *static_cast<const std::array<E, N>*>(p)) out.push_back(pack<E>(value));
    return out;
  }
  static void set(void* p, const Scalars& v) {
    for (size_t i = 0; i < N; ++i) (*static_cast<std::array<E, N>*>(p))[i] = unpack<E>(v[i]);
  }
};

}  // namespace detail

// T: bool, int, int64_t, double, std::string, or an optional, vector or array of one of them.
template <class T>
Binding bind(T& member) {
  using Access = detail::Access<T>;
  using Element = typename Access::Element;
  Binding b;
  b.kind = detail::ElementOf<Element>::kKind;
  b.form = Access::kForm;
  b.length = Access::kLength;
  if constexpr (detail::ElementOf<Element>::kKind == Kind::kInteger) {
    b.lowest = static_cast<double>(std::numeric_limits<Element>::min());
    b.highest = static_cast<double>(std::numeric_limits<Element>::max());
  }
  b.member = &member;
  b.get_values = &Access::get;
  b.set_values = &Access::set;
  return b;
}

}  // namespace gfsa::config
