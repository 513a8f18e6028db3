#include "ops/linear.h"

#include <gtest/gtest.h>

#include "support/op_case.h"

namespace gfsa {
namespace {

using test::Array;

std::vector<double> plain_linear(const std::vector<Array>& in, Activation activation) {
  const Array &x = in[0], &w = in[1];
  const int64_t inputs = w.shape[1], outputs = w.shape[0], rows = x.shape.numel() / inputs;
  std::vector<double> y;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t o = 0; o < outputs; ++o) {
      double z = in.size() > 2 ? in[2][o] : 0;
      for (int64_t i = 0; i < inputs; ++i) z += x[r * inputs + i] * w[o * inputs + i];
      y.push_back(activate(activation, z));
    }
  }
  return y;
}

TEST(Linear, EveryActivationWithBias) {
  using enum Activation;
  for (const Activation a : {none, gelu, gelu_tanh, silu, tanh}) {
    test::OpCase c{.name = "linear " + std::string(name_of(a)),
                   .inputs = {test::data({2, 5, 31}), test::parameter({33, 31}), test::parameter({33})},
                   .op = [a](const std::vector<Tensor>& x) { return linear(x[0], x[1], x[2], a); },
                   .reference = [a](const std::vector<Array>& x) { return plain_linear(x, a); }};
    c.inputs[1].deviation = 0.2;
    c.any_threads_same_bits = false;
    c.looseness = 8;  // sums of 31 products, the weight rounded to bf16
    test::check_op(c);
  }
}

TEST(Linear, WeightsStoredByInput) {
  test::OpCase c{.name = "linear, weight [I, O]",
                 .inputs = {test::data({3, 4, 31}), test::parameter({31, 17}), test::parameter({17})},
                 .op =
                     [](const std::vector<Tensor>& x) {
                       return linear(x[0], x[1], x[2], Activation::gelu_tanh, {}, WeightLayout::inputs_outputs);
                     },
                 .reference =
                     [](std::vector<Array> x) {
                       Array turned{{17, 31}, std::vector<double>(17 * 31)};
                       for (size_t i = 0; i < 31; ++i) {
                         for (size_t o = 0; o < 17; ++o) turned.values[o * 31 + i] = x[1].values[i * 17 + o];
                       }
                       x[1] = turned;
                       return plain_linear(x, Activation::gelu_tanh);
                     }};
  c.inputs[1].deviation = 0.2;
  c.any_threads_same_bits = false;
  c.looseness = 8;
  test::check_op(c);
}

TEST(Linear, WithoutBias) {
  test::OpCase c{.name = "linear without bias",
                 .inputs = {test::data({32, 8}), test::parameter({1, 8})},
                 .op = [](const std::vector<Tensor>& x) { return linear(x[0], x[1], {}); },
                 .reference = [](const std::vector<Array>& x) { return plain_linear(x, Activation::none); }};
  c.any_threads_same_bits = false;
  c.looseness = 8;
  test::check_op(c);
}

TEST(Linear, LogitsInF32FromBf16) {
  const Tensor x = test::random_tensor({4, 64}, DType::bf16, 1), w = test::random_tensor({3, 64}, DType::f32, 2, 0.1);
  const Tensor y = linear(x, w, {}, Activation::none, DType::f32);
  EXPECT_EQ(y.dtype(), DType::f32);
  const auto narrow = w.to(DType::bf16);
  const auto expected =
      plain_linear({{x.shape(), x.to_vector<double>()}, {w.shape(), narrow.to_vector<double>()}}, Activation::none);
  test::expect_close(y, expected, 1e-5, "logits");
}

TEST(Linear, ErrorsNameBothShapes) {
  const Tensor x = Tensor::zeros({64, 197, 384}, DType::f32), w = Tensor::zeros({10, 768}, DType::f32);
  test::expect_error([&] { linear(x, w, {}); },
                     {"linear: weight has shape [10, 768], expected [O, I] with I = 384 from x [64, 197, 384]"});
  test::expect_error(
      [&] {
        linear(x, Tensor::zeros({10, 384}, DType::bf16), {});
      },
      {"linear: weight is bf16, expected f32"});
}

TEST(ColumnSums, EverySize) {
  for (const int64_t rows : {0, 1, 63, 64, 65, 129}) {
    for (const int64_t columns : {0, 1, 31, 32, 33, 64, 65}) {
      const Tensor x = test::random_tensor({rows, columns}, DType::f64, 5);
      std::vector<double> expected(static_cast<size_t>(columns));
      const auto values = x.to_vector<double>();
      for (size_t i = 0; i < values.size(); ++i) expected[i % expected.size()] += values[i];
      const Tensor sums = Tensor::full({columns}, 7, DType::f64);
      column_sums(x, sums, false);
      test::expect_close(sums, expected, 1e-13, fmt::format("{} x {}", rows, columns));
    }
  }
}

TEST(ColumnSums, SameBitsForAnyNumberOfThreadsAndAccurate) {
  const Tensor x = test::random_tensor({1000, 300}, DType::f32, 5);
  const Tensor sums = Tensor::zeros({300}, DType::f32);
  column_sums(x, sums, false);
  std::vector<double> expected(300);
  const auto values = x.to_vector<double>();
  for (size_t i = 0; i < values.size(); ++i) expected[i % 300] += values[i];
  test::expect_close(sums, expected, 1e-6, "sums");
  column_sums(x, sums, true);
  for (double& e : expected) e *= 2;
  test::expect_close(sums, expected, 1e-6, "sums twice");
}

}  // namespace
}  // namespace gfsa
