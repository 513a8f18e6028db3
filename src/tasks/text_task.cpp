#include "tasks/text_task.h"

namespace gfsa::tasks {

std::unique_ptr<data::BatchOrder> TextTask::shuffled_order(int64_t samples) const {
  data::UniformOrderOptions options;
  options.samples = samples;
  options.batch_size = batch_size_;
  options.seed = seed_;
  options.drop_last = false;
  return std::make_unique<data::UniformOrder>(options);
}

}  // namespace gfsa::tasks
