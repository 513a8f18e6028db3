// Optimizers, norms, clipping and averages on GPUs, beside the CPU's results; golden_test.cpp has the long runs.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/cuda/runtime.h"
#include "optim/clipping.h"
#include "optim/ema.h"
#include "optim/registry.h"
#include "optim/small_store.h"
#include "support/op_case.h"

namespace gfsa {
namespace {

using test::other_devices;

// Several segments and blocks, odd sizes, a matrix with more columns than a block has threads, one wider than a block.
const NamedShapes kShapes{{"embed", {1, 5, 24}},          {"blocks.0.w", {37, 300}}, {"blocks.0.b", {8195}},
                          {"blocks.1.w", {3, 2, 17, 19}}, {"blocks.1.wK", {6}},      {"head", {10, 31}}};
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::map<std::string, Tensor> copy_of(const std::vector<std::pair<std::string, Tensor>>& state) {
  std::map<std::string, Tensor> copy;
  for (const auto& [name, tensor] : state) copy[name] = tensor.clone();
  return copy;
}

void expect_near(const Tensor& actual, const Tensor& expected, double tolerance, const std::string& what) {
  test::expect_close(actual, expected.to_vector<double>(), tolerance, what);
}

class OptimizerOnDevice : public testing::TestWithParam<std::string> {};

// Six steps, of which the first three on one device and the rest on another, are six steps on the CPU.
TEST_P(OptimizerOnDevice, StateMovesBetweenDevices) {
  const auto straight = make_store(kShapes, DType::f32);
  OptimizerConfig whole = optimizer_from(config_of(GetParam()));
  train(whole.bind(*straight), *straight, 0, 6);
  for (const Device device : other_devices()) {
    for (const auto& [from, to] :
         {std::pair{Device{}, device}, std::pair{device, Device{}}, std::pair{device, device}}) {
      const auto a = make_store(kShapes, DType::f32, from), b = make_store(kShapes, DType::f32, to);
      OptimizerConfig first = optimizer_from(config_of(GetParam())), second = optimizer_from(config_of(GetParam()));
      train(first.bind(*a), *a, 0, 3);
      second.bind(*b).load_state(copy_of(first.rule->state()), "state");
      b->flat_values().copy_from(a->flat_values());
      train(*second.rule, *b, 3, 6);
      EXPECT_EQ(second.rule->steps(), 6);
      const std::string what = from.text() + " to " + to.text();
      expect_near(b->flat_values(), straight->flat_values(), 2e-6, what);
      for (size_t i = 1; i < whole.rule->state().size(); ++i) {
        expect_near(second.rule->state()[i].second, whole.rule->state()[i].second, 2e-6, what);
      }
    }
  }
}

TEST_P(OptimizerOnDevice, SameBitsAgain) {
  for (const Device device : other_devices()) {
    std::vector<Tensor> results;
    for (int run = 0; run < 2; ++run) {
      const auto store = make_store(kShapes, DType::f32, device);
      OptimizerConfig config = optimizer_from(config_of(GetParam()));
      train(config.bind(*store), *store, 0, 2);
      results.push_back(store->flat_values().to(Device{}));
    }
    test::expect_same_bits(results[0], results[1], device.text());
  }
}

// The host does not look at the norm; the step itself must see that it is not finite.
TEST_P(OptimizerOnDevice, GradientsThatAreNotFiniteChangeNothing) {
  for (const Device device : other_devices()) {
    const auto store = make_store(kShapes, DType::f32, device);
    OptimizerConfig config = optimizer_from(config_of(GetParam()));
    train(config.bind(*store), *store, 0, 2);
    const Tensor values = store->flat_values().clone();
    const auto state = copy_of(config.rule->state());
    for (const double bad : {kNan, std::numeric_limits<double>::infinity()}) {
      set_gradients(*store, 3);
      store->find("head")->grad_buffer.slice(0, 9, 10).fill(bad);
      for (const bool by_norm : {true, false}) {
        ClipConfig clipping;
        if (by_norm) clipping.clip_norm = 5;
        const ClipResult clipped = clip(*store, clipping);
        config.rule->step(0.01, clipped.scale);
        EXPECT_FALSE(clipped.finite());
      }
    }
    test::expect_same_bits(store->flat_values(), values, "values");
    for (const auto& [name, tensor] : config.rule->state()) {
      if (name != "step") test::expect_same_bits(tensor, state.at(name), name);
    }
    // And goes on afterwards.
    train(*config.rule, *store, 2, 3);
    EXPECT_TRUE(std::isfinite(l2_norm(store->flat_values())));
    EXPECT_NE(store->flat_values().to_vector<float>(), values.to_vector<float>());
  }
}

// A step recorded once and replayed is every step, whatever its learning rate and number.
TEST_P(OptimizerOnDevice, AGraphOfAStepMakesAllSteps) {
  EmaConfig averaging;
  averaging.decay = 0.9;
  averaging.warmup = true;
  ClipConfig clipping;
  clipping.clip_norm = 5;
  for (const Device device : other_devices()) {
    auto& runtime = dynamic_cast<DeviceRuntime&>(backend(device));
    const auto a = make_store(kShapes, DType::f32, device), b = make_store(kShapes, DType::f32, device);
    OptimizerConfig first = optimizer_from(config_of(GetParam())), second = optimizer_from(config_of(GetParam()));
    Optimizer &eager = first.bind(*a), &replayed = second.bind(*b);
    Ema x(*a, averaging), y(*b, averaging);
    Graph graph;
    ClipResult clipped;
    for (int64_t step = 1; step <= 6; ++step) {
      const double lr = 0.01 / static_cast<double>(step);
      set_gradients(*a, step);
      const ClipResult here = clip(*a, clipping);
      eager.step(lr, here.scale);
      x.update(step, here.scale);

      set_gradients(*b, step);
      replayed.begin_step(lr);
      y.begin_update(step);
      if (step == 1) {
        runtime.begin_capture({});
        clipped = clip(*b, clipping);
        replayed.apply_step(clipped.scale);
        y.apply_update(clipped.scale);
        graph = runtime.end_capture({});
      }
      runtime.launch(graph, {});
      replayed.end_step();
      EXPECT_EQ(replayed.steps(), step);
      test::expect_same_bits(b->flat_values(), a->flat_values(), fmt::format("values of step {}", step));
      test::expect_same_bits(y.flat(), x.flat(), fmt::format("averages of step {}", step));
      for (size_t i = 1; i < eager.state().size(); ++i) {
        test::expect_same_bits(replayed.state()[i].second, eager.state()[i].second, eager.state()[i].first);
      }
    }
    runtime.destroy(graph);
  }
}

// Many groups, and parameters in none.
TEST_P(OptimizerOnDevice, ManyGroups) {
  NamedShapes shapes;
  for (int i = 0; i < 70; ++i) shapes.emplace_back(fmt::format("p{}", i), i % 2 == 0 ? Shape{3, 5} : Shape{7});
  const auto run = [&](Device device) {
    const auto store = make_store(shapes, DType::f32, device);
    OptimizerConfig config = optimizer_from(config_of(GetParam()));
    std::vector<ParameterGroup> groups;
    for (const Parameter& p : store->parameters()) {
      const auto i = static_cast<double>(groups.size());
      if (p.name != "p33") groups.push_back({p.name, 1 + i / 10, i / 100, {&p}});
    }
    config.rule->bind(*store, groups);
    train(*config.rule, *store, 0, 2);
    return store->flat_values().to(Device{});
  };
  const Tensor expected = run({});
  for (const Device device : other_devices()) expect_near(run(device), expected, 2e-6, device.text());
}

// Sums of more parts than a warp or a block has threads.
TEST_P(OptimizerOnDevice, LongParameters) {
  const NamedShapes shapes{{"long", {270001}}, {"tall", {1000, 300}}, {"wide", {2, 9000}}};
  const auto run = [&](Device device) {
    const auto store = make_store(shapes, DType::f32, device);
    // Among so many elements coupled decay cancels some gradient to nothing but rounding, which Adam then makes large.
    const bool coupled = GetParam() == "adam";
    OptimizerConfig config = optimizer_from(coupled ? "{name: adam, lr: 0.01}" : config_of(GetParam()));
    train(config.bind(*store), *store, 0, 1);
    return store->flat_values().to(Device{});
  };
  const Tensor expected = run({});
  for (const Device device : other_devices()) expect_near(run(device), expected, 1e-6, device.text());
}

TEST_P(OptimizerOnDevice, NothingToTrain) {
  for (const Device device : other_devices()) {
    const auto store = make_store({{"a", {3}}, {"empty", {0, 4}}}, DType::f32, device);
    OptimizerConfig config = optimizer_from(config_of(GetParam()));
    config.rule->bind(*store, {});
    train(*config.rule, *store, 0, 1);
    test::expect_same_bits(store->flat_values(), make_store({{"a", {3}}}, DType::f32)->flat_values(), "values");
    config.bind(*store);
    train(*config.rule, *store, 0, 1);
    EXPECT_TRUE(std::isfinite(l2_norm(store->flat_values())));
  }
}

INSTANTIATE_TEST_SUITE_P(all, OptimizerOnDevice, testing::ValuesIn(optimizer_registry().names()),
                         [](const auto& info) { return info.param; });

TEST(OptimizerOnDevice, MasterWeightsInF32Only) {
  for (const Device device : other_devices()) {
    const auto store = make_store({{"a", {3}}}, DType::f64, device);
    OptimizerConfig config = optimizer_from("adamw");
    test::expect_error([&] { config.bind(*store); }, {"optimizer: parameters are f64, expected f32", device.text()});
  }
}

TEST(GradientNormOnDevice, EqualsTheCpus) {
  for (const Device device : other_devices()) {
    for (const int64_t n : {0, 1, 31, 33, 8191, 8192, 8193, 30000}) {
      const Tensor x = test::random_tensor({n}, DType::f32, 1, 100);
      EXPECT_NEAR(l2_norm(x.to(device)), l2_norm(x), 1e-13 * l2_norm(x)) << n;
    }
    const int64_t long_one = 257 * 8192 + 5;
    EXPECT_NEAR(l2_norm(Tensor::full({long_one}, 0.5, DType::f32, device)),
                0.5 * std::sqrt(static_cast<double>(long_one)), 1e-9);
    // No overflow of f32 squares.
    EXPECT_NEAR(l2_norm(Tensor::full({4}, 3e38, DType::f32, device)), 6e38, 1e32);
    EXPECT_TRUE(std::isnan(l2_norm(Tensor::full({40000}, kNan, DType::f32, device))));
  }
}

TEST(ClipOnDevice, FactorsAreTheCpus) {
  for (const Device device : other_devices()) {
    const auto here = make_store(kShapes, DType::f32), there = make_store(kShapes, DType::f32, device);
    set_gradients(*here, 1);
    set_gradients(*there, 1);
    for (const double clip_norm : {0.0, 1.5, 1000.0}) {
      for (const double factor : {1.0, 0.25, -3.0}) {
        ClipConfig config;
        if (clip_norm > 0) config.clip_norm = clip_norm;
        config.clip_value = 0.5;
        const ClipResult a = clip(*here, config, factor), b = clip(*there, config, factor);
        ASSERT_TRUE(b.scale.on_device);
        EXPECT_NEAR(b.scale.on_device.item(), a.scale.factor, 1e-12 * std::abs(a.scale.factor));
        EXPECT_NEAR(b.norm(), a.norm(), 1e-12 * a.norm());
        EXPECT_EQ(b.clipped(), a.clipped());
        EXPECT_TRUE(b.finite());
        EXPECT_EQ(b.scale.limit, 0.5);
      }
    }
  }
}

TEST(EmaOnDevice, FollowsTheCpusAndMoves) {
  EmaConfig config;
  config.decay = 0.9;
  config.warmup = true;  // another decay at each step
  const auto move_values = [](const ParameterStore& store, uint64_t step) {
    for (const auto& p : store.parameters()) fill(p.value, [&](size_t i) { return fraction(3, step, i); });
  };
  for (const Device device : other_devices()) {
    const auto here = make_store(kShapes, DType::f32), there = make_store(kShapes, DType::f32, device);
    Ema a(*here, config), b(*there, config);
    for (uint64_t step = 1; step <= 4; ++step) {
      move_values(*here, step);
      move_values(*there, step);
      a.update(static_cast<int64_t>(step));
      b.update(static_cast<int64_t>(step));
    }
    for (size_t i = 0; i < kShapes.size(); ++i) expect_near(b.state()[i].second, a.state()[i].second, 1e-6, "average");
    const auto trained = there->flat_values().to_vector<float>();
    const auto averaged = b.state()[1].second.to_vector<float>();
    {
      const EmaWeights guard(b);
      EXPECT_EQ(there->find(kShapes[1].first)->value.to_vector<float>(), averaged);
    }
    EXPECT_EQ(there->flat_values().to_vector<float>(), trained);
    b.reset();
    EXPECT_EQ(b.state()[0].second.to_vector<float>(), there->find("embed")->value.to_vector<float>());
    b.load_state(copy_of(a.state()), "ema");
    for (size_t i = 0; i < kShapes.size(); ++i) {
      test::expect_same_bits(b.state()[i].second, a.state()[i].second, kShapes[i].first);
    }
  }
}

}  // namespace
}  // namespace gfsa
