// lion.cpp -- timm.optim.Lion:
//
//   p = (1 - lr weight_decay) p - lr sign(beta1 m + (1 - beta1) g)
//   m = beta2 m + (1 - beta2) g
//
// Traffic: value and m read and written, gradient read: 20 bytes an element in f32.

#include <array>

#include "optim/elementwise_update.h"
#include "optim/registry.h"
#include "optim/update_rules.h"

namespace gfsa {
namespace {

class Lion : public Optimizer {
 public:
  Lion() : Optimizer(1e-4, 0) {}

  void describe(config::Schema& s) override {
    Optimizer::describe(s);
    s.field("betas", betas_).at_least(0).below(1).doc("Interpolation for the step, then decay of the momentum.");
  }

 protected:
  void make_state() override { momentum_ = add_state("exp_avg"); }

  auto rule_of(const Step& s) const {
    return [=, this](auto zero, const ParameterGroup& group) {
      using T = decltype(zero);
      const double lr = s.lr * group.lr_factor;
      return update::LionRule<T>{T(1 - lr * group.weight_decay), T(lr), T(1 - betas_[0]), T(1 - betas_[1])};
    };
  }
  void prepare(const Step& s) override { prepare_with(rule_of(s)); }
  void update(const Step& s, const GradientScale& scale) override { update_with("lion", scale, rule_of(s), momentum_); }

 private:
  std::array<double, 2> betas_{0.9, 0.99};
  Tensor momentum_;
};

}  // namespace

void register_lion(config::Registry<Optimizer>& registry) {
  registry.add<Lion>("lion", "The sign of an interpolated momentum (Chen et al. 2023).");
}

}  // namespace gfsa
