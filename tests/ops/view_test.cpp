#include "ops/view.h"

#include <gtest/gtest.h>

#include "autograd/autograd.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"
#include "support/op_case.h"

namespace gfsa::test {
namespace {

// Elements of x[0] at the given positions.
std::function<std::vector<double>(const std::vector<Array>&)> picks(std::vector<int64_t> positions) {
  return [positions](const std::vector<Array>& x) {
    std::vector<double> y;
    for (int64_t p : positions) y.push_back(x[0][p]);
    return y;
  };
}

TEST(View, Reshape) {
  for (const Shape& to : {Shape{6, 4}, Shape{24}, Shape{2, 3, 4}, Shape{1, 24, 1}}) {
    check_op({.name = "reshape",
              .inputs = {data({2, 3, 4})},
              .op = [&](auto& x) { return reshape(x[0], to); },
              .reference = [](auto& x) { return x[0].values; }});
  }
  const Tensor x = Tensor::zeros({2, 3}, DType::f32);
  EXPECT_TRUE(reshape(x, {6}).shares_storage_with(x));
  check_op({.name = "reshape of nothing",
            .inputs = {data({0, 3})},
            .op =
                [&](auto& t) {
                  return reshape(t[0], {3, 0});
                },
            .reference = [](auto& t) { return t[0].values; }});
}

TEST(View, Transpose) {
  check_op({.name = "transpose",
            .inputs = {data({2, 3})},
            .op = [](auto& x) { return transpose(x[0], 0, -1); },
            .reference = picks({0, 3, 1, 4, 2, 5})});
  check_op({.name = "transpose then reshape",
            .inputs = {data({2, 2, 3})},
            .op =
                [](auto& x) {
                  return reshape(transpose(x[0], 0, 1), {2, 6});
                },
            .reference = picks({0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11})});
}

// The first gradient that arrives is a turned view, to which the second is added.
TEST(View, AGradientIsAddedToATurnedOne) {
  Tensor x = random_tensor({2, 3}, DType::f64, 1);
  require_grad(x);
  const Tensor w = random_tensor({3, 2}, DType::f64, 2), v = random_tensor({2, 3}, DType::f64, 3);
  const Tensor second = mul(x, v), first = mul(transpose(x, 0, 1), w);
  backward(add(sum(second), sum(first)));
  std::vector<double> expected = v.to_vector<double>();
  const auto turned = w.transpose(0, 1).contiguous().to_vector<double>();
  for (size_t i = 0; i < expected.size(); ++i) expected[i] += turned[i];
  expect_close(grad_of(x), expected, 1e-15, "gradient");
}

TEST(View, Expand) {
  check_op({.name = "expand",
            .inputs = {data({2, 1})},
            .op =
                [](auto& x) {
                  return expand(x[0], {2, 2, 3});
                },
            .reference = picks({0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1})});
}

TEST(View, SliceAndSelect) {
  check_op({.name = "slice",
            .inputs = {data({2, 4})},
            .op = [](auto& x) { return slice(x[0], 1, 1, 3); },
            .reference = picks({1, 2, 5, 6})});
  check_op({.name = "empty slice",
            .inputs = {data({2, 4})},
            .op = [](auto& x) { return slice(x[0], 0, 1, 1); },
            .reference = picks({})});
  check_op({.name = "select",
            .inputs = {data({2, 3, 2})},
            .op = [](auto& x) { return select(x[0], -2, 1); },
            .reference = picks({2, 3, 8, 9})});
  // Overlapping and repeated slices of one tensor add up.
  check_op({.name = "slices",
            .inputs = {data({4, 2})},
            .op = [](auto& x) { return add(slice(x[0], 0, 0, 2), mul(slice(x[0], 0, 1, 3), slice(x[0], 0, 2, 4))); },
            .reference =
                [](auto& x) {
                  std::vector<double> y;
                  for (int64_t i = 0; i < 4; ++i) y.push_back(x[0][i] + x[0][i + 2] * x[0][i + 4]);
                  return y;
                },
            .looseness = 2});
}

TEST(View, Concat) {
  check_op({.name = "concat",
            .inputs = {data({2, 1, 3}), data({2, 4, 3}), data({2, 0, 3})},
            .op = [](auto& x) { return concat(x, 1); },
            .reference =
                [](auto& x) {
                  std::vector<double> y;
                  for (int64_t b = 0; b < 2; ++b) {
                    for (int64_t i = 0; i < 3; ++i) y.push_back(x[0][b * 3 + i]);
                    for (int64_t i = 0; i < 12; ++i) y.push_back(x[1][b * 12 + i]);
                  }
                  return y;
                }});
  check_op({.name = "concat of one tensor twice",
            .inputs = {data({5})},
            .op =
                [](auto& x) {
                  return concat({x[0], x[0]}, 0);
                },
            .reference = picks({0, 1, 2, 3, 4, 0, 1, 2, 3, 4})});
}

TEST(View, ConcatOfOneIsItself) {
  const Tensor x = random_tensor({2, 3}, DType::f32, 1);
  EXPECT_TRUE(concat({x}, -1).shares_storage_with(x));
}

TEST(View, IndexSelect) {
  check_op({.name = "index_select of rows",
            .inputs = {data({3, 2}), constant(Tensor::from<int64_t>({4}, {2, 0, 2, 2}))},
            .op = [](auto& x) { return index_select(x[0], 0, x[1]); },
            .reference = picks({4, 5, 0, 1, 4, 5, 4, 5})});
  check_op({.name = "index_select in the middle",
            .inputs = {data({2, 3, 2}), constant(Tensor::from<int64_t>({2}, {2, 1}))},
            .op = [](auto& x) { return index_select(x[0], 1, x[1]); },
            .reference = picks({4, 5, 2, 3, 10, 11, 8, 9})});
  check_op({.name = "index_select of columns",
            .inputs = {data({2, 3}), constant(Tensor::from<int64_t>({1}, {1}))},
            .op = [](auto& x) { return index_select(x[0], -1, x[1]); },
            .reference = picks({1, 4})});
  check_op({.name = "index_select of nothing",
            .inputs = {data({2, 3}), constant(Tensor::from<int64_t>({0}, {}))},
            .op = [](auto& x) { return index_select(x[0], 0, x[1]); },
            .reference = picks({})});
}

std::vector<Device> every_device() {
  std::vector<Device> devices = other_devices();
  devices.emplace_back();
  return devices;
}

TEST(View, IndexSelectAddsManyRows) {
  for (const Device device : every_device()) {
    // 600 times the same row: a sum in bf16 would stick.
    Tensor x = Tensor::zeros({2, 70}, DType::bf16, device);
    require_grad(x);
    backward(index_select(x, 0, Tensor::zeros({600}, DType::i64, device)),
             Tensor::full({600, 70}, 1, DType::bf16, device));
    EXPECT_EQ(grad_of(x).to_vector<double>()[69], 600);
    EXPECT_EQ(grad_of(x).to_vector<double>()[70], 0);

    // Wide rows, whose first occurrence is far from the start.
    std::vector<int64_t> at(300, 0);
    at[270] = at[299] = 1;
    Tensor wide = Tensor::zeros({2, 1030}, DType::f32, device);
    require_grad(wide);
    backward(index_select(wide, 0, Tensor::from<int64_t>({300}, at).to(device)),
             Tensor::full({300, 1030}, 1, DType::f32, device));
    const auto gradient = grad_of(wide).to_vector<double>();
    for (size_t c = 0; c < 1030; ++c) ASSERT_TRUE(gradient[c] == 298 && gradient[1030 + c] == 2) << "column " << c;
  }
}

TEST(View, Cast) {
  for (DType to : {DType::f64, DType::f32}) {
    check_op({.name = "cast",
              .inputs = {data({33})},
              .op = [to](auto& x) { return cast(x[0], to); },
              .reference = [](auto& x) { return x[0].values; },
              .dtypes = {DType::f32, DType::bf16}});
  }
  Tensor x = Tensor::from<float>({2}, {1.5f, -2.5f});
  require_grad(x);
  EXPECT_EQ(cast(x, DType::f32).slot(), x.slot());
  EXPECT_FALSE(requires_grad(cast(x, DType::i64)));
  const Tensor half = cast(x, DType::bf16);
  EXPECT_EQ(half.dtype(), DType::bf16);
  backward(half, Tensor::full({2}, 3, DType::bf16));
  EXPECT_EQ(grad_of(x).to_vector<double>(), (std::vector<double>{3, 3}));
}

TEST(View, EveryDtypeMoves) {
  for (DType dtype : {DType::i64, DType::i32, DType::u8, DType::boolean, DType::f64, DType::bf16}) {
    SCOPED_TRACE(name_of(dtype));
    const Tensor x = Tensor::from<uint8_t>({2, 3}, {1, 0, 1, 1, 0, 0}).to(dtype);
    for (const Device device : other_devices()) {
      const Tensor there = x.to(device), two = Tensor::from<int64_t>({2}, {2, 3}).to(device);
      expect_same_bits(concat({there, there}, 1), concat({x, x}, 1), "concat");
      expect_same_bits(index_select(there, 1, two).select(1, 0).contiguous(), select(x, 1, 2).contiguous(), "rows");
      const double absent = index_select(there, 1, two).to(Device{}).select(0, 0).select(0, 1).item();
      EXPECT_TRUE(is_floating(dtype) ? absent != absent : absent == 0) << absent;
    }
    EXPECT_EQ(reshape(x, {6}).to_vector<int32_t>(), (std::vector<int32_t>{1, 0, 1, 1, 0, 0}));
    EXPECT_EQ(transpose(x, 0, 1).to_vector<int32_t>(), (std::vector<int32_t>{1, 1, 0, 0, 1, 0}));
    EXPECT_EQ(slice(x, 1, 1, 3).to_vector<int32_t>(), (std::vector<int32_t>{0, 1, 0, 0}));
    EXPECT_EQ(select(x, 0, 1).to_vector<int32_t>(), (std::vector<int32_t>{1, 0, 0}));
    EXPECT_EQ(concat({x, x}, 1).to_vector<int32_t>(), (std::vector<int32_t>{1, 0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 0}));
    EXPECT_EQ(index_select(x, 1, Tensor::from<int64_t>({2}, {2, 0})).to_vector<int32_t>(),
              (std::vector<int32_t>{1, 1, 0, 1}));
    EXPECT_EQ(expand(select(x, 0, 0), {2, 3}).to_vector<int32_t>(), (std::vector<int32_t>{1, 0, 1, 1, 0, 1}));
    EXPECT_EQ(concat({x, x}, 0).dtype(), dtype);
  }
}

TEST(View, Errors) {
  const Tensor x = Tensor::zeros({2, 3}, DType::f32);
  expect_error([&] { reshape(x, {5}); }, {"reshape", "[2, 3]", "[5]"});
  expect_error([&] { transpose(x, 0, 2); }, {"transpose", "dimension 2", "[2, 3]"});
  expect_error([&] { slice(x, 1, 2, 4); }, {"slice", "[2, 4)", "[2, 3]"});
  expect_error([&] { select(x, 1, 3); }, {"select", "index 3", "[2, 3]"});
  expect_error([&] { expand(x, {2, 4}); }, {"expand", "[2, 3]"});
  expect_error([&] { expand(Tensor::zeros({2, 4}, DType::f32), {2, 1}); }, {"expand", "[2, 4]"});
  expect_error([&] { concat({}, 0); }, {"concat", "no tensors"});
  expect_error([&] { concat({x, Tensor::zeros({2, 4}, DType::f32)}, 0); }, {"concat", "x[1]", "[2, 4]", "[2, 3]"});
  expect_error([&] { concat({x, x.to(DType::f64)}, 0); }, {"concat", "x[1]", "f64"});
  expect_error([&] { index_select(x, 0, Tensor::from<int64_t>({2}, {0, 2})); }, {"indices[1] is 2", "[2, 3]"});
  expect_error([&] { index_select(x, 0, x); }, {"index_select", "indices"});
  expect_error([&] { cast({}, DType::f32); }, {"cast", "missing"});
}

}  // namespace
}  // namespace gfsa::test
