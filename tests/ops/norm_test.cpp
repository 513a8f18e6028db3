// layer_norm and rms_norm.
#include <gtest/gtest.h>

#include <cmath>

#include "autograd/autograd.h"
#include "ops/elementwise.h"
#include "ops/layer_norm.h"
#include "ops/reduce.h"
#include "ops/rms_norm.h"
#include "ops/view.h"
#include "support/op_case.h"

namespace gfsa::test {
namespace {

constexpr double kEps = 1e-5;

// inputs: x, then weight and bias where given.
std::vector<double> plain_norm(const std::vector<Array>& in, bool centred) {
  const Array& x = in[0];
  const int64_t columns = x.shape[-1], rows = columns == 0 ? 0 : x.shape.numel() / columns;
  std::vector<double> y;
  for (int64_t r = 0; r < rows; ++r) {
    double mean = 0, square = 0;
    for (int64_t c = 0; c < columns; ++c) mean += x[r * columns + c];
    mean = centred ? mean / static_cast<double>(columns) : 0;
    for (int64_t c = 0; c < columns; ++c) square += (x[r * columns + c] - mean) * (x[r * columns + c] - mean);
    const double s = 1 / std::sqrt(square / static_cast<double>(columns) + kEps);
    for (int64_t c = 0; c < columns; ++c) {
      double v = (x[r * columns + c] - mean) * s;
      if (in.size() > 1 && !in[1].values.empty()) v *= in[1][c];
      if (in.size() > 2 && !in[2].values.empty()) v += in[2][c];
      y.push_back(v);
    }
  }
  return y;
}

std::optional<DType> bf16_unless_f64(const Tensor& x) {
  return x.dtype() == DType::f64 ? std::nullopt : std::optional(DType::bf16);
}

TEST(LayerNorm, EverySize) {
  for (const Shape& shape : {Shape{2, 0}, Shape{0, 3}, Shape{2, 31}, Shape{5, 32}, Shape{3, 2, 33}, Shape{131, 9},
                             Shape{33}, Shape{2, 384}, Shape{64, 3}, Shape{65, 3}, Shape{128, 7}, Shape{590, 3}}) {
    const int64_t columns = shape[-1];
    check_op({.name = "layer_norm " + shape.text(),
              .inputs = {data(shape), parameter({columns}), parameter({columns})},
              .op = [](const auto& x) { return layer_norm(x[0], x[1], x[2], kEps); },
              .reference = [](const auto& x) { return plain_norm(x, true); }});
  }
}

// With one column nothing is left but the rounding of terms of size 1 / sqrt(eps), which cancel.
TEST(LayerNorm, OneColumn) {
  check_op({.name = "layer_norm [3, 1]",
            .inputs = {data({3, 1}), parameter({1}), parameter({1})},
            .op = [](const auto& x) { return layer_norm(x[0], x[1], x[2], kEps); },
            .reference = [](const auto& x) { return plain_norm(x, true); },
            .dtypes = {DType::f64, DType::f32},
            .looseness = 100});
  check_op({.name = "rms_norm [3, 1]",
            .inputs = {data({3, 1}), parameter({1})},
            .op = [](const auto& x) { return rms_norm(x[0], x[1], kEps); },
            .reference = [](const auto& x) { return plain_norm(x, false); },
            .dtypes = {DType::f64, DType::f32},
            .looseness = 100});
}

TEST(LayerNorm, WithoutWeightOrBias) {
  check_op({.name = "layer_norm plain",
            .inputs = {data({70, 17})},
            .op = [](const auto& x) { return layer_norm(x[0], {}, {}, kEps); },
            .reference = [](const auto& x) { return plain_norm(x, true); }});
  check_op({.name = "layer_norm without bias",
            .inputs = {data({70, 17}), parameter({17})},
            .op = [](const auto& x) { return layer_norm(x[0], x[1], {}, kEps); },
            .reference = [](const auto& x) { return plain_norm(x, true); }});
  check_op({.name = "layer_norm without weight",
            .inputs = {data({70, 17}), constant({}), parameter({17})},
            .op = [](const auto& x) { return layer_norm(x[0], x[1], x[2], kEps); },
            .reference = [](const auto& x) { return plain_norm(x, true); }});
}

TEST(LayerNorm, MixedPrecision) {
  check_op({.name = "layer_norm f32 to bf16",
            .inputs = {data({70, 33}), parameter({33}), parameter({33})},
            .op = [](const auto& x) { return layer_norm(x[0], x[1], x[2], kEps, bf16_unless_f64(x[0])); },
            .reference = [](const auto& x) { return plain_norm(x, true); },
            .dtypes = {DType::f32}});
}

// A mean far from 0 must not eat the variance, as it does where the variance is the mean of squares less the square of
// the mean.
TEST(LayerNorm, LargeMean) {
  OpInput x = data({4, 65});
  x.shift = 1000;
  check_op({.name = "layer_norm mean 1000",
            .inputs = {x},
            .op = [](const auto& in) { return layer_norm(in[0], {}, {}, kEps); },
            .reference = [](const auto& in) { return plain_norm(in, true); },
            .dtypes = {DType::f64, DType::f32},
            .looseness = 100,
            .outliers = false});
}

// Both results at once: sum + y, so that the stream's gradient has two sources.
TEST(AddLayerNorm, EverySize) {
  for (const Shape& shape : {Shape{2, 0}, Shape{0, 3}, Shape{2, 31}, Shape{3, 2, 33}, Shape{131, 9}, Shape{65, 16}}) {
    const int64_t columns = shape[-1];
    check_op({.name = "add_layer_norm " + shape.text(),
              .inputs = {data(shape), data(shape), parameter({columns}), parameter({columns})},
              .op =
                  [](const auto& x) {
                    const SumAndNorm r = add_layer_norm(x[0], x[1], x[2], x[3], kEps);
                    return add(r.sum, r.y);
                  },
              .reference =
                  [](const auto& x) {
                    Array sum{x[0].shape, x[0].values};
                    for (int64_t i = 0; i < sum.shape.numel(); ++i) sum.values[static_cast<size_t>(i)] += x[1][i];
                    std::vector<double> y = plain_norm({sum, x[2], x[3]}, true);
                    for (size_t i = 0; i < y.size(); ++i) y[i] += sum[static_cast<int64_t>(i)];
                    return y;
                  },
              .dtypes = {DType::f64, DType::f32}});
  }
}

// The bits of the two ops one after the other, forward and backward.
TEST(AddLayerNorm, IsAddThenLayerNorm) {
  struct Types {
    DType x, branch, out;
  };
  for (const Types t : {Types{DType::f32, DType::f32, DType::f32}, Types{DType::f32, DType::bf16, DType::bf16},
                        Types{DType::bf16, DType::bf16, DType::bf16}, Types{DType::f64, DType::f64, DType::f64}}) {
    std::vector<std::vector<Tensor>> results;
    for (const bool fused : {true, false}) {
      Tensor x = random_tensor({37, 40}, t.x, 1), branch = random_tensor({37, 40}, t.branch, 2);
      Tensor w = random_tensor({40}, accumulator_of(t.x), 3), b = random_tensor({40}, accumulator_of(t.x), 4);
      for (Tensor* leaf : {&x, &branch, &w, &b}) require_grad(*leaf);
      SumAndNorm r;
      if (fused) {
        r = add_layer_norm(x, branch, w, b, kEps, t.out);
      } else {
        r.sum = add(x, branch);
        r.y = layer_norm(r.sum, w, b, kEps, t.out);
      }
      const Tensor y = r.y.dtype() == r.sum.dtype() ? r.y : cast(r.y, r.sum.dtype());
      backward(sum(mul(add(r.sum, y), random_tensor({37, 40}, t.x, 5))));
      results.push_back({r.sum, r.y, grad_of(x), grad_of(branch), grad_of(w), grad_of(b)});
    }
    for (size_t i = 0; i < results[0].size(); ++i) {
      EXPECT_EQ(results[0][i].dtype(), results[1][i].dtype());
      EXPECT_EQ(results[0][i].to_vector<double>(), results[1][i].to_vector<double>()) << name_of(t.x) << " " << i;
    }
  }
}

TEST(AddLayerNorm, Errors) {
  const Tensor x = Tensor::zeros({2, 4}, DType::f32);
  expect_error(
      [&] {
        add_layer_norm(x, Tensor::zeros({1, 4}, DType::f32), {}, {}, kEps);
      },
      {"add_layer_norm: branch has shape [1, 4]"});
  expect_error([&] { add_layer_norm(x, {}, {}, {}, kEps); }, {"add_layer_norm: branch is missing"});
  expect_error([&] { add_layer_norm(x, Tensor::zeros({2, 4}, DType::f64), {}, {}, kEps); }, {"branch is f64"});
}

TEST(LayerNorm, Errors) {
  const Tensor x = Tensor::zeros({2, 4}, DType::f32);
  expect_error([&] { layer_norm(x, Tensor::zeros({5}, DType::f32), {}, kEps); },
               {"layer_norm: weight has shape [5]", "C = 4", "[2, 4]"});
  expect_error([&] { layer_norm(x, {}, Tensor::zeros({4}, DType::bf16), kEps); },
               {"layer_norm: bias is bf16, expected f32"});
  expect_error([&] { layer_norm(Tensor::zeros({2, 4}, DType::i64), {}, {}, kEps); }, {"x is i64"});
  expect_error([&] { layer_norm(Tensor::zeros({2, 4}, DType::f64), {}, {}, kEps, DType::f32); }, {"from f64 to f32"});
}

TEST(RmsNorm, EverySize) {
  for (const Shape& shape : {Shape{2, 0}, Shape{0, 3}, Shape{2, 31}, Shape{5, 32}, Shape{3, 2, 33}, Shape{131, 9},
                             Shape{64, 3}, Shape{65, 3}, Shape{128, 7}}) {
    check_op({.name = "rms_norm " + shape.text(),
              .inputs = {data(shape), parameter({shape[-1]})},
              .op = [](const auto& x) { return rms_norm(x[0], x[1], kEps); },
              .reference = [](const auto& x) { return plain_norm(x, false); }});
  }
  check_op({.name = "rms_norm plain",
            .inputs = {data({5, 33})},
            .op = [](const auto& x) { return rms_norm(x[0], {}, kEps); },
            .reference = [](const auto& x) { return plain_norm(x, false); }});
  check_op({.name = "rms_norm f32 to bf16",
            .inputs = {data({5, 33}), parameter({33})},
            .op = [](const auto& x) { return rms_norm(x[0], x[1], kEps, bf16_unless_f64(x[0])); },
            .reference = [](const auto& x) { return plain_norm(x, false); },
            .dtypes = {DType::f32}});
}

TEST(RmsNorm, Errors) {
  const Tensor x = Tensor::zeros({2, 4}, DType::f32);
  expect_error([&] { rms_norm(x, Tensor::zeros({5}, DType::f32), kEps); }, {"rms_norm: weight has shape [5]", "C = 4"});
}

}  // namespace
}  // namespace gfsa::test
