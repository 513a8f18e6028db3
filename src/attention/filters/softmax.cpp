// softmax.cpp -- no filter: out = A V.
#include "attention/filter.h"

namespace gfsa {
namespace {

class Softmax final : public Filter {
 public:
  Tensor coefficients() const override { return {}; }
};

class SoftmaxConfig final : public FilterConfig {
 public:
  void describe(config::Schema&) override {}
  std::unique_ptr<FilterConfig> clone() const override { return std::make_unique<SoftmaxConfig>(*this); }
  int64_t degree() const override { return 0; }
  std::unique_ptr<Filter> build(const Scope&, int64_t) const override { return std::make_unique<Softmax>(); }
};

}  // namespace

void register_softmax(config::Registry<FilterConfig>& registry) {
  registry.add<SoftmaxConfig>("softmax", "Plain attention, the base model.");
}

}  // namespace gfsa
