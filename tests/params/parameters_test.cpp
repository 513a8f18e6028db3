#include "params/parameters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "autograd/autograd.h"
#include "base/threads.h"
#include "support/op_case.h"

namespace gfsa {
namespace {

using test::expect_close;
using test::expect_error;
using test::expect_same_bits;

struct Small {
  ParameterStore store;
  Param weight, bias, lamb;
  Small() {
    const Scope block = Scope(store) / "blocks" / int64_t{3};
    weight = block.param("weight", {3, 5}, normal(0.5));
    bias = block.param("bias", {3}, ones());
    lamb = (block / "attn").param("wK", {2}, zeros());
    (block / "attn").alias("wK", "lamb");
  }
};

TEST(Parameters, NamesOrderAndLayout) {
  Small m;
  EXPECT_EQ(m.store.count(), 20);
  std::vector<std::string> names;
  for (const auto& p : m.store.parameters()) names.push_back(p.name);
  EXPECT_EQ(names, (std::vector<std::string>{"blocks.3.weight", "blocks.3.bias", "blocks.3.attn.wK"}));
  EXPECT_EQ(m.store.find("blocks.3.bias")->shape.text(), "[3]");
  EXPECT_EQ(m.store.find("bias"), nullptr);
  expect_error([&] { (void)*m.weight; }, {"blocks.3.weight", "before"});

  m.store.materialize(1);
  for (const auto& p : m.store.parameters()) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p.value.raw()) % 64, 0u) << p.name;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p.grad_buffer.raw()) % 64, 0u) << p.name;
    EXPECT_TRUE(p.value.shares_storage_with(m.store.flat_values()));
    EXPECT_TRUE(requires_grad(p.value));
  }
  expect_close(*m.bias, {1, 1, 1}, 0, "ones");
  // Values in the flat buffer, padding zero.
  const auto flat = m.store.flat_values().to_vector<double>();
  double sum = 0;
  for (const auto& p : m.store.parameters()) {
    for (double v : p.value.to_vector<double>()) sum += std::abs(v);
  }
  for (double v : flat) sum -= std::abs(v);
  EXPECT_NEAR(sum, 0, 1e-12);

  expect_error([&] { Scope(m.store).param("late", {1}, zeros()); }, {"late", "after"});
  ParameterStore twice;
  Scope(twice).param("a", {1}, zeros());
  expect_error([&] { Scope(twice).param("a", {1}, zeros()); }, {"a:", "twice"});
  EXPECT_FALSE(Param());
  EXPECT_FALSE((*Param()).defined());
}

std::vector<double> initial_values(const Init& init, const std::string& name, uint64_t seed, int64_t n = 50000) {
  ParameterStore store;
  const Param p = Scope(store).param(name, {n}, init);
  store.materialize(seed, DType::f64);
  return p->to_vector<double>();
}

TEST(Parameters, Initialisers) {
  struct Case {
    Init init;
    double deviation, lowest, highest;
  };
  for (const Case& c :
       {Case{normal(0.5), 0.5, -10, 10}, Case{truncated_normal(0.02), 0.02, -2, 2},
        Case{truncated_normal(2), 2 * std::sqrt(1 - 2 * 0.24197072451914337 / 0.6826894921370859), -2, 2},
        Case{uniform(-1, 1), 1 / std::sqrt(3), -1, 1}, Case{torch_default(16), 0.25 / std::sqrt(3), -0.25, 0.25}}) {
    const auto x = initial_values(c.init, "x", 1);
    double sum = 0, squares = 0;
    for (double v : x) sum += v, squares += v * v;
    const auto n = static_cast<double>(x.size());
    EXPECT_NEAR(sum / n, 0, 5 * c.deviation / std::sqrt(n));
    EXPECT_NEAR(std::sqrt(squares / n), c.deviation, 0.02 * c.deviation);
    EXPECT_GE(*std::min_element(x.begin(), x.end()), c.lowest);
    EXPECT_LE(*std::max_element(x.begin(), x.end()), c.highest);
  }
  expect_close(initial_values(constant(3), "x", 1, 2), {3, 3}, 0, "constant");
}

TEST(Parameters, InitialValuesDependOnSeedAndNameOnly) {
  const auto x = initial_values(normal(1), "x", 1);
  EXPECT_NE(initial_values(normal(1), "x", 2), x);
  EXPECT_NE(initial_values(normal(1), "y", 1), x);
  const int before = threads();
  for (int n : {1, 3}) {
    set_threads(n);
    EXPECT_EQ(initial_values(normal(1), "x", 1), x);
  }
  set_threads(before);
  ParameterStore other;  // other neighbours, f32
  Scope(other).param("first", {77}, normal(1));
  const Param p = Scope(other).param("x", {50000}, normal(1));
  other.materialize(1);
  expect_close(*p, x, 1e-7, "beside another parameter");
}

TEST(Parameters, ValuesAloneAreDrawnWhereNoneAreGiven) {
  Small drawn, some;
  drawn.store.materialize(0);
  some.store.materialize_values([](const Parameter& p) { return p.name == "blocks.3.weight"; });
  for (const Parameter& p : some.store.parameters()) {
    const bool given = p.name == "blocks.3.weight";
    const auto expected = drawn.store.find(p.name)->value.to_vector<double>();
    expect_close(p.value, given ? std::vector<double>(expected.size(), 0) : expected, 0, p.name);
    EXPECT_FALSE(p.grad_buffer.defined()) << p.name;
  }
  EXPECT_FALSE(some.store.flat_grads().defined());
}

TEST(Parameters, GradientsLiveInTheFlatBuffer) {
  Small m;
  m.store.materialize(1);
  m.store.flat_grads().fill(7);
  const Tensor y = record("use", Tensor::full({}, 1, DType::f32), {*m.bias},
                          [](const Tensor&, GradOut& out) { out.give(0, Tensor::full({3}, 2, DType::f32)); });
  backward(y);
  m.store.complete_grads();
  expect_close(m.store.find("blocks.3.bias")->grad_buffer, {2, 2, 2}, 0, "used");
  expect_close(m.store.find("blocks.3.weight")->grad_buffer, std::vector<double>(15, 0), 0, "not used");
  m.store.clear_grads();
  EXPECT_FALSE(grad_of(*m.bias).defined());
}

TEST(Parameters, Load) {
  Small m;
  m.store.materialize(1);
  const Tensor w = test::random_tensor({3, 5}, DType::f64, 1);
  m.store.load({{"blocks.3.weight", w},
                {"blocks.3.bias", Tensor::from<float>({3}, {4, 5, 6})},
                {"blocks.3.attn.lamb", Tensor::from<float>({2}, {7, 8})}},
               "file");
  expect_same_bits(*m.weight, w.to(DType::f32), "converted from f64");
  expect_close(*m.lamb, {7, 8}, 0, "by its alias");
}

TEST(Parameters, LoadIsStrictAndListsEverything) {
  Small m;
  m.store.materialize(1);
  const std::vector<float> before = m.store.flat_values().to_vector<float>();
  const std::map<std::string, Tensor> tensors = {{"blocks.3.weigth", Tensor::zeros({3, 5}, DType::f32)},
                                                 {"blocks.3.bias", Tensor::zeros({4}, DType::f32)},
                                                 {"blocks.3.attn.wK", Tensor::zeros({2}, DType::f32)},
                                                 {"blocks.3.attn.lamb", Tensor::zeros({2}, DType::f32)}};
  expect_error([&] { m.store.load(tensors, "x.safetensors"); },
               {"x.safetensors", "unexpected tensor blocks.3.weigth", "did you mean 'blocks.3.weight'",
                "missing tensor blocks.3.weight", "misshapen tensor blocks.3.bias: [4], expected [3]",
                "blocks.3.attn.lamb", "are both for blocks.3.attn.wK"});
  EXPECT_EQ(m.store.flat_values().to_vector<float>(), before);
}

TEST(Parameters, LoadOptions) {
  Small m;
  m.store.materialize(1);
  const auto weight = m.weight->to_vector<double>();
  ParameterStore::LoadOptions options;
  options.optional_patterns = {"*.weight"};
  options.ignored_patterns = {"head.*"};
  options.adapt = [](const Parameter& p, const Tensor& t) { return p.name == "blocks.3.bias" ? t.slice(0, 0, 3) : t; };
  m.store.load({{"head.weight", Tensor::zeros({9}, DType::f32)},
                {"blocks.3.bias", Tensor::from<float>({4}, {1, 2, 3, 4})},
                {"blocks.3.attn.wK", Tensor::zeros({2}, DType::f32)}},
               "file", options);
  expect_close(*m.bias, {1, 2, 3}, 0, "adapted");
  expect_close(*m.weight, weight, 0, "kept");
}

TEST(Parameters, AreTheSameNumbersOnEveryDevice) {
  Small here;
  here.store.materialize(7);
  for (const Device device : test::other_devices()) {
    Small there;
    there.store.materialize(7, DType::f32, device);
    EXPECT_EQ(there.store.flat_values().device(), device);
    EXPECT_EQ(there.store.flat_grads().device(), device);
    EXPECT_EQ(there.weight->device(), device);
    expect_same_bits(there.store.flat_values().to(Device{}), here.store.flat_values(), device.text());
    for (const double g : there.store.flat_grads().to_vector<double>()) EXPECT_EQ(g, 0);

    // Files are read to the CPU, but tensors of any device are taken.
    std::map<std::string, Tensor> tensors;
    for (const auto& p : here.store.parameters()) tensors[p.name] = Tensor::full(p.shape, 0.25, DType::bf16);
    tensors["blocks.3.bias"] = Tensor::full({3}, 0.5, DType::f32, device);
    there.store.load(tensors, "file");
    expect_close(there.weight->to(Device{}), std::vector<double>(15, 0.25), 0, "weight");
    expect_close(there.bias->to(Device{}), {0.5, 0.5, 0.5}, 0, "bias");
    tensors["blocks.3.bias"].slice(0, 1, 2).fill(INFINITY);
    expect_error([&] { there.store.load(tensors, "file"); }, {"blocks.3.bias", "element 1 is not a finite number"});
  }
}

}  // namespace
}  // namespace gfsa
