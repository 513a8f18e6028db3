#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "optim/ema.h"
#include "optim/small_store.h"

namespace gfsa {
namespace {

const NamedShapes kShapes{{"w", {5, 7}}, {"b", {3}}, {"big", {300, 301}}};

EmaConfig with_decay(double decay, bool warmup = false) {
  EmaConfig config;
  config.decay = decay;
  config.warmup = warmup;
  return config;
}

void move_values(const ParameterStore& store, uint64_t step) {
  uint64_t t = 0;
  for (const auto& p : store.parameters()) {
    fill(p.value, [&](size_t i) { return fraction(t, step, i); });
    ++t;
  }
}

TEST(Ema, FollowsTheFormula) {
  const auto store = make_store(kShapes, DType::f64);
  Ema ema(*store, with_decay(0.9));
  auto expected = store->flat_values().to_vector<double>();
  for (uint64_t step = 1; step <= 5; ++step) {
    move_values(*store, step);
    ema.update(static_cast<int64_t>(step));
    const auto values = store->flat_values().to_vector<double>();
    for (size_t i = 0; i < values.size(); ++i) expected[i] = 0.9 * expected[i] + (1 - 0.9) * values[i];
  }
  for (const auto& [name, tensor] : ema.state()) {
    const auto got = tensor.to_vector<double>();
    const auto begin = static_cast<size_t>(store->find(name)->offset);
    EXPECT_EQ(tensor.shape(), store->find(name)->shape);
    for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[begin + i], 1e-15) << name;
  }
}

TEST(Ema, WarmupAsModelEmaV3) {
  const EmaConfig config = with_decay(0.999, true);
  EXPECT_EQ(config.decay_at(1), 0);  // the first update copies the weights
  EXPECT_DOUBLE_EQ(config.decay_at(8), 0.75);
  EXPECT_DOUBLE_EQ(config.decay_at(1000000), 0.999);
  EXPECT_EQ(with_decay(0.99).decay_at(1), 0.99);
  EXPECT_EQ(EmaConfig{}.decay_at(8), 0);  // no average: nothing is kept
}

TEST(Ema, EvaluationSeesTheAverageAndTrainingComesBack) {
  const auto store = make_store(kShapes, DType::f32);
  Ema ema(*store, with_decay(0.5));
  move_values(*store, 1);
  ema.update(1);
  const Tensor handle = store->find("w")->value;  // as a layer holds it
  const auto trained = store->flat_values().to_vector<float>();
  const auto averaged = ema.state()[0].second.to_vector<float>();
  ASSERT_NE(handle.to_vector<float>(), averaged);
  {
    const EmaWeights guard(ema);
    EXPECT_EQ(handle.to_vector<float>(), averaged);
    EXPECT_THROW(ema.update(2), Error);
    EXPECT_THROW(ema.state(), Error);
    EXPECT_THROW(EmaWeights second(ema), Error);
  }
  EXPECT_EQ(store->flat_values().to_vector<float>(), trained);
  EXPECT_EQ(ema.state()[0].second.to_vector<float>(), averaged);
  ema.reset();
  EXPECT_EQ(ema.state()[0].second.to_vector<float>(), handle.to_vector<float>());
}

TEST(Ema, StateRoundTripIsBitwise) {
  const auto a = make_store(kShapes, DType::f32);
  Ema straight(*a, with_decay(0.9));
  for (uint64_t step = 1; step <= 2; ++step) {
    move_values(*a, step);
    straight.update(static_cast<int64_t>(step));
  }
  const auto c = make_store(kShapes, DType::f32);
  Ema resumed(*c, with_decay(0.9));
  std::map<std::string, Tensor> saved;
  for (const auto& [name, tensor] : straight.state()) saved[name] = tensor.clone();
  resumed.load_state(saved, "ema.safetensors");
  move_values(*a, 3);
  move_values(*c, 3);
  straight.update(3);
  resumed.update(3);
  for (size_t i = 0; i < kShapes.size(); ++i) {
    EXPECT_EQ(resumed.state()[i].second.to_vector<float>(), straight.state()[i].second.to_vector<float>());
  }
}

TEST(Ema, LoadListsAllProblems) {
  const auto store = make_store(kShapes, DType::f32);
  Ema ema(*store, with_decay(0.9));
  try {
    ema.load_state({{"w", Tensor::zeros({5, 6}, DType::f32)}, {"c", Tensor::zeros({3}, DType::f32)}}, "ema");
    FAIL();
  } catch (const Error& e) {
    for (const char* part : {"misshapen averaged tensor w: [5, 6], expected [5, 7]", "missing averaged tensor b",
                             "missing averaged tensor big", "unexpected averaged tensor c"}) {
      EXPECT_NE(e.message().find(part), std::string::npos) << e.message();
    }
  }
}

}  // namespace
}  // namespace gfsa
