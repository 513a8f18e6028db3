#include "models/text_model.h"

#include "base/error.h"

namespace gfsa {

std::unique_ptr<DecodeState> TextModel::start_decoding(int64_t, int64_t, const ForwardContext&) const {
  fail("this model does not generate text");
}

Tensor TextModel::decode(const Tensor&, const std::vector<int64_t>&, DecodeState&, const ForwardContext&) const {
  fail("this model does not generate text");
}

const config::Registry<TextModelConfig>& text_model_registry() {
  static const auto registry = [] {
    config::Registry<TextModelConfig> r("model");
    return r;
  }();
  return registry;
}

}  // namespace gfsa
