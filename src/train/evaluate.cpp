#include "train/evaluate.h"

#include "autograd/autograd.h"
#include "base/env.h"
#include "base/error.h"
#include "base/log.h"

namespace gfsa::train {

EvaluationRun evaluate(Task& task, data::BatchMaker& batches, int64_t batch_size, const ForwardContext& context,
                       const std::function<bool()>& should_stop) {
  const double start = monotonic_seconds();
  const NoGrad guard;
  EvaluationRun run;
  run.evaluation = task.evaluation();
  data::UniformOrderOptions options;
  options.samples = batches.size();
  const int64_t block = task.evaluation_block();
  options.batch_size = std::min((batch_size + block - 1) / block * block, batches.size());
  options.shuffle = options.drop_last = options.even = false;
  const data::UniformOrder order(options);
  data::Loader loader(batches, order, task.loader_config(), {}, 1);
  while (const auto batch = loader.next()) {
    if (should_stop && should_stop()) {
      run.stopped = true;
      break;
    }
    run.evaluation->add(*batch, batch->size, context);
    run.samples += batch->size;
  }
  if (const auto skipped = loader.skipped(); !skipped.empty()) {
    log::warn("evaluation: {} broken samples were replaced by their neighbours (data.on_error: skip), first {}: {}",
              skipped.size(), skipped[0].name, skipped[0].why);
  }
  run.metrics = run.evaluation->result();
  run.seconds = monotonic_seconds() - start;
  return run;
}

std::string to_text(const Metrics& metrics) {
  std::string out;
  for (const auto& [name, value] : metrics) out += fmt::format("{}{} {:.4f}", out.empty() ? "" : "  ", name, value);
  return out;
}

}  // namespace gfsa::train
