#include <cmath>

#include "autograd/autograd.h"
#include "base/error.h"
#include "base/threads.h"
#include "core/device.h"
#include "train/trainer.h"

namespace gfsa::train {

void apply_machine_settings(const RunConfig& config) {
  set_threads(config.threads);
  backend(parse_device(config.device));  // throws if this machine or build lacks it
}

Session::Session(RunConfig& c) : config(c) {
  Task& task = *config.task;
  task.build(store, static_cast<uint64_t>(config.seed), config.train.batch_size);
  store.materialize(static_cast<uint64_t>(config.seed), DType::f32, parse_device(config.device));
  if (config.init_from) {
    auto options = task.load_options();
    options.optional_patterns = config.init_optional;
    store.load(read_tensors(*config.init_from), *config.init_from, options);
  }
  optimizer = &config.optimizer.bind(store);
  if (config.train.ema.decay) ema = std::make_unique<Ema>(store, config.train.ema);
  order_ = task.train_order();
  const int64_t batches = order_->batches(0);
  steps_per_epoch_ = (batches + config.train.accumulate - 1) / config.train.accumulate;
  total_steps_ = config.train.steps ? *config.train.steps : *config.train.epochs * steps_per_epoch_;
}

void Session::restore(const LoadedCheckpoint& c) {
  store.load(c.model, c.directory + "/model.safetensors");
  optimizer->load_state(c.optimizer, c.directory + "/optimizer.safetensors");
  if (ema && c.ema.empty()) bad_input("{}: has no averaged weights (ema.safetensors), but train.ema is on", c.directory);
  if (ema) ema->load_state(c.ema, c.directory + "/ema.safetensors");
  position = c.position;
  loader_.reset();
}

Snapshot Session::snapshot(const std::string& config_yaml) const {
  Snapshot s;
  s.position = position;
  s.config = config_yaml;
  for (const auto& p : store.parameters()) s.model.emplace_back(p.name, p.value);
  s.optimizer = optimizer->state();
  if (ema) s.ema = ema->state();
  return s;
}

ForwardContext Session::context() const {
  ForwardContext c;
  c.training = true;
  c.seed = static_cast<uint64_t>(config.seed);
  c.step = static_cast<uint64_t>(position.step);
  c.compute = config.compute();
  return c;
}

std::vector<data::Batch> Session::next_batches() {
  if (!loader_) {
    loader_ = std::make_unique<data::Loader>(config.task->train_batches(), *order_, config.task->loader_config(),
                                             data::LoaderPosition{position.epoch, position.batch});
  }
  std::vector<data::Batch> batches;
  // A step never reaches into the next epoch: an epoch's last step may have fewer batches.
  const int64_t left = order_->batches(position.epoch) - position.batch;
  const int64_t count = std::min<int64_t>(config.train.accumulate, left);
  for (int64_t i = 0; i < count; ++i) {
    auto batch = loader_->next();
    if (!batch) fail("the data loader ended before the run did");
    batches.push_back(std::move(*batch));
  }
  position.batch += count;
  if (position.batch == order_->batches(position.epoch)) position.epoch += 1, position.batch = 0;
  return batches;
}

StepFigures Session::step_on(const std::vector<data::Batch>& batches) {
  StepFigures figures;
  for (const auto& batch : batches) figures.samples += batch.size;
  ForwardContext c = context();
  store.clear_grads();
  for (const auto& batch : batches) {
    const Tensor loss = config.task->loss(batch, c, static_cast<double>(figures.samples));
    figures.loss += loss.item();
    backward(loss);
    c.sample0 += static_cast<uint32_t>(batch.size);
  }
  store.complete_grads();
  const ClipResult clipped = clip(store, config.train.clip);
  figures.grad_norm = clipped.norm;
  if (!std::isfinite(figures.loss) || !clipped.finite) report_not_finite(figures.loss, batches);
  const SchedulePosition now{position.step, steps_per_epoch_, total_steps_};
  figures.learning_rate = config.schedule.lr(optimizer->lr(), now);
  optimizer->step(figures.learning_rate, clipped.scale);
  if (ema) ema->update(optimizer->steps());
  return figures;
}

StepFigures Session::step() {
  const double start = monotonic_seconds();
  const Position before = position;
  const auto batches = next_batches();
  const Position after = position;
  position = before;  // the schedule and the random numbers of this step
  const StepFigures figures = step_on(batches);
  position = after;
  position.step += 1;
  position.samples += figures.samples;
  position.train_seconds += monotonic_seconds() - start;
  return figures;
}

void Session::report_not_finite(double loss, const std::vector<data::Batch>& batches) const {
  std::string where = "every gradient is finite";
  for (const auto& p : store.parameters()) {
    if (!std::isfinite(l2_norm(p.grad_buffer.view({p.shape.numel()})))) {
      where = "the first gradient that is not finite is that of " + p.name;
      break;
    }
  }
  std::string ids;
  for (const auto& batch : batches) {
    if (!batch.has("sample_ids")) continue;
    for (const int64_t id : batch.at("sample_ids").to_vector<int64_t>()) ids += (ids.empty() ? "" : " ") + std::to_string(id);
  }
  fail("step {}: loss {}; {}; nothing was updated; samples {}. Lower optimizer.lr, or set train.clip_norm", position.step, loss, where, ids);
}

}  // namespace gfsa::train
