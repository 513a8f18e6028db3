// strided_loop.h -- walking several strided tensors of one shape together.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

#include "core/tensor.h"

namespace gfsa {

// A loop over one shape with up to four strided operands; dimensions that all operands walk through evenly are merged.
struct StridedLoop {
  static constexpr int kOperands = 4;
  int rank = 0;
  std::array<int64_t, Shape::kMaxRank> size{};
  std::array<std::array<int64_t, Shape::kMaxRank>, kOperands> step{};  // [operand][dimension]
  int64_t numel = 1;

  // All operands have one shape (see Tensor::expand).
  explicit StridedLoop(std::initializer_list<Tensor> operands);

  // Where element i (row-major) stands in each operand, in its elements. Runs in kernels too.
  constexpr std::array<int64_t, kOperands> offsets(int64_t i) const {
    std::array<int64_t, kOperands> at{};
    for (int d = rank - 1; d >= 0; --d) {
      const int64_t q = i % size[d];
      i /= size[d];
      for (int k = 0; k < kOperands; ++k) at[k] += q * step[k][d];
    }
    return at;
  }
};

}  // namespace gfsa
