#include "core/shape.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace gfsa {

Shape::Shape(std::initializer_list<int64_t> dims) : Shape(std::span<const int64_t>(dims.begin(), dims.size())) {}

Shape::Shape(std::span<const int64_t> dims) {
  for (int64_t d : dims) push_back(d);
}

void Shape::push_back(int64_t dim) {
  if (rank_ == kMaxRank) fail("a tensor can have at most {} dimensions", kMaxRank);
  if (dim < 0) fail("a dimension cannot be negative: {}", dim);
  dims_[static_cast<size_t>(rank_++)] = dim;
}

size_t Shape::checked(int i) const {
  const int k = i < 0 ? i + rank_ : i;
  if (k < 0 || k >= rank_) fail("dimension {} of shape {} does not exist", i, text());
  return static_cast<size_t>(k);
}

int64_t Shape::numel() const {
  int64_t n = 1;
  for (int64_t d : *this) n *= d;
  return n;
}

Shape Shape::contiguous_strides() const {
  Shape strides = *this;
  int64_t stride = 1;
  for (int i = rank_ - 1; i >= 0; --i) {
    strides[i] = stride;
    stride *= std::max<int64_t>(1, (*this)[i]);
  }
  return strides;
}

bool Shape::operator==(const Shape& other) const { return std::equal(begin(), end(), other.begin(), other.end()); }

std::string Shape::text() const { return fmt::format("[{}]", fmt::join(begin(), end(), ", ")); }

Shape broadcast(const char* op, const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  Shape out;
  for (int i = 0; i < rank; ++i) {
    const int ia = i - (rank - a.rank()), ib = i - (rank - b.rank());
    const int64_t da = ia < 0 ? 1 : a[ia], db = ib < 0 ? 1 : b[ib];
    if (da != db && da != 1 && db != 1) {
      fail("{}: shapes {} and {} do not broadcast: dimension {} is {} against {}", op, a.text(), b.text(), i, da, db);
    }
    out.push_back(da == 1 ? db : da);
  }
  return out;
}

}  // namespace gfsa
