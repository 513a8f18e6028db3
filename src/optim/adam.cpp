// adam.cpp -- torch.optim.Adam and AdamW, which differ in one line:
//
//   adam:  g = g + weight_decay p          adamw:  p = (1 - lr weight_decay) p
//   m = beta1 m + (1 - beta1) g
//   v = beta2 v + (1 - beta2) g^2
//   p = p - lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps)
//
// Traffic: value, m and v read and written, gradient read: 28 bytes an element in f32.

#include <array>
#include <cmath>

#include "optim/elementwise_update.h"
#include "optim/registry.h"
#include "optim/update_rules.h"

namespace gfsa {
namespace {

class Adam : public Optimizer {
 public:
  explicit Adam(bool decoupled) : Optimizer(1e-3, decoupled ? 0.01 : 0), decoupled_(decoupled) {}

  void describe(config::Schema& s) override {
    Optimizer::describe(s);
    s.field("betas", betas_).at_least(0).below(1).doc("Decay of the first and second moment.");
    s.field("eps", eps_).at_least(0).doc("Added to the root of the second moment.");
  }

 protected:
  void make_state() override {
    first_ = add_state("exp_avg");
    second_ = add_state("exp_avg_sq");
  }

  auto rule_of(const Step& s) const {
    const double t = static_cast<double>(s.number);
    const double correction1 = 1 - std::pow(betas_[0], t), correction2 = 1 - std::pow(betas_[1], t);
    return [=, this](auto zero, const ParameterGroup& group) {
      using T = decltype(zero);
      const double lr = s.lr * group.lr_factor;
      update::AdamRule<T> rule;
      rule.keep = T(decoupled_ ? 1 - lr * group.weight_decay : 1);
      rule.decay = T(decoupled_ ? 0 : group.weight_decay);
      rule.weight1 = T(1 - betas_[0]);
      rule.beta2 = T(betas_[1]);
      rule.weight2 = T(1 - betas_[1]);
      rule.step_size = T(lr / correction1);
      rule.root_scale = T(1 / std::sqrt(correction2));
      rule.eps = T(eps_);
      return rule;
    };
  }
  void prepare(const Step& s) override { prepare_with(rule_of(s)); }
  void update(const Step& s, const GradientScale& scale) override {
    update_with("adam", scale, rule_of(s), first_, second_);
  }

 private:
  bool decoupled_;
  std::array<double, 2> betas_{0.9, 0.999};
  double eps_ = 1e-8;
  Tensor first_, second_;
};

// Types of their own, so that the registry can tell them apart.
class CoupledAdam : public Adam {
 public:
  CoupledAdam() : Adam(false) {}
};
class AdamW : public Adam {
 public:
  AdamW() : Adam(true) {}
};

}  // namespace

void register_adam(config::Registry<Optimizer>& registry) {
  registry.add<CoupledAdam>("adam", "Adam (Kingma, Ba 2015); weight decay is added to the gradient.");
  registry.add<AdamW>("adamw", "Adam with decoupled weight decay (Loshchilov, Hutter 2019).");
}

}  // namespace gfsa
