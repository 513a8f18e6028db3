#include "optim/optimizer_config.h"

#include "optim/registry.h"

namespace gfsa {

OptimizerConfig::OptimizerConfig() : rule(optimizer_registry().make("adamw")) {}

void OptimizerConfig::describe(config::Schema& s) {
  s.shorthand("name");
  s.variant("name", rule, optimizer_registry(), "Update rule.");
  groups.describe(s);
}

Optimizer& OptimizerConfig::bind(const ParameterStore& store) {
  rule->bind(store, make_parameter_groups(store, groups, rule->weight_decay()));
  return *rule;
}

}  // namespace gfsa
