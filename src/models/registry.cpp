#include "models/image_model.h"
#include "models/vit.h"

namespace gfsa {

const config::Registry<ImageModelConfig>& image_model_registry() {
  static const auto registry = [] {
    config::Registry<ImageModelConfig> r("model");
    r.add<VitConfig>("vit", "Vision Transformer, and DeiT by its presets.");
    return r;
  }();
  return registry;
}

}  // namespace gfsa
