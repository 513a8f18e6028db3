#include "tasks/registry.h"

namespace gfsa::tasks {

// One each, at the end of its file. The first is the default.
void register_image_classification(config::Registry<train::Task>& registry);
void register_text_classification(config::Registry<train::Task>& registry);
void register_language_modelling(config::Registry<train::Task>& registry);
void register_masked_language_modelling(config::Registry<train::Task>& registry);

const config::Registry<train::Task>& task_registry() {
  static const auto registry = [] {
    config::Registry<train::Task> r("task");
    register_image_classification(r);
    register_text_classification(r);
    register_language_modelling(r);
    register_masked_language_modelling(r);
    return r;
  }();
  return registry;
}

}  // namespace gfsa::tasks
