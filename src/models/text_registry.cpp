#include "models/text_model.h"

namespace gfsa {

// One each, at the end of its file.
void register_bert(config::Registry<TextModelConfig>& registry);
void register_roberta(config::Registry<TextModelConfig>& registry);
void register_albert(config::Registry<TextModelConfig>& registry);
void register_gpt2(config::Registry<TextModelConfig>& registry);

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
