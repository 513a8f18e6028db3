#include "ops/softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "autograd/autograd.h"
#include "support/op_case.h"

namespace gfsa::test {
namespace {

std::vector<double> plain_softmax(const std::vector<Array>& in, bool log) {
  const Array& x = in[0];
  const int64_t columns = x.shape[-1], rows = columns == 0 ? 0 : x.shape.numel() / columns;
  std::vector<double> y;
  for (int64_t r = 0; r < rows; ++r) {
    double largest = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int64_t c = 0; c < columns; ++c) largest = std::max(largest, x[r * columns + c]);
    for (int64_t c = 0; c < columns; ++c) sum += std::exp(x[r * columns + c] - largest);
    for (int64_t c = 0; c < columns; ++c) {
      const double z = x[r * columns + c] - largest;
      y.push_back(log ? z - std::log(sum) : std::exp(z) / sum);
    }
  }
  return y;
}

TEST(Softmax, EverySize) {
  for (const Shape& shape : {Shape{2, 0}, Shape{0, 3}, Shape{3, 1}, Shape{2, 31}, Shape{5, 32}, Shape{3, 2, 33},
                             Shape{33}, Shape{160, 65}}) {
    check_op({.name = "softmax " + shape.text(),
              .inputs = {data(shape)},
              .op = [](const auto& x) { return softmax(x[0]); },
              .reference = [](const auto& x) { return plain_softmax(x, false); },
              .looseness = 4});
    check_op({.name = "log_softmax " + shape.text(),
              .inputs = {data(shape)},
              .op = [](const auto& x) { return log_softmax(x[0]); },
              .reference = [](const auto& x) { return plain_softmax(x, true); },
              .looseness = 4});
  }
}

void check_masked_rows(Device device) {
  SCOPED_TRACE(device.text());
  constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
  Tensor x =
      Tensor::from<float>({3, 3}, {-kInfinity, -kInfinity, -kInfinity, 0, -kInfinity, 0, -kInfinity, kNan, -kInfinity})
          .to(device);
  require_grad(x);
  const Tensor seed = Tensor::from<float>({3, 3}, {1, 2, 3, 1, 2, 3, 1, 2, 3}).to(device);
  const Tensor y = softmax(x);
  expect_close(y.slice(0, 0, 2), {0, 0, 0, 0.5, 0, 0.5}, 1e-6, "softmax");
  for (double v : y.select(0, 2).to_vector<double>()) EXPECT_TRUE(std::isnan(v));
  backward(y, seed);
  expect_close(grad_of(x).slice(0, 0, 2), {0, 0, 0, -0.5, 0, 0.5}, 1e-6, "gradient of softmax");

  clear_grad(x);
  const Tensor z = log_softmax(x);
  expect_close(z.slice(0, 0, 2), {-kInfinity, -kInfinity, -kInfinity, -std::log(2), -kInfinity, -std::log(2)}, 1e-6,
               "log_softmax");
  backward(z, seed);
  expect_close(grad_of(x).slice(0, 0, 2), {0, 0, 0, -2, 2, 0}, 1e-6, "gradient of log_softmax");
}

TEST(Softmax, MaskedRows) {
  check_masked_rows({});
  for (const Device device : other_devices()) check_masked_rows(device);
}

TEST(Softmax, Errors) {
  expect_error([] { softmax(Tensor::zeros({2}, DType::i32)); }, {"softmax: x is i32"});
  expect_error([] { log_softmax(Tensor::zeros({}, DType::f32)); }, {"log_softmax: x has shape []"});
}

}  // namespace
}  // namespace gfsa::test
