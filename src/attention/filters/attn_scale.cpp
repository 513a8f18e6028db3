// attn_scale.cpp -- AttnScale (Wang, Zheng, Chen, Wang 2022, "Anti-Oversmoothing in Deep Vision Transformers via the
// Fourier Domain Analysis", arXiv 2203.05962): the part of A that is not the uniform average U of its keys is made
// larger,
//
//   F = U + (1 + lambda) (A - U) = (1 + lambda) A - lambda U
//
// with one lambda a head, learned from 0. Under a mask U averages the keys that a row may see.
#include "attention/coefficient_table.h"
#include "attention/filter.h"

namespace gfsa {
namespace {

class AttnScale final : public Filter {
 public:
  AttnScale(double start, const Scope& attention, int64_t heads)
      : lambda_((attention / "attn_scale").param("lambda", {heads}, constant(start))) {
    // The name in the authors' code.
    attention.alias("attn_scale.lambda", "lamb");
  }
  Tensor coefficients() const override {
    // (cu, c0, c1)
    return coefficient_table({*lambda_}, {0, 0, 1}, {{-1, 0, 1}});
  }

 private:
  Param lambda_;
};

struct AttnScaleConfig final : FilterConfig {
  double lambda_init = 0;
  void describe(config::Schema& s) override {
    s.field("lambda_init", lambda_init)
        .doc("Where lambda starts in every head. 0 starts as the base model.")
        .source("0 in the authors' code");
  }
  std::unique_ptr<FilterConfig> clone() const override { return std::make_unique<AttnScaleConfig>(*this); }
  int64_t degree() const override { return 1; }
  std::unique_ptr<Filter> build(const Scope& attention, int64_t heads) const override {
    return std::make_unique<AttnScale>(lambda_init, attention, heads);
  }
};

}  // namespace

void register_attn_scale(config::Registry<FilterConfig>& registry) {
  registry.add<AttnScaleConfig>("attn_scale", "AttnScale: (1 + lambda) A - lambda U, U the uniform average.");
}

}  // namespace gfsa
