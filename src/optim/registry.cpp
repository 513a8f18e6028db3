#include "optim/registry.h"

namespace gfsa {

const config::Registry<Optimizer>& optimizer_registry() {
  static const auto registry = [] {
    config::Registry<Optimizer> r("optimizer");
    r.add("sgd", "Stochastic gradient descent with momentum, dampening and Nesterov's form.", make_sgd);
    r.add("adam", "Adam (Kingma, Ba 2015); weight decay is added to the gradient.", make_adam);
    r.add("adamw", "Adam with decoupled weight decay (Loshchilov, Hutter 2019).", make_adamw);
    r.add("lamb", "Adam's direction at a length that fits each parameter (You et al. 2020).", make_lamb);
    r.add("lion", "The sign of an interpolated momentum (Chen et al. 2023).", make_lion);
    r.add("adafactor", "Second moments kept as rows and columns (Shazeer, Stern 2018).", make_adafactor);
    return r;
  }();
  return registry;
}

const config::Registry<Schedule>& schedule_registry() {
  static const auto registry = [] {
    config::Registry<Schedule> r("schedule");
    r.add<ConstantSchedule>("constant", "The base learning rate after the warm-up.");
    r.add<LinearSchedule>("linear", "A straight line down to min_lr.");
    r.add<CosineSchedule>("cosine", "Half a cosine down to min_lr (Loshchilov, Hutter 2017).");
    r.add<PolynomialSchedule>("polynomial", "min_lr + (lr - min_lr) (1 - progress)^power.");
    r.add<NoamSchedule>("noam",
                        "Linear up to lr at the end of the warm-up, then 1 / sqrt(step) (Vaswani et al. 2017).");
    r.add<InverseSqrtSchedule>("inverse_sqrt", "After the warm-up lr sqrt(warmup / step) (fairseq).");
    return r;
  }();
  return registry;
}

}  // namespace gfsa
