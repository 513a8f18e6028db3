#include "tasks/registry.h"

#include "tasks/image_classification.h"

namespace gfsa::tasks {

const config::Registry<train::Task>& task_registry() {
  static const auto registry = [] {
    config::Registry<train::Task> r("task");
    r.add<ImageClassification>("image_classification", "Pictures to classes; cross entropy, top-1 and top-5.");
    return r;
  }();
  return registry;
}

}  // namespace gfsa::tasks
