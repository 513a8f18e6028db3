// registry.h -- the update rules and schedules that YAML can name; the lists stand in registry.cpp.
#pragma once

#include <memory>

#include "config/registry.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"

namespace gfsa {

// sgd, adam, adamw, lamb, lion, adafactor
const config::Registry<Optimizer>& optimizer_registry();
// constant, linear, cosine, polynomial, noam, inverse_sqrt
const config::Registry<Schedule>& schedule_registry();

}  // namespace gfsa
