#include "train/session.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "autograd/autograd.h"
#include "base/error.h"
#include "base/threads.h"
#include "core/device.h"

namespace gfsa::train {
namespace {

// The first parameter with an element in `tensor_of(p)` that is not finite, or "".
template <class F>
std::string first_not_finite(const ParameterStore& store, const F& tensor_of) {
  for (const auto& p : store.parameters()) {
    const Tensor& tensor = tensor_of(p);
    if (!std::isfinite(l2_norm(tensor.view({p.shape.numel()})))) return p.name;
  }
  return "";
}

}  // namespace

void apply_machine_settings(const RunConfig& config) {
  set_threads(config.threads);
  backend(parse_device(config.device));  // throws if this machine or build lacks it
}

Session::Session(RunConfig& c, const LoadedCheckpoint* checkpoint) : config(c) {
  Task& task = *config.task;
  task.build(store, static_cast<uint64_t>(config.seed), config.train.batch_size);
  store.materialize(static_cast<uint64_t>(config.seed), DType::f32, parse_device(config.device));
  if (config.init_from && checkpoint == nullptr) {
    auto options = task.load_options();
    options.optional_patterns = config.init_optional;
    store.load(read_tensors(*config.init_from), *config.init_from, options);
  }
  optimizer = &config.optimizer.bind(store);
  if (config.train.ema.decay) ema = std::make_unique<Ema>(store, config.train.ema);
  order_ = task.train_order();
  steps_per_epoch_ = (order_->batches(0) + config.train.accumulate - 1) / config.train.accumulate;
  total_steps_ = config.train.steps ? *config.train.steps : *config.train.epochs * steps_per_epoch_;
  if (checkpoint != nullptr) restore(*checkpoint);
}

void Session::restore(const LoadedCheckpoint& c) {
  ErrorList errors;
  const auto attempt = [&](const auto& load) {
    try {
      load();
    } catch (const Error& e) {
      errors.add(e.message());
    }
  };
  attempt([&] { store.load(c.model, c.directory + "/model.safetensors"); });
  attempt([&] { optimizer->load_state(c.optimizer, c.directory + "/optimizer.safetensors"); });
  if (ema) attempt([&] { ema->load_state(c.ema, c.directory + "/ema.safetensors"); });
  errors.throw_if_any();
  position = c.position;
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
  // Also after a step that failed: its batches have left the loader, but the run stands before it.
  const data::LoaderPosition wanted{position.epoch, position.batch};
  if (!loader_ || !(loader_->position() == wanted)) {
    loader_.reset();  // its threads end before those of the next one start
    loader_ =
        std::make_unique<data::Loader>(config.task->train_batches(), *order_, config.task->loader_config(), wanted);
  }
  // A step never reaches into the next epoch: an epoch's last step may have fewer batches.
  const int64_t left = order_->batches(position.epoch) - position.batch;
  std::vector<data::Batch> batches;
  for (int64_t i = 0; i < std::min(config.train.accumulate, left); ++i) {
    auto batch = loader_->next();
    if (!batch) fail("the data loader ended before the run did");
    batches.push_back(std::move(*batch));
  }
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
  const auto batches = next_batches();
  const StepFigures figures = step_on(batches);
  position.batch += static_cast<int64_t>(batches.size());
  if (position.batch == order_->batches(position.epoch)) position.epoch += 1, position.batch = 0;
  position.step += 1;
  position.samples += figures.samples;
  position.train_seconds += monotonic_seconds() - start;
  return figures;
}

std::vector<data::SkippedSample> Session::skipped() const {
  return loader_ ? loader_->skipped() : std::vector<data::SkippedSample>{};
}

std::string Session::first_not_finite_parameter() const {
  if (std::isfinite(l2_norm(store.flat_values()))) return "";
  return first_not_finite(store, [](const Parameter& p) { return p.value; });
}

void Session::report_not_finite(double loss, const std::vector<data::Batch>& batches) const {
  const std::string parameter = first_not_finite(store, [](const Parameter& p) { return p.grad_buffer; });
  std::string ids;
  for (const auto& batch : batches) {
    if (!batch.has("sample_ids")) continue;
    for (const int64_t id : batch.at("sample_ids").to_vector<int64_t>()) ids += fmt::format(" {}", id);
  }
  fail("step {}: the loss is {}{}; the weights are as before this step{}. Lower optimizer.lr or set train.clip_norm",
       position.step + 1, loss,
       parameter.empty() ? ", every gradient is finite"
                         : fmt::format(", the first gradient that is not finite is that of {}", parameter),
       ids.empty() ? "" : fmt::format("; its samples are{}", ids));
}

}  // namespace gfsa::train
