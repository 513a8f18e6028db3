#include "train/session.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "autograd/autograd.h"
#include "base/error.h"
#include "base/threads.h"
#include "core/device.h"
#include "core/profile.h"
#include "ops/gemm.h"
#include "optim/registry.h"
#include "train/finite.h"
#include "train/memory_estimate.h"

namespace gfsa::train {
namespace {

// Gradients are read, values and state are read and written.
uint64_t update_bytes(const ParameterStore& store, const Optimizer& optimizer) {
  uint64_t bytes = store.flat_grads().bytes() + 2 * store.flat_values().bytes();
  for (const auto& [name, tensor] : optimizer.state()) bytes += 2 * tensor.bytes();
  return bytes;
}

}  // namespace

void apply_machine_settings(const RunConfig& config, const config::Resolved& resolved) {
  set_threads(config.threads);
  allow_tf32(config.tf32);
  const std::string why = why_not(config.placement());
  if (why.empty()) return;
  const auto origin = resolved.origins.find("device");
  bad_input("{}device: '{}' cannot be used: {}; use device: cpu",
            origin == resolved.origins.end() ? "" : origin->second + ": ", config.device, why);
}

Session::Session(RunConfig& c, const LoadedCheckpoint* checkpoint)
    : config(c), feed_(c.placement()), graph_(c.placement(), c.graph == "auto") {
  Task& task = *config.task;
  if (checkpoint != nullptr) task.use_companions(checkpoint->companions, checkpoint->directory);
  task.build(store, static_cast<uint64_t>(config.seed), config.train.batch_size);
  require_memory_for_state(store, config, available_memory(config.placement()));
  store.materialize(static_cast<uint64_t>(config.seed), DType::f32, config.placement());
  if (config.init_from && checkpoint == nullptr) {
    auto options = task.load_options();
    options.optional_patterns = config.init_optional;
    store.load(read_tensors(*config.init_from), *config.init_from, options);
  } else if (const auto initial = checkpoint == nullptr ? task.initial_weights() : std::nullopt) {
    store.load(read_tensors(initial->file), initial->file, initial->options);
  }
  optimizer = &config.optimizer.bind(store);
  if (config.placement().type != DeviceType::cpu) draws_ = StepTable(config.placement(), 2 * sizeof(uint32_t));
  if (config.train.ema.decay) ema = std::make_unique<Ema>(store, config.train.ema);
  order_ = task.train_order();
  steps_per_epoch_ = (order_->batches(0) + config.train.accumulate - 1) / config.train.accumulate;
  total_steps_ = config.train.steps ? *config.train.steps : *config.train.epochs * steps_per_epoch_;
  if (checkpoint != nullptr) {
    restore(*checkpoint);
  } else if (const std::string name = first_not_finite_tensor(); !name.empty()) {
    bad_input("{}: {} is not finite", config.init_from.value_or("the initial weights"), name);
  }
}

void Session::restore(const LoadedCheckpoint& c) {
  load(c);
  position = c.position;
  // A run that has begun to roll back only now returns to where it began to.
  if (config.train.on_non_finite == "rollback" && position.rollback_step < 0) mark_rollback_point();
}

void Session::load(const LoadedCheckpoint& c) {
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
  if (const std::string name = first_not_finite_tensor(); !name.empty()) {
    bad_input("{}: {} is not finite", c.directory, name);
  }
}

Snapshot Session::snapshot(const std::string& config_yaml) const {
  Snapshot s;
  s.position = position;
  s.config = config_yaml;
  s.companions = config.task->companions();
  for (const auto& p : store.parameters()) s.model.emplace_back(p.name, p.value);
  s.optimizer = optimizer->state();
  if (ema) s.ema = ema->state();
  return s;
}

ForwardContext Session::begin_batch(uint32_t sample0) {
  ForwardContext c;
  c.training = true;
  c.seed = static_cast<uint64_t>(config.seed);
  c.step = static_cast<uint64_t>(position.step);
  c.compute = config.compute();
  c.device = config.placement();
  if (draws_.bytes() == 0) {
    c.sample0 = sample0;
  } else {
    const std::array<uint32_t, 2> now{static_cast<uint32_t>(c.step), sample0};
    draws_.set(now.data());
    c.step_on_device = static_cast<const uint32_t*>(draws_.data());
  }
  return c;
}

std::vector<data::Batch> Session::next_batches() {
  // Also after a step that failed: its batches have left the loader, but the run stands before it.
  const data::LoaderPosition wanted{position.epoch, position.batch};
  const auto stands_at = [&] {
    return ahead_ ? data::LoaderPosition{ahead_->epoch, ahead_->index} : loader_->position();
  };
  if (!loader_ || !(stands_at() == wanted)) {
    ahead_.reset();
    loader_.reset();  // its threads end before those of the next one start
    loader_ =
        std::make_unique<data::Loader>(config.task->train_batches(), *order_, config.task->loader_config(), wanted);
  }
  // A step never reaches into the next epoch: an epoch's last step may have fewer batches.
  const int64_t left = order_->batches(position.epoch) - position.batch;
  std::vector<data::Batch> batches;
  for (int64_t i = 0; i < std::min(config.train.accumulate, left); ++i) {
    auto batch = ahead_ ? std::exchange(ahead_, {}) : loader_->next();
    if (!batch) fail("the data loader ended before the run did");
    batches.push_back(std::move(*batch));
  }
  return batches;
}

void Session::look_ahead() {
  if (config.placement().type == DeviceType::cpu || ahead_ || position.step + 1 >= total_steps_) return;
  try {
    ahead_ = loader_->next();
  } catch (const Error&) {
    return;  // the next step asks again, and gets the same
  }
  if (ahead_) feed_.prefetch(*ahead_);
}

void Session::accumulate(const data::Batch& batch, const ForwardContext& c, bool first, double normalizer) {
  if (first) {
    store.clear_grads();
    losses_.emplace(c.device);
  }
  Tensor loss;
  {
    const ProfileRange range("forward");
    loss = config.task->loss(batch, c, normalizer);
  }
  {
    const ProfileRange range("backward");
    backward(loss);
  }
  losses_->add(loss.detach());
}

// An update by gradients that are not finite changes nothing.
void Session::update() {
  const ProfileRange range("update");
  store.complete_grads();
  {
    const ProfileRange clipping("clip gradients");
    profile::set_bytes(store.flat_grads().bytes());
    outcome_.clipped = clip(store, config.train.clip, 1, losses_->sum());
  }
  {
    const ProfileRange optimizing("optimizer");
    if (optimizing.is_open()) profile::set_bytes(update_bytes(store, *optimizer));
    optimizer->apply_step(outcome_.clipped.scale);
  }
  if (ema) {
    const ProfileRange averaging("averages");
    profile::set_bytes(3 * store.flat_values().bytes());
    ema->apply_update(outcome_.clipped.scale);
  }
  // Looked for in each step, not only where a checkpoint is due: which step it was, and where a rollback goes on, must
  // not depend on when a signal asked for a checkpoint.
  outcome_.flags = flag_state(optimizer->has_seen_finite());
}

double Session::normalizer_of(const std::vector<data::Batch>& batches) const {
  int64_t items = 0;
  for (const auto& batch : batches) items += config.task->counted_items(batch);
  return static_cast<double>(std::max<int64_t>(items, 1));
}

void Session::queue_step(const std::vector<data::Batch>& batches) {
  const double normalizer = normalizer_of(batches);
  graph_.begin_step(batches, normalizer);
  uint32_t sample0 = 0;
  for (size_t i = 0; i < batches.size(); ++i) {
    const ForwardContext c = begin_batch(sample0);
    const bool last = i + 1 == batches.size();
    graph_.run(i, feed_.deliver(batches[i]), [&](const data::Batch& there) {
      accumulate(there, c, i == 0, normalizer);
      if (last) update();
    });
    if (!last) feed_.prefetch(batches[i + 1]);
    sample0 += static_cast<uint32_t>(batches[i].size);
  }
}

StepFigures Session::step_on(const std::vector<data::Batch>& batches, const std::function<void()>& meanwhile) {
  StepFigures figures;
  for (const auto& batch : batches) figures.samples += batch.size;
  const SchedulePosition now{position.step, steps_per_epoch_, total_steps_};
  figures.learning_rate = config.schedule.lr(optimizer->lr(), now);
  optimizer->begin_step(figures.learning_rate);
  if (ema) ema->begin_update(optimizer->steps() + 1);
  // All of the step is on its way before the host asks how it went: on a GPU that is the step's only wait.
  queue_step(batches);
  if (meanwhile) meanwhile();
  const ClipResult clipped = outcome_.clipped;  // a copy: it reads once, outcome_ serves the next step too
  figures.loss = clipped.loss();
  figures.grad_norm = clipped.norm();
  if (!clipped.finite()) {
    NonFinite report = begin_report(figures, batches);
    free_graph();  // the second run needs its memory
    const auto rerun = [&](const std::function<void(size_t)>& before) {
      uint32_t sample0 = 0;
      for (size_t i = 0; i < batches.size(); ++i) {
        before(i);
        accumulate(feed_.deliver(batches[i]), begin_batch(sample0), i == 0, normalizer_of(batches));
        sample0 += static_cast<uint32_t>(batches[i].size);
      }
    };
    find_first_not_finite(store, batches, rerun, report);
    const char* advice = report.op == "input" ? "Mend the data"
                         : report.op.empty()  ? "Try again"
                                              : "Lower optimizer.lr, set train.clip_norm";
    throw NonFiniteStep(
        fmt::format("{}. The weights are as before this step. {}, or see train.on_non_finite", report.text(), advice),
        report);
  }
  optimizer->end_step();
  if (const auto bad = first_not_finite_state(outcome_.flags)) {
    NonFinite report = begin_report(figures, batches);
    report.phase = "optimizer";
    report.op = optimizer_registry().name_of(*optimizer);
    report.tensor = bad->first;
    report.parameter = bad->second;
    throw NonFiniteStep(report.text() + ". Lower optimizer.lr or set train.clip_norm", report);
  }
  return figures;
}

void Session::free_graph() {
  graph_.drop();
  outcome_ = {};
  losses_.reset();
}

StepFigures Session::step() {
  const double start = monotonic_seconds();
  std::vector<data::Batch> batches;
  {
    const ProfileRange range("data wait");
    batches = next_batches();
  }
  const StepFigures figures = step_on(batches, [this] { look_ahead(); });
  go_behind(static_cast<int64_t>(batches.size()), figures.samples);
  if (config.train.on_non_finite != "rollback") position.non_finite_in_a_row = 0;
  position.train_seconds += monotonic_seconds() - start;
  return figures;
}

void Session::go_behind(int64_t batches, int64_t samples) {
  position.batch += batches;
  if (position.batch == order_->batches(position.epoch)) position.epoch += 1, position.batch = 0;
  position.step += 1;
  position.samples += samples;
}

void Session::pass_over(const NonFinite& bad) {
  if (bad.step != position.step + 1) fail("session: step {} is passed over after step {}", bad.step, position.step);
  go_behind(bad.batches, bad.samples);
  position.non_finite_in_a_row += 1;
  position.last_non_finite_step = position.step;
}

void Session::skip(const NonFinite& bad) {
  if (bad.phase == "optimizer") fail("session: step {} has changed the weights and cannot be skipped", bad.step);
  pass_over(bad);
}

void Session::roll_back(const LoadedCheckpoint& checkpoint, const NonFinite& bad) {
  load(checkpoint);
  pass_over(bad);
}

bool Session::must_stop(const NonFinite& bad) const {
  const std::string& policy = config.train.on_non_finite;
  return policy == "stop" || (policy == "skip" && bad.phase == "optimizer") ||
         position.non_finite_in_a_row + 1 >= config.train.non_finite_limit;
}

void Session::mark_rollback_point() {
  position.rollback_step = position.step;
  // Returning to the same weights again and again is a row too, even with good steps in between. So a row ends only
  // where there are new ones.
  if (position.last_non_finite_step != position.step) position.non_finite_in_a_row = 0;
}

std::vector<data::SkippedSample> Session::skipped() const {
  return loader_ ? loader_->skipped() : std::vector<data::SkippedSample>{};
}

Session::StateFlags Session::flag_state(bool only_averages) const {
  StateFlags state;
  if (!only_averages) {
    // Laid out as the flat buffers, or of a shape of its own.
    for (const auto& [name, tensor] : optimizer->state()) {
      if (is_floating(tensor.dtype())) state.tensors.emplace_back("optimizer state " + name, tensor);
    }
    state.tensors.emplace_back("", store.flat_values());
  }
  if (ema) state.tensors.emplace_back("ema", ema->flat());
  std::vector<Tensor> tensors;
  for (const auto& entry : state.tensors) tensors.push_back(entry.second);
  state.flags = not_finite_flags(tensors);
  return state;
}

std::optional<std::pair<NotFiniteTensor, std::string>> Session::first_not_finite_state(const StateFlags& state) const {
  if (state.tensors.empty()) return std::nullopt;
  const auto flags = state.flags.to_vector<int32_t>();
  const auto bad = std::find(flags.begin(), flags.end(), 1);
  if (bad == flags.end()) return std::nullopt;

  const auto& [what, device_tensor] = state.tensors[static_cast<size_t>(bad - flags.begin())];
  const Tensor tensor = device_tensor.to(Device{});
  if (!(tensor.shape() == store.flat_values().shape())) {
    return std::make_pair(*describe_not_finite(what, tensor), std::string());
  }
  const std::string of = what.empty() ? "" : what + " of ";
  const int64_t i = *first_not_finite(tensor);
  for (const auto& p : store.parameters()) {
    const int64_t end = p.offset + p.shape.numel();
    if (i < p.offset || i >= end) continue;
    return std::make_pair(*describe_not_finite(of + p.name, tensor.slice(0, p.offset, end).view(p.shape)), p.name);
  }
  return std::make_pair(*describe_not_finite(of + "padding", tensor), std::string());
}

std::string Session::first_not_finite_tensor() const {
  const auto bad = first_not_finite_state(flag_state(false));
  return bad ? bad->first.name : "";
}

NonFinite Session::begin_report(const StepFigures& figures, const std::vector<data::Batch>& batches) const {
  NonFinite report;
  report.step = position.step + 1;
  report.loss = figures.loss;
  report.grad_norm = figures.grad_norm;
  report.batches = static_cast<int64_t>(batches.size());
  report.samples = figures.samples;
  for (const auto& batch : batches) {
    if (!batch.has("sample_ids")) continue;
    for (const int64_t id : batch.at("sample_ids").to_vector<int64_t>()) report.sample_ids.push_back(id);
  }
  return report;
}

}  // namespace gfsa::train
