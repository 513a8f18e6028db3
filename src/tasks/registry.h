// registry.h -- the kinds of experiment that YAML's `task` can name; the list stands in registry.cpp.
#pragma once

#include "config/registry.h"
#include "train/task.h"

namespace gfsa::tasks {

// The first entry is the default.
const config::Registry<train::Task>& task_registry();

}  // namespace gfsa::tasks
