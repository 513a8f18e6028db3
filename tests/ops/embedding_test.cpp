#include "ops/embedding.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/autograd.h"
#include "support/op_case.h"

namespace gfsa::test {
namespace {

std::vector<double> plain_embedding(const std::vector<Array>& in) {
  const int64_t columns = in[0].shape[1];
  std::vector<double> y;
  for (double index : in[1].values) {
    for (int64_t c = 0; c < columns; ++c) y.push_back(in[0][static_cast<int64_t>(index) * columns + c]);
  }
  return y;
}

Tensor some_indices(const Shape& shape, int64_t vocabulary) {
  std::vector<int64_t> v;
  for (int64_t i = 0; i < shape.numel(); ++i) v.push_back(i * i % vocabulary);  // squares: some often, some never
  if (!v.empty()) v.back() = vocabulary - 1;
  return Tensor::from(shape, v);
}

TEST(Embedding, EverySize) {
  for (int64_t columns : {0, 1, 31, 32, 33}) {
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{7}, Shape{3, 50}}) {
      check_op({.name = fmt::format("embedding {} of {}", shape.text(), columns),
                .inputs = {data({11, columns}), constant(some_indices(shape, 11))},
                .op = [](const auto& x) { return embedding(x[0], x[1]); },
                .reference = plain_embedding});
    }
  }
}

TEST(Embedding, MasterWeights) {
  check_op(
      {.name = "embedding f32 to bf16",
       .inputs = {data({11, 33}), constant(some_indices({3, 50}, 11))},
       .op = [](const auto& x) { return embedding(x[0], x[1], x[0].dtype() == DType::f64 ? DType::f64 : DType::bf16); },
       .reference = plain_embedding,
       .dtypes = {DType::f32}});
}

TEST(Embedding, AnIndexOutsideGivesNaNOnOtherDevices) {
  for (const Device device : other_devices()) {
    for (const int64_t columns : {3, 4}) {
      Tensor weight = Tensor::full({5, columns}, 2, DType::f32).to(device);
      require_grad(weight);
      const Tensor y = embedding(weight, Tensor::from<int64_t>({4}, {4, 5, -1, 4}).to(device));
      const auto rows = y.to_vector<float>();
      for (size_t r = 0; r < 4; ++r) {
        const float v = rows[r * static_cast<size_t>(columns)];
        EXPECT_TRUE(r == 0 || r == 3 ? v == 2 : std::isnan(v)) << "row " << r << " is " << v;
      }
      backward(y, Tensor::full({4, columns}, 3, DType::f32, device));
      const auto gradient = grad_of(weight).to_vector<float>();
      for (size_t i = 0; i < gradient.size(); ++i)
        EXPECT_EQ(gradient[i], static_cast<int64_t>(i) < 4 * columns ? 0 : 6);
    }
  }
}

TEST(Embedding, Errors) {
  const Tensor weight = Tensor::zeros({5, 2}, DType::f32);
  expect_error(
      [&] {
        embedding(weight, Tensor::from<int64_t>({2, 2}, {0, 1, 5, 2}));
      },
      {"embedding: indices [2, 2]", "element 2 is 5", "0 to 4"});
  expect_error([&] { embedding(weight, Tensor::from<int64_t>({1}, {-1})); }, {"is -1"});
  expect_error([&] { embedding(weight, Tensor::zeros({2}, DType::i32)); }, {"indices is i32, expected i64"});
  expect_error([&] { embedding(Tensor::zeros({5}, DType::f32), Tensor::zeros({2}, DType::i64)); },
               {"weight has shape [5]"});
}

}  // namespace
}  // namespace gfsa::test
