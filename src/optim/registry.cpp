#include "optim/registry.h"

namespace gfsa {

// One each, at the end of its file.
void register_sgd(config::Registry<Optimizer>& registry);
void register_adam(config::Registry<Optimizer>& registry);
void register_lamb(config::Registry<Optimizer>& registry);
void register_lion(config::Registry<Optimizer>& registry);
void register_adafactor(config::Registry<Optimizer>& registry);
void register_schedules(config::Registry<Schedule>& registry);

const config::Registry<Optimizer>& optimizer_registry() {
  static const auto registry = [] {
    config::Registry<Optimizer> r("optimizer");
    register_sgd(r);
    register_adam(r);
    register_lamb(r);
    register_lion(r);
    register_adafactor(r);
    return r;
  }();
  return registry;
}

const config::Registry<Schedule>& schedule_registry() {
  static const auto registry = [] {
    config::Registry<Schedule> r("schedule");
    register_schedules(r);
    return r;
  }();
  return registry;
}

}  // namespace gfsa
