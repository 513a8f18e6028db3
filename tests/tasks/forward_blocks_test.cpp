#include "tasks/forward_blocks.h"

#include <gmock/gmock.h>

#include "tasks/tiny_run.h"

namespace gfsa::tasks {
namespace {

// Answers with what it was given: the number of pictures in the block, the place in it, the picture's first pixel.
class Witness : public ImageModel {
 public:
  Tensor forward(const Tensor& images, const ForwardContext&, Diagnostics*) const override {
    const int64_t n = images.dim(0);
    const auto pixels = images.to_vector<float>();
    std::vector<float> out;
    for (int64_t i = 0; i < n; ++i) {
      out.insert(out.end(), {static_cast<float>(n), static_cast<float>(i), pixels[static_cast<size_t>(i * 4)]});
    }
    last_pixel = out.back();
    return Tensor::from({n, 3}, out);
  }
  double forward_flops() const override { return 0; }
  int64_t depth() const override { return 0; }
  mutable float last_pixel = -1;
};

Tensor numbered_images(int64_t n) {
  std::vector<float> pixels;
  for (int64_t i = 0; i < n; ++i) pixels.insert(pixels.end(), 4, static_cast<float>(i));
  return Tensor::from({n, 1, 2, 2}, pixels);
}

TEST(ForwardBlocks, AreAlwaysFull) {
  const Witness witness;
  for (const int64_t n : {int64_t{1}, kForwardBlock - 1, kForwardBlock, kForwardBlock + 1, 3 * kForwardBlock}) {
    const auto out = forward_in_blocks(witness, numbered_images(n), 3, {}).to_vector<float>();
    ASSERT_EQ(out.size(), static_cast<size_t>(3 * n));
    for (int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<size_t>(3 * i);
      EXPECT_EQ(out[at], kForwardBlock);
      EXPECT_EQ(out[at + 1], i % kForwardBlock);
      EXPECT_EQ(out[at + 2], i);
    }
    EXPECT_EQ(witness.last_pixel, n - 1);  // filled up with copies of the last picture
  }
}

TEST(ForwardBlocks, ANoPictureBatchGivesNothing) {
  EXPECT_EQ(forward_in_blocks(Witness(), numbered_images(0), 3, {}).shape(), (Shape{0, 3}));
}

}  // namespace
}  // namespace gfsa::tasks
