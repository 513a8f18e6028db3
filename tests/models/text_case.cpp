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
    const Tensor values = Tensor::empty(p.shape, DType::f32);
    float* x = values.data<float>();
    const uint64_t hash = hash_name(p.name);
#pragma omp parallel for
    for (int64_t i = 0; i < values.numel(); ++i) x[i] = static_cast<float>(shift + factor * spread(hash, i));
    p.value.copy_from(values);
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
