#include "ops/activation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/op_case.h"

namespace gfsa::test {
namespace {

double plain(Activation a, double x) {
  const double pi = std::acos(-1.0);
  switch (a) {
    case Activation::none:
      return x;
    case Activation::gelu:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / pi) * (x + 0.044715 * x * x * x)));
    case Activation::relu:
      return std::max(x, 0.0);
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::tanh:
      return std::tanh(x);
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-x));
  }
  return 0;
}

constexpr Activation kAll[] = {Activation::none, Activation::gelu, Activation::gelu_tanh, Activation::relu,
                               Activation::silu, Activation::tanh, Activation::sigmoid};

TEST(Activation, EveryKind) {
  for (Activation a : kAll) {
    if (a == Activation::none) continue;
    for (const Shape& shape : {Shape{}, Shape{0, 3}, Shape{1}, Shape{31}, Shape{4, 32}, Shape{3, 2, 33}}) {
      OpInput input = data(shape);
      input.distance = 0.01;
      check_op({.name = std::string(name_of(a)),
                .inputs = {input},
                .op = [a](auto& x) { return activation(a, x[0]); },
                .reference =
                    [a](auto& x) {
                      std::vector<double> y;
                      for (double v : x[0].values) y.push_back(plain(a, v));
                      return y;
                    },
                .looseness = 2});
    }
  }
}

TEST(Activation, NamedFunctionsAreTheirKinds) {
  const Tensor x = random_tensor({40}, DType::f32, 1);
  expect_same_bits(gelu(x), activation(Activation::gelu, x), "gelu");
  expect_same_bits(gelu_tanh(x), activation(Activation::gelu_tanh, x), "gelu_tanh");
  expect_same_bits(relu(x), activation(Activation::relu, x), "relu");
  expect_same_bits(silu(x), activation(Activation::silu, x), "silu");
  expect_same_bits(tanh(x), activation(Activation::tanh, x), "tanh");
  expect_same_bits(sigmoid(x), activation(Activation::sigmoid, x), "sigmoid");
  EXPECT_TRUE(activation(Activation::none, x).shares_storage_with(x));
}

TEST(Activation, TailsAreExactAndFinite) {
  const std::vector<float> far = {-3e38f, -1e20f, -1e4f, -60.0f, 60.0f, 1e4f, 1e20f, 3e38f};
  Tensor x = Tensor::from<float>({8}, far);
  const Tensor ones = Tensor::full({8}, 1, DType::f32), slope = Tensor::empty({8}, DType::f32);
  for (Activation a : {Activation::gelu, Activation::gelu_tanh, Activation::silu, Activation::relu}) {
    const auto y = activation(a, x).to_vector<double>();
    activation_backward(a, x, ones, slope);
    const auto d = slope.to_vector<double>();
    for (size_t i = 0; i < far.size(); ++i) {
      SCOPED_TRACE(fmt::format("{} of {}", name_of(a), far[i]));
      EXPECT_NEAR(y[i], far[i] > 0 ? far[i] : 0, 1e-20);
      EXPECT_NEAR(d[i], far[i] > 0 ? 1 : 0, 1e-20);
    }
  }
}

TEST(Activation, SlopeOfReluAtZeroIsZero) {
  const Tensor x = Tensor::from<float>({3}, {-1, 0, 1}), slope = Tensor::empty({3}, DType::f32);
  activation_backward(Activation::relu, x, Tensor::full({3}, 2, DType::f32), slope);
  EXPECT_EQ(slope.to_vector<double>(), (std::vector<double>{0, 0, 2}));
}

TEST(Activation, NaNStaysNaN) {
  for (Activation a : kAll) {
    const Tensor x = Tensor::full({17}, std::numeric_limits<double>::quiet_NaN(), DType::f32);
    EXPECT_TRUE(std::isnan(activation(a, x).to_vector<double>()[16])) << name_of(a);
  }
}

TEST(Activation, KernelsWorkInPlace) {
  for (Activation a : kAll) {
    const Tensor x = random_tensor({100}, DType::f32, 2), y = Tensor::empty({100}, DType::f32), z = x.clone();
    activation_forward(a, x, y);
    activation_forward(a, z, z);
    expect_same_bits(z, y, "forward in place");
    const Tensor dy = random_tensor({100}, DType::f32, 3), dx = Tensor::empty({100}, DType::f32), d = dy.clone();
    activation_backward(a, x, dy, dx);
    activation_backward(a, x, d, d);
    expect_same_bits(d, dx, "backward in place");
    for (size_t i = 0; i < 100; ++i) {
      EXPECT_NEAR(activate(a, x.to_vector<double>()[i]), y.to_vector<double>()[i], 2e-6);
    }
  }
}

TEST(Activation, NamesAndErrors) {
  for (Activation a : kAll) EXPECT_EQ(parse_activation(name_of(a)), a);
  expect_error([] { parse_activation("gleu"); }, {"gleu", "gelu_tanh", "did you mean 'gelu'"});
  const Tensor x = Tensor::zeros({3, 4}, DType::f32);
  expect_error([] { gelu(Tensor::zeros({3}, DType::i64)); }, {"gelu", "i64"});
  expect_error([&] { activation_forward(Activation::relu, x.transpose(0, 1), x); }, {"contiguous"});
  expect_error([&] { activation_forward(Activation::relu, x, Tensor::zeros({3, 4}, DType::bf16)); }, {"bf16"});
  expect_error([&] { activation_forward(Activation::relu, x, Tensor::zeros({3, 5}, DType::f32)); }, {"[3, 5]"});
  const Tensor turned = Tensor::zeros({4, 3}, DType::f32).transpose(0, 1), longer = Tensor::zeros({13}, DType::f32);
  for (const Tensor& wrong : {turned, longer}) {
    expect_error([&] { activation_forward(Activation::relu, x, wrong); }, {"activation_forward", wrong.shape().text()});
    expect_error([&] { activation_backward(Activation::relu, x, wrong, x); }, {"activation_backward"});
    expect_error([&] { activation_backward(Activation::relu, x, x, wrong); }, {"activation_backward"});
    expect_error([&] { activation_backward(Activation::relu, wrong, x, x); }, {"activation_backward"});
  }
}

}  // namespace
}  // namespace gfsa::test
