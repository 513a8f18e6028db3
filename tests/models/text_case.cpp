#include "models/text_case.h"

#include <cmath>

namespace gfsa::test {
namespace {

bool has_part(const std::string& name, std::initializer_list<const char*> parts) {
  for (const char* part : parts) {
    if (name.find(part) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

std::vector<double> spread(std::string_view name, int64_t count) {
  std::vector<double> out(static_cast<size_t>(count));
  const uint64_t hash = hash_name(name);
#pragma omp parallel for
  for (int64_t i = 0; i < count; ++i) {
    uint64_t z = hash + static_cast<uint64_t>(i) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    out[static_cast<size_t>(i)] = static_cast<double>(z >> 40) * 0x1p-23 - 1;
  }
  return out;
}

void fill_by_formula(ParameterStore& store) {
  for (const Parameter& p : store.parameters()) {
    double factor = 0.2, shift = 0;
    if (p.name.ends_with("wK")) {
      factor = 0.5;
    } else if (p.shape.rank() == 1) {
      shift = p.name.ends_with("weight") && has_part(p.name, {"LayerNorm", "layer_norm", "ln_"}) ? 1 : 0;
    } else if (has_part(p.name, {"embeddings.", "wte", "wpe"})) {
      factor = 0.7;
    } else {
      factor = 1.5 / std::sqrt(static_cast<double>(p.name.starts_with("transformer.") ? p.shape[0] : p.shape[1]));
    }
    const auto numbers = spread(p.name, p.shape.numel());
    std::vector<float> values(numbers.size());
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(shift + factor * numbers[i]);
    p.value.copy_from(Tensor::from<float>(p.shape, values));
  }
}

TextSubject::TextSubject(const std::string& model_keys, const std::string& attention, TextHead head, int64_t classes,
                         DType dtype, Device device) {
  config::load_text(sections, fmt::format("model: {}\nattention: {}\noptimizer: {{name: adamw, lr: 2e-3, "
                                          "weight_decay: 0.05, no_decay: [], no_decay_1d: false}}\n",
                                          model_keys, attention));
  model = sections.model->build(Scope(store), sections.attention, head, classes);
  store.materialize(0, dtype, device);
  fill_by_formula(store);
  context.compute = dtype;
  context.device = device;
}

std::map<std::string, Tensor> weights_of(const ParameterStore& store) {
  std::map<std::string, Tensor> out;
  for (const Parameter& p : store.parameters()) out[p.name] = p.value.detach().clone();
  return out;
}

}  // namespace gfsa::test
