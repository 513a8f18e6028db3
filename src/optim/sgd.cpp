// sgd.cpp -- torch.optim.SGD:
//
//   g = g + weight_decay p
//   b = g at the first step, momentum b + (1 - dampening) g afterwards      (only with momentum)
//   p = p - lr (g + momentum b if nesterov, else b)
//
// Traffic: value and buffer read and written, gradient read (20 bytes an element in f32; 12 without momentum).

#include "optim/elementwise_update.h"
#include "optim/registry.h"
#include "optim/update_rules.h"

namespace gfsa {
namespace {

class Sgd : public Optimizer {
 public:
  Sgd() : Optimizer(1e-3, 0) {}

  void describe(config::Schema& s) override {
    Optimizer::describe(s);
    s.field("momentum", momentum_).at_least(0).below(1).doc("Factor of the momentum buffer; 0: no buffer.");
    s.field("dampening", dampening_).in(0, 1).doc("The gradient enters the buffer times 1 - dampening.");
    s.field("nesterov", nesterov_).doc("Look ahead by one momentum step.");
    s.check(!nesterov_ || (momentum_ > 0 && dampening_ == 0), "nesterov", "needs momentum above 0 and dampening 0");
  }

 protected:
  void make_state() override { buffer_ = momentum_ > 0 ? add_state("momentum_buffer") : Tensor(); }

  auto plain_rule_of(const Step& s) const {
    return [=](auto zero, const ParameterGroup& group) {
      using T = decltype(zero);
      return update::SgdRule<T>{T(s.lr * group.lr_factor), T(group.weight_decay)};
    };
  }
  auto rule_of(const Step& s) const {
    return [=, this](auto zero, const ParameterGroup& group) {
      using T = decltype(zero);
      return update::MomentumRule<T>{T(s.lr * group.lr_factor), T(group.weight_decay), T(momentum_),
                                     T(s.number == 1 ? 1 : 1 - dampening_), nesterov_};
    };
  }
  void prepare(const Step& s) override { buffer_ ? prepare_with(rule_of(s)) : prepare_with(plain_rule_of(s)); }
  void update(const Step& s, const GradientScale& scale) override {
    if (buffer_) {
      update_with("sgd", scale, rule_of(s), buffer_);
    } else {
      update_with("sgd", scale, plain_rule_of(s));
    }
  }

 private:
  double momentum_ = 0, dampening_ = 0;
  bool nesterov_ = false;
  Tensor buffer_;
};

}  // namespace

void register_sgd(config::Registry<Optimizer>& registry) {
  registry.add<Sgd>("sgd", "Stochastic gradient descent with momentum, dampening and Nesterov's form.");
}

}  // namespace gfsa
