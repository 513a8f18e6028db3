#include "ops/reduce.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/op_case.h"

namespace gfsa::test {
namespace {

struct Case {
  Shape shape;
  std::vector<int> dims;
};
const std::vector<Case>& cases() {
  static const std::vector<Case> list = {
      {{4, 33}, {}},       {{4, 33}, {0}},         {{4, 33}, {-1}},  {{3, 5, 7}, {1}},
      {{3, 5, 7}, {0, 2}}, {{2, 3, 4, 5}, {1, 3}}, {{2, 1, 4}, {1}}, {{}, {}},
      {{1}, {0}},          {{3, 4, 5}, {2, 0, 1}}, {{32}, {0}},      {{3, 1}, {1}}};
  return list;
}

// The groups of elements that go into each result, in order.
std::vector<std::vector<double>> groups(const Array& x, const std::vector<int>& dims) {
  std::vector<bool> gone(8, dims.empty());
  for (int d : dims) gone[static_cast<size_t>(d < 0 ? d + x.shape.rank() : d)] = true;
  int64_t results = 1;
  for (int d = 0; d < x.shape.rank(); ++d) results *= gone[static_cast<size_t>(d)] ? 1 : x.shape[d];
  std::vector<std::vector<double>> out(static_cast<size_t>(results));
  for (int64_t i = 0; i < x.shape.numel(); ++i) {
    int64_t rest = i, at = 0, stride = 1;
    for (int d = x.shape.rank() - 1; d >= 0; --d) {
      const int64_t q = rest % x.shape[d];
      rest /= x.shape[d];
      if (!gone[static_cast<size_t>(d)]) at += q * stride, stride *= x.shape[d];
    }
    out[static_cast<size_t>(at)].push_back(x[i]);
  }
  return out;
}

using Op = Tensor (*)(const Tensor&, const std::vector<int>&, bool);
using Fold = std::function<double(const std::vector<double>&)>;

void check_everywhere(const std::string& name, Op op, const Fold& fold, double looseness) {
  for (const Case& c : cases()) {
    for (bool keepdim : {false, true}) {
      check_op({.name = fmt::format("{} of {}", name, c.shape.text()),
                .inputs = {data(c.shape)},
                .op = [&](auto& x) { return op(x[0], c.dims, keepdim); },
                .reference =
                    [&](auto& x) {
                      std::vector<double> y;
                      for (const auto& g : groups(x[0], c.dims)) y.push_back(fold(g));
                      return y;
                    },
                .looseness = looseness});
    }
  }
}

double plain_sum(const std::vector<double>& x) {
  double s = 0;
  for (double v : x) s += v;
  return s;
}

TEST(Reduce, Sum) { check_everywhere("sum", sum, plain_sum, 4); }
TEST(Reduce, Mean) {
  check_everywhere(
      "mean", mean, [](auto& x) { return plain_sum(x) / static_cast<double>(x.size()); }, 4);
}
TEST(Reduce, SumSquares) {
  const auto fold = [](const std::vector<double>& x) {
    double s = 0;
    for (double v : x) s += v * v;
    return s;
  };
  check_everywhere("sum_squares", sum_squares, fold, 2);
}
TEST(Reduce, Max) {
  check_everywhere(
      "max", max, [](auto& x) { return *std::max_element(x.begin(), x.end()); }, 1);
}

// More than one block of rows, of columns and of elements; forward only, since finite differences would take minutes.
TEST(Reduce, SumOfManyBlocks) {
  for (const Case& c : std::vector<Case>{{{2, 8300}, {1}},
                                         {{140, 260}, {0}},
                                         {{2, 260, 3}, {1}},
                                         {{130, 2, 30}, {0, 2}},
                                         {{129, 2}, {0}},
                                         {{128, 2}, {0}},
                                         {{2, 8193}, {1}},
                                         {{2, 8192}, {1}},
                                         {{2, 3, 4, 5}, {0, 2}},
                                         {{2, 3, 4, 5}, {1, 3}}}) {
    check_op({.name = fmt::format("sum of {}", c.shape.text()),
              .inputs = {data(c.shape)},
              .op = [&](auto& x) { return sum(x[0], c.dims); },
              .reference =
                  [&](auto& x) {
                    std::vector<double> y;
                    for (const auto& g : groups(x[0], c.dims)) y.push_back(plain_sum(g));
                    return y;
                  },
              .looseness = 4,
              .differentiable = false,
              .outliers = false});
  }
}

// Every way in which kernels cut long sums: rows in short and long pieces, columns in two and three stages.
TEST(Reduce, LongSumsOnOtherDevices) {
  for (const Device device : other_devices()) {
    for (const Case& c : std::vector<Case>{
             {{2050, 1102}, {1}}, {{1, 300001}, {1}}, {{20000, 5}, {0}}, {{600000, 2}, {0}}, {{3, 700, 132}, {1}}}) {
      const Tensor x = random_tensor(c.shape, DType::f32, 1);
      expect_close(sum(x.to(device), c.dims), sum(x.to(DType::f64), c.dims).to_vector<double>(), 2e-5,
                   fmt::format("sum of {}", c.shape.text()));
    }
  }
}

TEST(Reduce, Shapes) {
  const Tensor x = Tensor::zeros({2, 3, 4}, DType::f32);
  EXPECT_EQ(sum(x, {0, 2}).shape(), (Shape{3}));
  EXPECT_EQ(mean(x, {-1}, true).shape(), (Shape{2, 3, 1}));
  EXPECT_EQ(max(x, {}, true).shape(), (Shape{1, 1, 1}));
  EXPECT_EQ(sum(x).shape(), Shape{});
  EXPECT_EQ(argmax(x, 1).shape(), (Shape{2, 4}));
  EXPECT_EQ(sum_squares(x.to(DType::bf16)).dtype(), DType::f32);
  EXPECT_EQ(sum(x.to(DType::bf16)).dtype(), DType::bf16);
}

TEST(Reduce, Bf16IsSummedInF32) {
  // In bf16 the sum would stick at 256.
  EXPECT_EQ(sum(Tensor::full({4096}, 1, DType::bf16)).item(), 4096);
  EXPECT_EQ(sum(Tensor::full({4096, 3}, 1, DType::bf16), {0}).to_vector<double>()[2], 4096);
}

TEST(Reduce, NoElements) {
  const Tensor none = Tensor::zeros({0, 3}, DType::f32);
  EXPECT_EQ(sum(none, {0}).to_vector<double>(), (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(sum(none).item(), 0);
  EXPECT_EQ(sum(none, {1}).shape(), (Shape{0}));
  EXPECT_TRUE(std::isnan(mean(none).item()));
}

TEST(Reduce, MaxSendsTheGradientToTheFirst) {
  Tensor x = Tensor::from<float>({2, 4}, {1, 5, 5, 2, 7, 0, 7, 7});
  require_grad(x);
  backward(max(x, {1}), Tensor::from<float>({2}, {3, 4}));
  EXPECT_EQ(grad_of(x).to_vector<double>(), (std::vector<double>{0, 3, 0, 0, 4, 0, 0, 0}));
  EXPECT_EQ(argmax(x, 1).to_vector<int64_t>(), (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(argmax(x, 0).to_vector<int64_t>(), (std::vector<int64_t>{1, 0, 1, 1}));
}

TEST(Reduce, MaxOfNaNIsNaN) {
  std::vector<Device> devices = other_devices();
  devices.emplace_back();
  for (const Device device : devices) {
    for (const int64_t n : {40, 1000}) {
      std::vector<float> values(static_cast<size_t>(n), -1);
      values[33] = values[39] = 7;
      const Tensor ties = Tensor::from<float>({n}, values).to(device);
      EXPECT_EQ(argmax(ties, 0).to_vector<int64_t>()[0], 33);
      EXPECT_EQ(max(ties).item(), 7);
      values[36] = values[38] = std::numeric_limits<float>::quiet_NaN();
      const Tensor x = Tensor::from<float>({n}, values).to(device);
      EXPECT_TRUE(std::isnan(max(x).item()));
      EXPECT_EQ(argmax(x, 0).to_vector<int64_t>()[0], 36);
      const Tensor low = Tensor::full({n}, -std::numeric_limits<double>::infinity(), DType::f32, device);
      EXPECT_EQ(max(low).item(), -std::numeric_limits<double>::infinity());
      EXPECT_EQ(argmax(low, 0).to_vector<int64_t>()[0], 0);
    }
  }
}

TEST(Reduce, NoElementsOnOtherDevices) {
  for (const Device device : other_devices()) {
    const Tensor none = Tensor::zeros({0, 3}, DType::f32, device);
    EXPECT_EQ(sum(none, {0}).to_vector<double>(), (std::vector<double>{0, 0, 0}));
    EXPECT_EQ(sum(none).item(), 0);
    EXPECT_TRUE(std::isnan(mean(none).item()));
  }
}

TEST(Reduce, SumTo) {
  const Tensor x = Tensor::from<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(sum_to(x, {3}, DType::f32).to_vector<double>(), (std::vector<double>{5, 7, 9}));
  EXPECT_EQ(sum_to(x, {2, 1}, DType::bf16).to_vector<double>(), (std::vector<double>{6, 15}));
  EXPECT_EQ(sum_to(x, {}, DType::f32).item(), 21);
  EXPECT_EQ(sum_to(x, {2, 3}, DType::bf16).dtype(), DType::bf16);
}

TEST(Reduce, Errors) {
  const Tensor x = Tensor::zeros({2, 3}, DType::f32);
  expect_error([&] { sum(x, {2}); }, {"sum", "dimension 2", "[2, 3]"});
  expect_error([&] { mean(x, {1, -1}); }, {"mean", "twice"});
  expect_error([&] { max(Tensor::zeros({2, 0}, DType::f32), {1}); }, {"max", "no elements"});
  expect_error([&] { sum(Tensor::zeros({2}, DType::i64)); }, {"sum", "i64"});
  expect_error([&] { sum_to(x, {2}, DType::f32); }, {"[2]", "[2, 3]"});
}

}  // namespace
}  // namespace gfsa::test
