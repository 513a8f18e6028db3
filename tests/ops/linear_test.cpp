#include "ops/linear.h"

#include <gtest/gtest.h>

#include "autograd/autograd.h"
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

Array transposed(const Array& x) {
  Array y{{x.shape[1], x.shape[0]}, x.values};
  for (int64_t i = 0; i < x.shape[0]; ++i) {
    for (int64_t j = 0; j < x.shape[1]; ++j) {
      y.values[static_cast<size_t>(j * x.shape[0] + i)] = x[i * x.shape[1] + j];
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
                       x[1] = transposed(x[1]);
                       return plain_linear(x, Activation::gelu_tanh);
                     }};
  c.inputs[1].deviation = 0.2;
  c.any_threads_same_bits = false;
  c.looseness = 8;
  test::check_op(c);
}

TEST(Linear, ACopyOfTheWeightServesAsWell) {
  std::vector<Device> devices = test::other_devices();
  devices.push_back({});
  for (const Device device : devices) {
    const auto there = [&](const Shape& shape, uint64_t seed) {
      return test::random_tensor(shape, DType::f32, seed).to(device);
    };
    const Tensor x = there({3, 31}, 1).to(DType::bf16), w = there({17, 31}, 2), b = there({17}, 3);
    test::expect_same_bits(linear(x, w.to(DType::bf16), b).to(Device{}), linear(x, w, b).to(Device{}), device.text());
    test::expect_error([&] { linear(x.to(DType::f32), w.to(DType::bf16), b); }, {"weight", "bf16"});
  }
}

// Sizes for which a GPU's product can do more than multiply.
TEST(Linear, EpiloguesOfProducts) {
  for (const auto layout : {WeightLayout::outputs_inputs, WeightLayout::inputs_outputs}) {
    for (const bool bias : {true, false}) {
      const bool turned = layout == WeightLayout::inputs_outputs;
      test::OpCase c{.name = fmt::format("linear gelu_tanh{}{}", bias ? " bias" : "", turned ? " by input" : ""),
                     .inputs = {test::data({3, 4, 24}), test::parameter(turned ? Shape{24, 40} : Shape{40, 24})},
                     .op =
                         [=](const std::vector<Tensor>& x) {
                           return linear(x[0], x[1], bias ? x[2] : Tensor(), Activation::gelu_tanh, {}, layout);
                         },
                     .reference =
                         [=](std::vector<Array> x) {
                           if (turned) x[1] = transposed(x[1]);
                           return plain_linear(x, Activation::gelu_tanh);
                         }};
      if (bias) c.inputs.push_back(test::parameter({40}));
      c.inputs[1].deviation = 0.2;
      c.any_threads_same_bits = false;
      c.looseness = 8;
      test::check_op(c);
    }
  }
}

std::vector<double> plain_mlp(const std::vector<Array>& x, Activation activation) {
  Shape hidden = x[0].shape;
  hidden[-1] = x[1].shape[0];
  const Array h{hidden, plain_linear({x[0], x[1], x[2]}, activation)};
  return plain_linear({h, x[3], x[4]}, Activation::none);
}

TEST(Mlp, IsTwoLinears) {
  for (const int64_t hidden : {40, 33}) {  // with epilogues on GPUs, and without
    for (const Activation a : {Activation::gelu_tanh, Activation::gelu}) {
      test::OpCase c{.name = fmt::format("mlp {} {}", name_of(a), hidden),
                     .inputs = {test::data({3, 4, 24}), test::parameter({hidden, 24}), test::parameter({hidden}),
                                test::parameter({16, hidden}), test::parameter({16})},
                     .op = [a](const std::vector<Tensor>& x) { return mlp(x[0], x[1], x[2], x[3], x[4], a); },
                     .reference = [a](const std::vector<Array>& x) { return plain_mlp(x, a); }};
      c.inputs[1].deviation = c.inputs[3].deviation = 0.2;
      c.any_threads_same_bits = false;
      c.looseness = 16;  // h is rounded too
      c.outliers = false;
      test::check_op(c);
    }
  }
}

// Weights that are used twice get both gradients.
TEST(Mlp, GradientsAddUp) {
  std::vector<Device> devices = test::other_devices();
  devices.push_back({});
  for (const Device device : devices) {
    std::vector<Tensor> x{test::random_tensor({6, 24}, DType::f32, 1),
                          test::random_tensor({40, 24}, DType::f32, 2, 0.2), test::random_tensor({40}, DType::f32, 3),
                          test::random_tensor({16, 40}, DType::f32, 4, 0.2), test::random_tensor({16}, DType::f32, 5)};
    for (Tensor& t : x) {
      t = t.to(device);
      require_grad(t);
    }
    const Tensor seed = test::random_tensor({6, 16}, DType::f32, 6).to(device);
    const auto gradients = [&](int times, bool fused) {
      for (const Tensor& t : x) clear_grad(t);
      for (int i = 0; i < times; ++i) {
        backward(fused ? mlp(x[0], x[1], x[2], x[3], x[4], Activation::gelu_tanh)
                       : linear(linear(x[0], x[1], x[2], Activation::gelu_tanh), x[3], x[4]),
                 seed);
      }
      std::vector<Tensor> all;
      for (const Tensor& t : x) all.push_back(grad_of(t).clone());
      return all;
    };
    const auto once = gradients(1, true), twice = gradients(2, true), apart = gradients(1, false);
    for (size_t i = 0; i < x.size(); ++i) {
      auto doubled = once[i].to_vector<double>();
      test::expect_close(apart[i], doubled, 1e-5, fmt::format("input {} of one after the other", i));
      for (double& e : doubled) e *= 2;
      test::expect_close(twice[i], doubled, 1e-5, fmt::format("input {} twice", i));
    }
  }
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
