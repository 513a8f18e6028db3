#include "attention/filter.h"

namespace gfsa {

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
