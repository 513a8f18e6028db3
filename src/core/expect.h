// expect.h -- checks of arguments, all worded alike:
//
//   layer_norm: weight has shape [768], expected [C] with C = 384 from x [64, 197, 384]
//
//   Expect e("layer_norm");
//   e.shape("x", x, "... C").shape("weight", weight, "C").floating("x", x);
//   const int64_t columns = e["C"], rows = e["..."];
//
// A pattern lists dimensions: a name is bound at its first use and must agree afterwards, a number must match, "..."
// stands for any number of leading dimensions and binds their product (and must be the same list wherever it occurs
// again).
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace gfsa {

class Expect {
 public:
  explicit Expect(const char* op) : op_(op) {}

  Expect& shape(const char* argument, const Tensor& t, const char* pattern);
  // As shape(), but an undefined tensor passes.
  Expect& optional(const char* argument, const Tensor& t, const char* pattern);
  Expect& dtype(const char* argument, const Tensor& t, std::initializer_list<DType> allowed);
  Expect& floating(const char* argument, const Tensor& t) {
    return dtype(argument, t, {DType::f64, DType::f32, DType::bf16});
  }
  // Both tensors defined, on the same device.
  Expect& same_device(const char* argument, const Tensor& t, const Tensor& as);
  template <class... Args>
  Expect& that(bool condition, fmt::format_string<Args...> format, Args&&... args) {
    if (!condition) fail("{}: {}", op_, fmt::format(format, std::forward<Args>(args)...));
    return *this;
  }

  int64_t operator[](const char* name) const;

 private:
  struct Binding {
    std::string name;
    int64_t value;
    Shape dims;          // for "..."
    std::string source;  // "x [64, 197, 384]"
  };
  const Binding* find(const std::string& name) const;
  [[noreturn]] void mismatch(const char* argument, const Tensor& t, const char* pattern) const;

  const char* op_;
  std::vector<Binding> bindings_;
};

}  // namespace gfsa
