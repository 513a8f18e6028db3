#include "tasks/forward_blocks.h"

#include <algorithm>

namespace gfsa::tasks {

Tensor forward_in_blocks(const ImageModel& model, const Tensor& images, int64_t classes, const ForwardContext& c) {
  const int64_t n = images.dim(0);
  const Tensor logits = Tensor::empty({n, classes}, DType::f32);
  for (int64_t begin = 0; begin < n; begin += kForwardBlock) {
    const int64_t count = std::min(n - begin, kForwardBlock);
    Tensor block = images.slice(0, begin, begin + count);
    if (count < kForwardBlock) {
      Shape shape = images.shape();
      shape[0] = kForwardBlock;
      const Tensor filled = Tensor::empty(shape, images.dtype(), images.device());
      filled.slice(0, 0, count).copy_from(block);
      const Tensor last = block.slice(0, count - 1, count);
      for (int64_t i = count; i < kForwardBlock; ++i) filled.slice(0, i, i + 1).copy_from(last);
      block = filled;
    }
    logits.slice(0, begin, begin + count).copy_from(model.forward(block.to(c.device), c).slice(0, 0, count));
  }
  return logits;
}

}  // namespace gfsa::tasks
