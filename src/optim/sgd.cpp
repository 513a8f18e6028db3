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

  void update(const Update& u) override {
    if (!buffer_) {
      update_with("sgd", u.scale, [&](auto zero, const ParameterGroup& group) {
        using T = decltype(zero);
        return update::SgdRule<T>{T(u.lr * group.lr_factor), T(group.weight_decay)};
      });
      return;
    }
    const auto rule_of = [&](auto zero, const ParameterGroup& group) {
      using T = decltype(zero);
      return update::MomentumRule<T>{T(u.lr * group.lr_factor), T(group.weight_decay), T(momentum_),
                                     T(u.step == 1 ? 1 : 1 - dampening_), nesterov_};
    };
    update_with("sgd", u.scale, rule_of, buffer_);
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
