#include "models/image_model.h"

namespace gfsa {

// One each, at the end of its file.
void register_vit(config::Registry<ImageModelConfig>& registry);

const config::Registry<ImageModelConfig>& image_model_registry() {
  static const auto registry = [] {
    config::Registry<ImageModelConfig> r("model");
    register_vit(r);
    return r;
  }();
  return registry;
}

}  // namespace gfsa
