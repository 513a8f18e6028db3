#include "models/text_model.h"

namespace gfsa {

const config::Registry<TextModelConfig>& text_model_registry() {
  static const auto registry = [] {
    config::Registry<TextModelConfig> r("model");
    return r;
  }();
  return registry;
}

}  // namespace gfsa
