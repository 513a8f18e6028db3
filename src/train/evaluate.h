// evaluate.h -- one pass over a split, in order, without gradients.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "train/task.h"

namespace gfsa::train {

struct EvaluationRun {
  Metrics metrics;
  std::unique_ptr<Evaluation> evaluation;  // with what it collected
  int64_t samples = 0;
  double seconds = 0;
  bool stopped = false;  // should_stop said so: metrics are of the samples so far
};

// batch_size is rounded up to whole blocks (Task::evaluation_block). context: RunConfig::evaluation_context().
// should_stop is asked between batches (may be empty).
EvaluationRun evaluate(Task& task, data::BatchMaker& batches, int64_t batch_size, const ForwardContext& context,
                       const std::function<bool()>& should_stop = {});

std::string to_text(const Metrics& metrics);

}  // namespace gfsa::train
