#include "attention/filter.h"

namespace gfsa {

// One each, at the end of its file in filters/.
void register_softmax(config::Registry<FilterConfig>& registry);
void register_gfsa(config::Registry<FilterConfig>& registry);
void register_attn_scale(config::Registry<FilterConfig>& registry);
void register_polynomial(config::Registry<FilterConfig>& registry);

const config::Registry<FilterConfig>& filter_registry() {
  static const auto registry = [] {
    config::Registry<FilterConfig> r("attention variant");
    register_softmax(r);
    register_gfsa(r);
    register_attn_scale(r);
    register_polynomial(r);
    return r;
  }();
  return registry;
}

}  // namespace gfsa
