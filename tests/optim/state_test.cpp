// Bits: saved and loaded state goes on as if nothing had happened, and the number of threads does not matter.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/threads.h"
#include "core/cpu/simd.h"
#include "optim/clipping.h"
#include "optim/registry.h"
#include "optim/small_store.h"

namespace gfsa {
namespace {

// Large enough for several segments and blocks, with odd sizes, and a matrix wider than one block of Adafactor's.
const NamedShapes kShapes{{"embed", {1, 5, 24}},          {"blocks.0.w", {130, 257}}, {"blocks.0.b", {257}},
                          {"blocks.1.w", {3, 2, 17, 19}}, {"blocks.1.b", {20001}},    {"blocks.1.wK", {6}},
                          {"wide", {33, 1000}},           {"head", {10, 31}}};

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.bytes() == b.bytes() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

class EveryOptimizer : public testing::TestWithParam<std::string> {
 protected:
  ~EveryOptimizer() override { set_threads(0); }
};

TEST_P(EveryOptimizer, GoesOnFromLoadedStateBitForBit) {
  const auto straight = make_store(kShapes, DType::f32), first = make_store(kShapes, DType::f32);
  OptimizerConfig a = optimizer_from(config_of(GetParam())), b = optimizer_from(config_of(GetParam()));
  train(a.bind(*straight), *straight, 0, 6);
  train(b.bind(*first), *first, 0, 3);

  const auto second = make_store(kShapes, DType::f32);
  OptimizerConfig c = optimizer_from(config_of(GetParam()));
  Optimizer& resumed = c.bind(*second);
  std::map<std::string, Tensor> saved;
  for (const auto& [name, tensor] : b.rule->state()) saved[name] = tensor.clone();
  second->flat_values().copy_from(first->flat_values());
  resumed.load_state(saved, "state");
  train(resumed, *second, 3, 6);
  EXPECT_TRUE(same_bits(straight->flat_values(), second->flat_values()));
  EXPECT_EQ(resumed.steps(), 6);
  for (size_t i = 0; i < resumed.state().size(); ++i) {
    EXPECT_TRUE(same_bits(resumed.state()[i].second, a.rule->state()[i].second)) << resumed.state()[i].first;
  }
}

TEST_P(EveryOptimizer, ThreadsDoNotChangeBits) {
  std::vector<Tensor> results;
  for (const int threads : {1, 2, 3}) {
    set_threads(threads);
    const auto store = make_store(kShapes, DType::f32);
    OptimizerConfig config = optimizer_from(config_of(GetParam()));
    train(config.bind(*store), *store, 0, 3);
    results.push_back(store->flat_values().clone());
  }
  EXPECT_TRUE(same_bits(results[0], results[1]));
  EXPECT_TRUE(same_bits(results[0], results[2]));
}

TEST_P(EveryOptimizer, InstructionSetsAgree) {
  std::vector<double> reference;
  const simd::Isa active = simd::active();
  for (const simd::Isa isa : {simd::Isa::baseline, simd::Isa::avx2, simd::Isa::avx512}) {
    if (isa > simd::supported()) continue;
    simd::set_active(isa);
    const auto store = make_store(kShapes, DType::f64);
    OptimizerConfig config = optimizer_from(config_of(GetParam()));
    train(config.bind(*store), *store, 0, 3);
    const auto values = store->flat_values().to_vector<double>();
    if (reference.empty()) reference = values;
    for (size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(values[i], reference[i], 1e-12) << i;
  }
  simd::set_active(active);
}

TEST_P(EveryOptimizer, BoundAnewStartsAnew) {
  const auto store = make_store(kShapes, DType::f32), other = make_store(kShapes, DType::f32);
  OptimizerConfig used = optimizer_from(config_of(GetParam())), fresh = optimizer_from(config_of(GetParam()));
  // The first time with other groups.
  used.groups.layer_decay = 0.5;
  used.groups.lr_factors = {"*.b=2"};
  train(used.bind(*other), *other, 0, 2);
  other->flat_values().copy_from(store->flat_values());
  used.groups.layer_decay = fresh.groups.layer_decay;
  used.groups.lr_factors.clear();
  train(used.bind(*other), *other, 0, 2);
  train(fresh.bind(*store), *store, 0, 2);
  EXPECT_EQ(used.rule->steps(), 2);
  EXPECT_EQ(used.rule->state().size(), fresh.rule->state().size());
  EXPECT_EQ(used.rule->state_bytes(), fresh.rule->state_bytes());
  EXPECT_TRUE(same_bits(store->flat_values(), other->flat_values()));
}

TEST_P(EveryOptimizer, PaddingStaysZeroAndOutsidersStay) {
  const auto store = make_store(kShapes, DType::f32);
  OptimizerConfig config = optimizer_from(config_of(GetParam()));
  auto groups = make_parameter_groups(*store, config.groups, 0.1);
  for (auto& group : groups) {
    std::erase_if(group.parameters, [](const Parameter* p) { return p->name == "head"; });
  }
  config.rule->bind(*store, groups);
  const auto before = store->find("head")->value.to_vector<float>();
  train(*config.rule, *store, 0, 3);
  EXPECT_EQ(store->find("head")->value.to_vector<float>(), before);
  const auto values = store->flat_values().to_vector<float>();
  const Parameter* previous = nullptr;
  for (const Parameter& p : store->parameters()) {
    if (previous != nullptr) {
      for (int64_t i = previous->offset + previous->shape.numel(); i < p.offset; ++i) {
        EXPECT_EQ(values[static_cast<size_t>(i)], 0) << "before " << p.name;
      }
    }
    previous = &p;
  }
}

INSTANTIATE_TEST_SUITE_P(all, EveryOptimizer, testing::ValuesIn(optimizer_registry().names()),
                         [](const auto& info) { return info.param; });

// Parameters longer than a segment: every element moves, and by one step.
TEST_P(EveryOptimizer, MovesEveryElement) {
  const auto store = make_store(kShapes, DType::f64);
  OptimizerConfig config = optimizer_from(config_of(GetParam()));
  config.bind(*store);
  std::vector<double> before = store->flat_values().to_vector<double>();
  train(*config.rule, *store, 0, 1);
  const auto after = store->flat_values().to_vector<double>();
  for (const Parameter& p : store->parameters()) {
    int64_t still = 0;
    double largest = 0, smallest = 1e9;
    for (int64_t i = p.offset; i < p.offset + p.shape.numel(); ++i) {
      const double moved = std::abs(after[static_cast<size_t>(i)] - before[static_cast<size_t>(i)]);
      still += moved == 0 ? 1 : 0;
      largest = std::max(largest, moved), smallest = std::min(smallest, moved);
    }
    EXPECT_LE(still, p.shape.numel() / 1000) << p.name << ": " << smallest << " to " << largest;
  }
}

TEST(OptimizerState, SgdOfALongParameter) {
  const auto store = make_store({{"long", {20001}}, {"next", {3}}}, DType::f64);
  set_gradients(*store, 1);
  std::vector<double> expected = store->flat_values().to_vector<double>();
  const auto gradients = store->flat_grads().to_vector<double>();
  for (size_t i = 0; i < expected.size(); ++i) expected[i] -= 0.5 * gradients[i];
  OptimizerConfig sgd = optimizer_from("{name: sgd, lr: 0.5}");
  sgd.bind(*store).step(0.5);
  const auto values = store->flat_values().to_vector<double>();
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(values[i], expected[i], 1e-15) << i;
}

// Elementwise rules look at what they write, value and each state, wherever it stands.
TEST(OptimizerState, SeesWhetherAllIsFinite) {
  const auto inf = std::numeric_limits<float>::infinity();
  for (const char* name : {"sgd", "adam", "adamw"}) {
    const auto store = make_store({{"long", {20001}}, {"next", {3}}}, DType::f32);
    OptimizerConfig config = optimizer_from(fmt::format("{{name: {}, lr: 0.1}}", name));
    Optimizer& rule = config.bind(*store);
    train(rule, *store, 0, 1);
    EXPECT_TRUE(rule.has_seen_finite()) << name;
    std::vector<Tensor> all{store->flat_values()};
    for (const auto& [what, tensor] : rule.state()) {
      if (tensor.dtype() == DType::f32) all.push_back(tensor);
    }
    for (const Tensor& tensor : all) {
      for (const int64_t i : {int64_t{0}, int64_t{20000}, store->parameters()[1].offset + 2}) {
        for (const float bad : {inf, -inf, std::numeric_limits<float>::quiet_NaN()}) {
          const Tensor before = tensor.clone();
          tensor.data<float>()[i] = bad;
          train(rule, *store, 1, 2);
          EXPECT_FALSE(rule.has_seen_finite()) << name << ", element " << i;
          for (const Tensor& t : all) t.copy_from(Tensor::full(t.shape(), 0.5, t.dtype()));
          tensor.copy_from(before);
        }
      }
    }
    train(rule, *store, 1, 2);
    EXPECT_TRUE(rule.has_seen_finite()) << name;
  }
}

TEST(OptimizerState, NamesAndSizes) {
  const auto store = make_store({{"w", {4, 6}}, {"b", {6}}}, DType::f32);
  OptimizerConfig adamw = optimizer_from("adamw");
  adamw.bind(*store);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : adamw.rule->state()) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"step", "exp_avg", "exp_avg_sq"}));
  OptimizerConfig adafactor = optimizer_from("adafactor");
  adafactor.bind(*store);
  EXPECT_EQ(adafactor.rule->state_bytes(), 8u + 4 * (4 + 6 + 6));
}

TEST(OptimizerState, OneErrorListsEverythingAndChangesNothing) {
  const auto store = make_store({{"w", {4, 6}}}, DType::f32);
  OptimizerConfig config = optimizer_from("adamw");
  Optimizer& optimizer = config.bind(*store);
  try {
    optimizer.load_state({{"step", Tensor::full({1}, 7, DType::i64)},
                          {"exp_avg", Tensor::zeros({3}, DType::f32)},
                          {"exp_avg_sqr", Tensor::zeros({32}, DType::f32)}},
                         "run/optimizer.safetensors");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.exit_code(), kExitBadInput);
    EXPECT_NE(e.message().find("exp_avg is f32 [3], expected f32 [32]"), std::string::npos) << e.message();
    EXPECT_NE(e.message().find("missing optimizer state exp_avg_sq"), std::string::npos) << e.message();
    EXPECT_NE(e.message().find("unexpected optimizer state exp_avg_sqr"), std::string::npos) << e.message();
  }
  EXPECT_EQ(optimizer.steps(), 0);
}

TEST(OptimizerState, RangesOfSettings) {
  for (const char* wrong :
       {"{name: sgd, momentum: 1}", "{name: sgd, momentum: -0.1}", "{name: adamw, betas: [1, 0.9]}",
        "{name: adamw, betas: [0.9, -0.1]}", "{name: adamw, eps: -1}", "{name: lion, betas: [0.9, 1]}",
        "{name: lamb, betas: [0.9, 1]}", "{name: adafactor, d: 0.9}", "{name: adafactor, beta2_decay: 0.5}",
        "{name: sgd, lr: -1}", "{name: sgd, weight_decay: -1}"}) {
    EXPECT_THROW(optimizer_from(wrong), Error) << wrong;
  }
  for (const char* right : {"{name: sgd, lr: 0, momentum: 0.5}", "{name: adamw, betas: [0, 0], eps: 0}",
                            "{name: adafactor, d: 1, beta2_decay: 0, eps1: 0.5, eps2: 0}"}) {
    EXPECT_NO_THROW(optimizer_from(right)) << right;
  }
}

TEST(OptimizerState, MistakesOfTheCaller) {
  const auto store = make_store({{"w", {4, 6}}}, DType::f32);
  const auto other = make_store({{"w", {4, 6}}}, DType::f32);
  OptimizerConfig config = optimizer_from("adamw");
  EXPECT_THROW(config.rule->step(0.1), Error);  // before bind
  const Parameter* p = &store->parameters()[0];
  EXPECT_THROW(config.rule->bind(*store, {{"a", 1, 0, {p}}, {"b", 1, 0, {p}}}), Error);
  EXPECT_THROW(config.rule->bind(*other, {{"a", 1, 0, {p}}}), Error);
}

}  // namespace
}  // namespace gfsa
