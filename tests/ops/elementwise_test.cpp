#include "ops/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "support/op_case.h"

namespace gfsa::test {
namespace {

// Position in an array of `from` of the element that position i of `to` reads.
int64_t source_of(int64_t i, const Shape& to, const Shape& from) {
  int64_t at = 0, stride = 1;
  for (int d = to.rank() - 1; d >= 0; --d) {
    const int64_t q = i % to[d];
    i /= to[d];
    const int own = d - (to.rank() - from.rank());
    if (own < 0) continue;
    if (from[own] != 1) at += q * stride;
    stride *= from[own];
  }
  return at;
}

using Scalar2 = std::function<double(double, double)>;

std::function<std::vector<double>(const std::vector<Array>&)> stretched(const Scalar2& f) {
  return [f](const std::vector<Array>& x) {
    const Shape shape = broadcast("reference", x[0].shape, x[1].shape);
    std::vector<double> y;
    for (int64_t i = 0; i < shape.numel(); ++i) {
      y.push_back(f(x[0][source_of(i, shape, x[0].shape)], x[1][source_of(i, shape, x[1].shape)]));
    }
    return y;
  };
}

struct Pair {
  Shape a, b;
};
const std::vector<Pair>& pairs() {
  static const std::vector<Pair> list = {
      {{4, 33}, {4, 33}},     {{31}, {31}},        {{3, 5, 32}, {32}},     {{3, 5, 8}, {1, 5, 8}},
      {{3, 5, 1}, {3, 5, 7}}, {{}, {2, 3}},        {{1, 4, 1}, {2, 1, 3}}, {{2, 3, 4}, {2, 1, 4}},
      {{0, 4}, {4}},          {{1}, {1}},          {{7, 3}, {7, 1}},       {{1, 1, 2}, {2}},
      {{300, 5}, {1, 5}},     {{1, 300}, {3, 300}}};
  return list;
}

struct Binary {
  const char* name;
  Tensor (*op)(const Tensor&, const Tensor&);
  Scalar2 reference;
  double distance = 0;
};

TEST(Elementwise, BinaryOpsBroadcast) {
  const std::vector<Binary> ops = {{"add", add, [](double a, double b) { return a + b; }},
                                   {"sub", sub, [](double a, double b) { return a - b; }},
                                   {"mul", mul, [](double a, double b) { return a * b; }},
                                   {"div", div, [](double a, double b) { return a / b; }, 0.5}};
  for (const Binary& b : ops) {
    for (const Pair& p : pairs()) {
      OpInput right = data(p.b);
      right.distance = b.distance;
      check_op({.name = fmt::format("{} {} {}", b.name, p.a.text(), p.b.text()),
                .inputs = {data(p.a), right},
                .op = [&b](auto& x) { return b.op(x[0], x[1]); },
                .reference = stretched(b.reference)});
    }
  }
}

TEST(Elementwise, AddMixesF32WithBf16) {
  for (const Pair& p : pairs()) {
    const auto plus = stretched([](double a, double b) { return a + b; });
    check_op({.name = "add f32 + bf16",
              .inputs = {parameter(p.a), data(p.b)},
              .op = [](auto& x) { return add(x[0], x[1]); },
              .reference = plus});
    check_op({.name = "add bf16 + f32",
              .inputs = {data(p.a), parameter(p.b)},
              .op = [](auto& x) { return add(x[0], x[1]); },
              .reference = plus});
  }
  const Tensor sum = add(Tensor::full({2}, 1, DType::bf16), Tensor::full({2}, 0x1p-20, DType::f32));
  EXPECT_EQ(sum.dtype(), DType::f32);
  EXPECT_EQ(sum.to_vector<double>()[0], 1 + 0x1p-20);
}

// Steps of 2 and 3 between neighbours, in each operand and in two dimensions that do not merge.
TEST(Elementwise, TurnedOperands) {
  for (const int64_t width : {2, 3}) {
    const Tensor flat = random_tensor({4, 5, width}, DType::f64, 1), turned = flat.transpose(1, 2);
    const Tensor straight = random_tensor({4, width, 5}, DType::f64, 2);
    const Tensor dense = turned.contiguous();
    expect_same_bits(sub(turned, straight), sub(dense, straight), "turned, straight");
    expect_same_bits(sub(straight, turned), sub(straight, dense), "straight, turned");
    expect_same_bits(sub(turned, turned), Tensor::zeros({4, width, 5}, DType::f64), "turned, turned");
    const Tensor mask = random_tensor({4, width, 5}, DType::f64, 3);
    std::vector<uint8_t> bits;
    for (const double v : mask.to_vector<double>()) bits.push_back(v > 0 ? 1 : 0);
    const Tensor choice = Tensor::from<uint8_t>({4, width, 5}, bits).to(DType::boolean);
    expect_same_bits(where(choice, turned, straight), where(choice, dense, straight), "where turned, straight");
    expect_same_bits(where(choice, straight, turned), where(choice, straight, dense), "where straight, turned");
    const Tensor other = choice.transpose(1, 2).contiguous().transpose(1, 2);
    expect_same_bits(where(other, straight, dense), where(choice, straight, dense), "where, turned mask");
  }
}

TEST(Elementwise, OneTensorTwice) {
  check_op({.name = "x + x * x",
            .inputs = {data({5, 7})},
            .op = [](auto& x) { return add(x[0], mul(x[0], x[0])); },
            .reference =
                [](auto& x) {
                  std::vector<double> y;
                  for (double v : x[0].values) y.push_back(v + v * v);
                  return y;
                },
            .looseness = 2});
}

TEST(Elementwise, Where) {
  const Tensor full = Tensor::from<uint8_t>({2, 3}, {1, 0, 0, 1, 1, 0}).to(DType::boolean);
  const Tensor row = Tensor::from<uint8_t>({3}, {1, 0, 1}).to(DType::boolean);
  for (const Tensor& mask : {full, row}) {
    for (const Pair& p : std::vector<Pair>{{{2, 3}, {2, 3}}, {{2, 3}, {}}, {{1, 3}, {2, 1}}, {{4, 2, 3}, {3}}}) {
      check_op({.name = "where",
                .inputs = {constant(mask), data(p.a), data(p.b)},
                .op = [](auto& x) { return where(x[0], x[1], x[2]); },
                .reference =
                    [](auto& x) {
                      const Shape shape =
                          broadcast("reference", x[0].shape, broadcast("reference", x[1].shape, x[2].shape));
                      std::vector<double> y;
                      for (int64_t i = 0; i < shape.numel(); ++i) {
                        const auto& from = x[0][source_of(i, shape, x[0].shape)] != 0 ? x[1] : x[2];
                        y.push_back(from[source_of(i, shape, from.shape)]);
                      }
                      return y;
                    }});
    }
  }
  // What is not chosen does not leak, not even as NaN * 0.
  const Tensor nan = Tensor::full({3}, NAN, DType::f32), one = Tensor::full({3}, 1, DType::f32);
  EXPECT_EQ(where(row, one, nan).to_vector<float>()[0], 1);
}

TEST(Elementwise, ResidualScale) {
  for (const Shape& shape : {Shape{3, 5, 33}, Shape{31}, Shape{300, 4}, Shape{0, 4}, Shape{2, 600}}) {
    const int64_t columns = shape[-1];
    const auto reference = [columns](const std::vector<Array>& x) {
      std::vector<double> z;
      for (int64_t i = 0; i < x[0].shape.numel(); ++i) {
        z.push_back(x[0][i] + (x.size() > 2 ? x[2][i % columns] : 1) * x[1][i]);
      }
      return z;
    };
    for (const OpInput& x : {data(shape), parameter(shape)}) {
      check_op({.name = "residual_scale",
                .inputs = {x, data(shape), parameter({columns})},
                .op = [](auto& t) { return residual_scale(t[0], t[1], t[2]); },
                .reference = reference});
      check_op({.name = "residual_scale without gamma",
                .inputs = {x, data(shape)},
                .op = [](auto& t) { return residual_scale(t[0], t[1], {}); },
                .reference = reference});
    }
  }
  const Tensor wide = Tensor::full({2}, 1, DType::f64), narrow = Tensor::full({2}, 2, DType::bf16);
  EXPECT_EQ(residual_scale(wide, narrow, wide).to_vector<double>()[1], 3);
  EXPECT_EQ(residual_scale(wide, narrow, {}).to_vector<double>()[1], 3);
}

struct Unary {
  const char* name;
  std::function<Tensor(const Tensor&)> op;
  std::function<double(double)> reference;
  double shift = 0, deviation = 1;
  double looseness = 1;
};

TEST(Elementwise, FunctionsOfOneElement) {
  const std::vector<Unary> ops = {
      {"scale", [](const Tensor& x) { return scale(x, 0.3); }, [](double v) { return 0.3 * v; }},
      {"add_scalar", [](const Tensor& x) { return add_scalar(x, -0.7); }, [](double v) { return v - 0.7; }},
      {"neg", neg, [](double v) { return -v; }},
      {"exp", exp, [](double v) { return std::exp(v); }, 0, 0.1},
      {"log", log, [](double v) { return std::log(v); }, 3, 0.3, 2},
      {"sqrt", sqrt, [](double v) { return std::sqrt(v); }, 3, 0.3, 2},
      {"square", square, [](double v) { return v * v; }}};
  for (const Unary& u : ops) {
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{1}, Shape{31}, Shape{4, 32}, Shape{2, 3, 33}}) {
      OpInput input = data(shape);
      input.shift = u.shift;
      input.deviation = u.deviation;
      check_op({.name = u.name,
                .inputs = {input},
                .op = [&u](auto& x) { return u.op(x[0]); },
                .reference =
                    [&u](auto& x) {
                      std::vector<double> y;
                      for (double v : x[0].values) y.push_back(u.reference(v));
                      return y;
                    },
                .looseness = u.looseness});
    }
  }
}

TEST(Elementwise, Errors) {
  const Tensor f = Tensor::zeros({2, 3}, DType::f32), half = Tensor::zeros({2, 3}, DType::bf16);
  const Tensor i = Tensor::zeros({2, 3}, DType::i64), four = Tensor::zeros({4}, DType::f32);
  expect_error([&] { add(f, four); }, {"add", "[2, 3]", "[4]"});
  expect_error([&] { mul(f, half); }, {"mul", "f32", "bf16", "cast"});
  expect_error([&] { add(f, Tensor::zeros({2, 3}, DType::f64)); }, {"add", "f64"});
  expect_error([&] { sub(f, i); }, {"sub", "i64"});
  expect_error([&] { div(f, {}); }, {"div", "missing"});
  expect_error([&] { where(f, f, f); }, {"where", "mask", "f32", "bool"});
  expect_error([&] { exp(i); }, {"exp", "i64"});
  expect_error([&] { residual_scale(f, f, four); }, {"residual_scale", "gamma", "[4]", "C = 3"});
  expect_error([&] { residual_scale(half, f, {}); }, {"residual_scale", "y is f32", "bf16"});
}

}  // namespace
}  // namespace gfsa::test
