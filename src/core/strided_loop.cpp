#include "core/strided_loop.h"

namespace gfsa {

StridedLoop::StridedLoop(std::initializer_list<Tensor> operands) {
  const Shape shape = operands.begin()->shape();
  numel = shape.numel();
  const int count = static_cast<int>(operands.size());
  for (int d = 0; d < shape.rank(); ++d) {
    if (shape[d] == 1) continue;
    bool merges = rank > 0;
    for (int k = 0; k < count && merges; ++k) {
      merges = step[k][rank - 1] == operands.begin()[k].strides()[d] * shape[d];
    }
    if (!merges) {
      size[rank] = 1;
      ++rank;
    }
    size[rank - 1] *= shape[d];
    for (int k = 0; k < count; ++k) step[k][rank - 1] = operands.begin()[k].strides()[d];
  }
  if (rank == 0) {  // one element: a row of length 1
    rank = 1;
    size[0] = 1;
    for (int k = 0; k < count; ++k) step[k][0] = 1;
  }
}

}  // namespace gfsa
