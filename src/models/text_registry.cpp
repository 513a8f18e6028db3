#include "models/text_model.h"

#include "base/error.h"

namespace gfsa {

// One each, at the end of its file.
void register_bert(config::Registry<TextModelConfig>& registry);
void register_roberta(config::Registry<TextModelConfig>& registry);
void register_albert(config::Registry<TextModelConfig>& registry);
void register_gpt2(config::Registry<TextModelConfig>& registry);

std::unique_ptr<DecodeState> TextModel::start_decoding(int64_t, int64_t, const ForwardContext&) const {
  fail("this model does not generate text");
}

Tensor TextModel::decode(const Tensor&, const std::vector<int64_t>&, DecodeState&, const ForwardContext&) const {
  fail("this model does not generate text");
}

ParameterStore::LoadOptions TextModel::load_options() const {
  ParameterStore::LoadOptions o;
  for (const auto& [name, value] : coefficients()) o.optional_patterns.push_back(name);
  return o;
}

const config::Registry<TextModelConfig>& text_model_registry() {
  static const auto registry = [] {
    config::Registry<TextModelConfig> r("model");
    register_bert(r);
    register_roberta(r);
    register_albert(r);
    register_gpt2(r);
    return r;
  }();
  return registry;
}

}  // namespace gfsa
