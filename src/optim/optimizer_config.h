// optimizer_config.h -- the config's section `optimizer`:
//
//   optimizer: {name: adamw, lr: 1e-3, weight_decay: 0.05, betas: [0.9, 0.999], no_decay: ["*.bias"], layer_decay:
//   0.75}
#pragma once

#include <memory>

#include "config/schema.h"
#include "optim/optimizer.h"
#include "optim/parameter_groups.h"

namespace gfsa {

struct OptimizerConfig {
  OptimizerConfig();
  std::unique_ptr<Optimizer> rule;  // adamw
  GroupRules groups;

  void describe(config::Schema& s);
  // Binds the rule to the store, with the groups that the section asks for.
  Optimizer& bind(const ParameterStore& store);
};

}  // namespace gfsa
