// shape.h -- dimensions of a tensor: up to eight, stored inline. [] is a scalar.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace gfsa {

class Shape {
 public:
  static constexpr int kMaxRank = 8;
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims);
  explicit Shape(std::span<const int64_t> dims);

  int rank() const { return rank_; }
  // Negative i counts from the end.
  int64_t operator[](int i) const { return dims_[checked(i)]; }
  int64_t& operator[](int i) { return dims_[checked(i)]; }
  int64_t numel() const;
  const int64_t* begin() const { return dims_.data(); }
  const int64_t* end() const { return dims_.data() + rank_; }
  void push_back(int64_t dim);
  // Row-major strides in elements.
  Shape contiguous_strides() const;
  bool operator==(const Shape& other) const;
  std::string text() const;  // "[64, 197, 384]"

 private:
  size_t checked(int i) const;
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

// NumPy's rule: align at the end, 1 stretches. Throws naming the op and both shapes.
Shape broadcast(const char* op, const Shape& a, const Shape& b);

}  // namespace gfsa
