#include "data/registry.h"

namespace gfsa::data {

// One each, at the end of its file in image/sources/.
void register_procedural(config::Registry<ImageSourceConfig>& registry);
void register_image_folder(config::Registry<ImageSourceConfig>& registry);
void register_image_archive(config::Registry<ImageSourceConfig>& registry);
void register_cifar(config::Registry<ImageSourceConfig>& registry);
void register_mnist(config::Registry<ImageSourceConfig>& registry);
void register_safetensors_images(config::Registry<ImageSourceConfig>& registry);

const config::Registry<ImageSourceConfig>& image_source_registry() {
  static const auto registry = [] {
    config::Registry<ImageSourceConfig> r("image source");
    register_procedural(r);
    register_image_folder(r);
    register_image_archive(r);
    register_cifar(r);
    register_mnist(r);
    register_safetensors_images(r);
    return r;
  }();
  return registry;
}

// The same in text/sources/.
void register_glue(config::Registry<TextSourceConfig>& registry);
void register_user_table(config::Registry<TextSourceConfig>& registry);

const config::Registry<TextSourceConfig>& text_source_registry() {
  static const auto registry = [] {
    config::Registry<TextSourceConfig> r("text source");
    register_glue(r);
    register_user_table(r);
    return r;
  }();
  return registry;
}

}  // namespace gfsa::data
