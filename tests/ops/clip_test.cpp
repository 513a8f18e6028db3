#include "ops/clip.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "support/op_case.h"

namespace gfsa::test {
namespace {

TEST(Clip, LimitsValues) {
  for (const Shape& shape : {Shape{}, Shape{0}, Shape{31}, Shape{4, 33}}) {
    check_op({.name = "clip",
              .inputs = {data(shape)},
              .op = [](auto& x) { return clip(x[0], -0.5, 0.75); },
              .reference =
                  [](auto& x) {
                    std::vector<double> y;
                    for (double v : x[0].values) y.push_back(std::clamp(v, -0.5, 0.75));
                    return y;
                  }});
  }
}

TEST(Clip, OneValueIsARange) {
  EXPECT_EQ(clip(Tensor::from<float>({3}, {-2, 1, 5}), 1, 1).to_vector<double>(), (std::vector<double>{1, 1, 1}));
}

TEST(Clip, GradientPassesAtTheBounds) {
  Tensor x = Tensor::from<float>({5}, {-2, -1, 0, 1, 2});
  require_grad(x);
  backward(clip(x, -1, 1), Tensor::full({5}, 3, DType::f32));
  EXPECT_EQ(grad_of(x).to_vector<double>(), (std::vector<double>{0, 3, 3, 3, 0}));
}

TEST(Clip, NaNStaysAndErrors) {
  EXPECT_TRUE(std::isnan(clip(Tensor::full({}, std::numeric_limits<double>::quiet_NaN(), DType::f32), 0, 1).item()));
  expect_error([] { clip(Tensor::zeros({2}, DType::f32), 1, 0); }, {"clip", "low is 1"});
  expect_error([] { clip(Tensor::zeros({2}, DType::u8), 0, 1); }, {"clip", "u8"});
}

}  // namespace
}  // namespace gfsa::test
