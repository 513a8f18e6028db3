// twicing.cpp -- Twicing Attention (Abdullaev, Nguyen 2025, arXiv 2503.00687): what smoothing by A leaves of V is
// smoothed once more and added,
//
//   F = A + strength A (I - A) = (1 + strength) A - strength A A
//
// The paper has strength 1, that is 2 A - A A. Here it is learned, one number a head, from `strength_init`.
#include "attention/coefficient_table.h"
#include "attention/filter.h"

namespace gfsa {
namespace {

class Twicing final : public Filter {
 public:
  Twicing(double start, const Scope& attention, int64_t heads)
      : strength_((attention / "twicing").param("strength", {heads}, constant(start))) {}
  Tensor coefficients() const override {
    // (cu, c0, c1, c2)
    return coefficient_table({*strength_}, {0, 0, 1, 0}, {{0, 0, 1, -1}});
  }

 private:
  Param strength_;  // [H]
};

struct TwicingConfig final : FilterConfig {
  double strength_init = 1;
  void describe(config::Schema& s) override {
    s.field("strength_init", strength_init)
        .doc("Where the strength starts in every head. 0 starts as the base model.")
        .source("arXiv 2503.00687: 1, not learned");
  }
  std::unique_ptr<FilterConfig> clone() const override { return std::make_unique<TwicingConfig>(*this); }
  int64_t degree() const override { return 2; }
  std::unique_ptr<Filter> build(const Scope& attention, int64_t heads) const override {
    return std::make_unique<Twicing>(strength_init, attention, heads);
  }
};

}  // namespace

void register_twicing(config::Registry<FilterConfig>& registry) {
  registry.add<TwicingConfig>("twicing", "Twicing Attention: (1 + strength) A - strength A A.");
}

}  // namespace gfsa
