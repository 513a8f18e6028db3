// Every optimizer against PyTorch's or timm's: 100 steps in f64 and f32, on GPUs in f32; tests/golden/optim.json, made
// by scripts/golden/optim.py.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "optim/clipping.h"
#include "optim/small_store.h"
#include "support/op_case.h"

namespace gfsa {
namespace {

const nlohmann::json& golden() {
  static const auto json = [] {
    std::ifstream file(GFSA_SOURCE_DIR "/tests/golden/optim.json");
    return nlohmann::json::parse(file);
  }();
  return json;
}

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const auto& c : golden()["cases"]) names.push_back(c["name"]);
  return names;
}

const nlohmann::json& case_of(const std::string& name) {
  for (const auto& c : golden()["cases"]) {
    if (c["name"] == name) return c;
  }
  throw std::runtime_error("no case " + name);
}

class OptimizerGolden : public testing::TestWithParam<std::string> {};

// Greatest difference, relative to the parameter's largest magnitude at the start or at the end: what is rounded along
// the way has the former's size. (Relative to the end alone, PyTorch's own f32 is 2e-5 from its f64 where a value ends
// near 0.)
double worst_difference(const nlohmann::json& c, DType dtype, Device device = {}) {
  NamedShapes shapes;
  for (const auto& [name, dims] : golden()["shapes"].items()) {
    const auto values = dims.get<std::vector<int64_t>>();
    shapes.emplace_back(name, Shape(std::span<const int64_t>(values)));
  }
  const auto store = make_store(shapes, dtype, device);
  OptimizerConfig config = optimizer_from(c["config"]);
  const bool split = c["split"];
  config.groups.no_decay = {};
  config.groups.no_decay_1d = split;
  if (split) config.groups.lr_factors = {"d=0.5"};
  Optimizer& optimizer = config.bind(*store);
  const auto start = store->flat_values().to(DType::f64).to_vector<double>();
  ClipConfig clipping;
  if (!c["clip_norm"].is_null()) clipping.clip_norm = c["clip_norm"].get<double>();
  if (!c["clip_value"].is_null()) clipping.clip_value = c["clip_value"].get<double>();

  const int64_t steps = golden()["steps"];
  const double base = c["base_lr"];
  for (int64_t step = 0; step < steps; ++step) {
    set_gradients(*store, step + 1);
    const double lr = base * (1 - static_cast<double>(step) / static_cast<double>(2 * steps));
    optimizer.step(lr, clip(*store, clipping).scale);
  }
  EXPECT_EQ(optimizer.steps(), steps);
  double worst = 0;
  for (const auto& p : store->parameters()) {
    const auto expected = c["final"][p.name].get<std::vector<double>>();
    const auto got = p.value.to(DType::f64).to_vector<double>();
    EXPECT_EQ(got.size(), expected.size());
    double largest = 0, difference = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_TRUE(std::isfinite(got[i])) << p.name;
      largest = std::max({largest, std::abs(expected[i]), std::abs(start[static_cast<size_t>(p.offset) + i])});
      difference = std::max(difference, std::abs(got[i] - expected[i]));
    }
    worst = std::max(worst, difference / largest);
  }
  return worst;
}

TEST_P(OptimizerGolden, f64) { EXPECT_LT(worst_difference(case_of(GetParam()), DType::f64), 1e-12); }
TEST_P(OptimizerGolden, f32) { EXPECT_LT(worst_difference(case_of(GetParam()), DType::f32), 1e-6); }
TEST_P(OptimizerGolden, OnOtherDevices) {
  for (const Device device : test::other_devices()) {
    EXPECT_LT(worst_difference(case_of(GetParam()), DType::f32, device), 1e-6) << device.text();
  }
}

INSTANTIATE_TEST_SUITE_P(all, OptimizerGolden, testing::ValuesIn(case_names()),
                         [](const auto& info) { return info.param; });

TEST(OptimizerGolden, CoversEveryRule) {
  for (const char* name : {"sgd", "adam", "adamw", "lamb", "lion", "adafactor"}) {
    EXPECT_NO_THROW(case_of(name)) << name;
  }
}

}  // namespace
}  // namespace gfsa
