#include "ops/patch_embed.h"

#include <gtest/gtest.h>

#include "support/op_case.h"

namespace gfsa::test {
namespace {

// The convolution of stride P, from its definition. in: images, weight, bias or an empty array.
std::vector<double> plain_patch_embed(const std::vector<Array>& in) {
  const Array &x = in[0], &w = in[1], &b = in[2];
  const int64_t batch = x.shape[0], channels = x.shape[1], height = x.shape[2], width = x.shape[3];
  const int64_t out = w.shape[0], p = w.shape[2];
  std::vector<double> y;
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t row = 0; row < height / p; ++row) {
      for (int64_t column = 0; column < width / p; ++column) {
        for (int64_t d = 0; d < out; ++d) {
          double sum = b.values.empty() ? 0 : b[d];
          for (int64_t c = 0; c < channels; ++c) {
            for (int64_t i = 0; i < p; ++i) {
              for (int64_t j = 0; j < p; ++j) {
                sum += x[((n * channels + c) * height + row * p + i) * width + column * p + j] *
                       w[((d * channels + c) * p + i) * p + j];
              }
            }
          }
          y.push_back(sum);
        }
      }
    }
  }
  return y;
}

OpCase patch_case(const Shape& images, int64_t out, int64_t patch, bool bias) {
  OpInput weight = parameter({out, images[1], patch, patch});
  weight.outlier = 3;
  return {.name = fmt::format("patch_embed {} by {} to {}", images.text(), patch, out),
          .inputs = {data(images), weight, bias ? parameter({out}) : constant({})},
          .op = [](const auto& x) { return patch_embed(x[0], x[1], x[2]); },
          .reference = plain_patch_embed,
          // Inner products: errors add up over the terms, and bf16 products see a rounded weight.
          .looseness = 4,
          .any_threads_same_bits = false};
}

TEST(PatchEmbed, EverySize) {
  check_op(patch_case({2, 3, 8, 12}, 5, 4, true));
  check_op(patch_case({1, 1, 3, 3}, 1, 3, true));
  check_op(patch_case({3, 3, 16, 16}, 33, 8, true));
  check_op(patch_case({2, 2, 4, 4}, 7, 1, false));
  check_op(patch_case({0, 3, 8, 8}, 5, 4, true));
}

TEST(PatchEmbed, MixedPrecision) {
  OpCase c = patch_case({2, 3, 8, 12}, 33, 4, true);
  c.op = [](const auto& x) {
    return patch_embed(x[0], x[1], x[2], x[0].dtype() == DType::f64 ? DType::f64 : DType::bf16);
  };
  c.dtypes = {DType::f32};
  check_op(c);
}

TEST(PatchEmbed, Errors) {
  const Tensor weight = Tensor::zeros({5, 3, 4, 4}, DType::f32);
  expect_error(
      [&] {
        patch_embed(Tensor::zeros({1, 3, 8, 10}, DType::f32), weight, {});
      },
      {"[1, 3, 8, 10]", "no multiples of the patch size 4"});
  expect_error(
      [&] {
        patch_embed(Tensor::zeros({1, 1, 8, 8}, DType::f32), weight, {});
      },
      {"weight has shape", "Cin = 1"});
  expect_error(
      [&] {
        patch_embed(Tensor::zeros({1, 3, 8, 8}, DType::f64), weight, {});
      },
      {"weight is f32, expected f64"});
}

}  // namespace
}  // namespace gfsa::test
