// small_store.h -- parameters and gradients that scripts/golden/optim.py forms in the same way.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/reader.h"
#include "optim/clipping.h"
#include "optim/optimizer_config.h"
#include "params/parameters.h"

namespace gfsa {

using NamedShapes = std::vector<std::pair<std::string, Shape>>;

// In [-0.5, 0.5), a multiple of 2^-20: exact in f32.
inline double fraction(uint64_t tensor, uint64_t step, uint64_t element) {
  uint64_t x = (element * 2654435761u + step * 40503u * 65537u + tensor * 2246822519u + 374761393u) & 0xFFFFFFFFu;
  x = ((x ^ (x >> 15)) * 2246822519u) & 0xFFFFFFFFu;
  x = ((x ^ (x >> 13)) * 3266489917u) & 0xFFFFFFFFu;
  x ^= x >> 16;
  return static_cast<double>(x >> 12) / 1048576.0 - 0.5;
}

template <class F>
void fill(const Tensor& t, const F& value_of) {
  std::vector<double> values(static_cast<size_t>(t.numel()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = value_of(i);
  t.copy_from(Tensor::from(t.shape(), values));
}

inline std::unique_ptr<ParameterStore> make_store(const NamedShapes& shapes, DType dtype, Device device = {}) {
  auto store = std::make_unique<ParameterStore>();
  for (const auto& [name, shape] : shapes) store->declare(name, shape, zeros());
  store->materialize(0, dtype, device);
  uint64_t t = 0;
  for (const auto& p : store->parameters()) {
    fill(p.value, [&](size_t i) { return 2 * fraction(t, 0, i); });
    ++t;
  }
  return store;
}

// step counts from 1.
inline void set_gradients(const ParameterStore& store, int64_t step) {
  uint64_t t = 0;
  for (const auto& p : store.parameters()) {
    fill(p.grad_buffer, [&](size_t i) {
      return fraction(t, static_cast<uint64_t>(step), i) + 0.25 * (static_cast<double>(i % 3) - 1);
    });
    ++t;
  }
}

// `text`: what stands after `optimizer:`.
struct OptimizerRoot {
  OptimizerConfig optimizer;
  void describe(config::Schema& s) { s.section("optimizer", optimizer, "Optimizer."); }
};
inline OptimizerConfig optimizer_from(const std::string& text) {
  OptimizerRoot root;
  config::load_text(root, "optimizer: " + text + "\n");
  return std::move(root.optimizer);
}

// Steps [from, to), by gradients that set_gradients makes, clipped, with a learning rate that falls.
inline void train(Optimizer& optimizer, const ParameterStore& store, int64_t from, int64_t to) {
  ClipConfig clipping;
  clipping.clip_norm = 5;
  for (int64_t step = from; step < to; ++step) {
    set_gradients(store, step + 1);
    optimizer.step(optimizer.lr() / static_cast<double>(step + 1), clip(store, clipping).scale);
  }
}

// What YAML would say of a rule, with all that groups and decay can do.
inline std::string config_of(const std::string& name) {
  std::string more = name == "sgd" ? ", momentum: 0.9, dampening: 0.1" : "";
  return "{name: " + name + ", lr: 0.01, weight_decay: 0.1, layer_decay: 0.8" + more + "}";
}

}  // namespace gfsa
