#include "train/memory_estimate.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "autograd/autograd.h"
#include "base/error.h"
#include "base/strings.h"
#include "core/arena.h"
#include "optim/parameter_groups.h"
#include "optim/registry.h"
#include "train/checkpoint/store.h"

namespace gfsa::train {
namespace {

// Of two sizes: the larger is at most this and half a batch, so that the estimate costs a fraction of a step. Fewer
// samples would tell of the threads' scratch memory, which is large beside theirs, and not of their own.
constexpr int64_t kLargestProbe = 16;
// The arena takes segments (core/arena.cpp) and cannot fill them all: a quarter of one, a share of what comes and goes
// in a step up to two segments (larger tensors have segments of their own), a share of the checkpoint's many tensors.
// Fitted to runs of 140 MiB to 9 GiB; scripts/memory_check.sh compares.
constexpr uint64_t kReserve = uint64_t{8} << 20, kLargestReserveOfStep = uint64_t{64} << 20;
constexpr double kReserveOfStep = 0.1, kReserveOfSnapshot = 0.12;
// A loader thread: its stack and allocator, and decoded pictures and intermediates of several times a sample's tensor.
constexpr uint64_t kWorkerBytes = uint64_t{1} << 20;
constexpr uint64_t kSamplesInHand = 8;

uint64_t bytes_of(const data::Batch& batch) {
  uint64_t bytes = 0;
  for (const auto& [name, tensor] : batch.tensors) bytes += tensor.bytes();
  return bytes;
}

// A batch as `maker` makes them, all zero: no sample is read.
data::Batch zero_batch(data::BatchMaker& maker, int64_t size) {
  data::Batch batch;
  batch.size = size;
  const std::vector<data::SampleRef> samples(static_cast<size_t>(size), {.index = maker.largest_sample()});
  maker.allocate(batch, samples);
  for (const auto& [name, tensor] : batch.tensors) tensor.fill(0);
  maker.finish(batch);
  batch.scratch.reset();
  return batch;
}

struct Probe {
  int64_t size = 0;
  uint64_t batch = 0, activations = 0;
};

Probe measure_step(Session& session, int64_t size) {
  auto& memory = arena(session.config.placement());
  const data::Batch batch = zero_batch(session.config.task->train_batches(), size);
  ForwardContext c;
  c.training = true;
  c.seed = static_cast<uint64_t>(session.config.seed);
  c.compute = session.config.compute();
  c.device = session.config.placement();
  session.store.clear_grads();
  memory.reset_peak();
  const uint64_t before = memory.figures().current;
  backward(session.config.task->loss(batch.to(c.device), c, static_cast<double>(size)));
  session.store.clear_grads();
  const Probe probe{size, bytes_of(batch), memory.figures().peak - before};
  memory.trim();  // what is left of one size would only be in the way of the next
  return probe;
}

// The line through two probes, at `size`.
uint64_t extrapolate(const Probe& a, const Probe& b, uint64_t Probe::*figure, int64_t size) {
  if (size == b.size || a.size == b.size) return b.*figure;
  const double slope =
      (static_cast<double>(b.*figure) - static_cast<double>(a.*figure)) / static_cast<double>(b.size - a.size);
  return static_cast<uint64_t>(
      std::max(0.0, static_cast<double>(b.*figure) + slope * static_cast<double>(size - b.size)));
}

// Of one evaluation block: its tensors, and what the forward takes beside them.
Probe measure_evaluation(Session& session, data::BatchMaker& maker) {
  auto& memory = arena(session.config.placement());
  const NoGrad guard;
  const data::Batch batch = zero_batch(maker, session.config.task->evaluation_block());
  const ForwardContext c = session.config.evaluation_context();
  memory.reset_peak();
  const uint64_t before = memory.figures().current;
  session.config.task->evaluation()->add(batch, batch.size, c);
  return {batch.size, bytes_of(batch), memory.figures().peak - before};
}

// Whether a checkpoint is due between two steps that are still to be made. One that a signal asks for is not foreseen.
bool checkpoint_before_last_step(const Session& session) {
  const RunConfig& c = session.config;
  if (c.train.on_non_finite == "rollback") return true;
  const int64_t step = session.position.step, epoch = session.steps_per_epoch();
  const auto due = [&](int64_t every) { return every > 0 && (step / every + 1) * every < session.total_steps(); };
  if (due(c.checkpoint.every_epochs * epoch) || due(c.checkpoint.every_steps.value_or(0))) return true;
  return c.checkpoint.keep_best && (due(c.eval.every_epochs * epoch) || due(c.eval.every_steps.value_or(0)));
}

uint64_t snapshot_bytes(const Session& session) {
  const Snapshot snapshot = session.snapshot("");
  uint64_t bytes = 0;
  for (const auto* tensors : {&snapshot.model, &snapshot.optimizer, &snapshot.ema}) {
    for (const auto& [name, tensor] : *tensors) bytes += tensor.bytes();
  }
  return bytes;
}

void set_evaluation(MemoryEstimate& e, Session& session, data::BatchMaker& eval, const Probe& small,
                    const Probe& large) {
  Task& task = *session.config.task;
  const int64_t block = task.evaluation_block();
  const int64_t wanted = session.config.eval.batch_size.value_or(session.config.train.batch_size);
  e.eval_batch_size = std::min((wanted + block - 1) / block * block, eval.size());
  const Probe one{1, bytes_of(zero_batch(eval, 1)), 0};
  const int64_t batches = (eval.size() + e.eval_batch_size - 1) / e.eval_batch_size;
  const int64_t held = std::min(1 + e.prefetch, batches);
  // The last batch stands alone, but a last block that is not full is copied and filled up.
  const int64_t last = eval.size() - (batches - 1) * e.eval_batch_size + (eval.size() % block != 0 ? block : 0);
  e.eval_batches = one.batch * static_cast<uint64_t>(std::max(std::min(held * e.eval_batch_size, eval.size()), last));
  // A forward without gradients takes less than one with them: only where that is not clear it is measured.
  e.eval_forward = extrapolate(small, large, &Probe::activations, block);
  const bool matters =
      e.device.empty() ? e.evaluation_peak() > e.training_peak() : e.eval_forward + e.fed > e.activations + e.graph;
  if (matters) e.eval_forward = measure_evaluation(session, eval).activations;
}

}  // namespace

uint64_t MemoryEstimate::tensor_peak() const {
  return std::max({training_peak(), evaluation_peak(), checkpoint_peak()});
}

uint64_t MemoryEstimate::coming_peak() const { return tensor_peak() + process + reserve + workers + cache; }
uint64_t MemoryEstimate::process_peak() const { return std::max(past_peak, coming_peak()); }

MemoryEstimate estimate_memory(Session& session, data::BatchMaker& eval_batches) {
  const RunConfig& config = session.config;
  const Device device = config.placement();
  auto &memory = arena(device), &host = arena({});
  MemoryEstimate e;
  if (device.type != DeviceType::cpu) e.device = device.text();
  e.past_peak = process_memory().peak;
  e.weights = session.store.flat_values().bytes();
  e.gradients = session.store.flat_grads().bytes();
  e.optimizer = session.optimizer->state_bytes();
  e.average = config.train.ema.decay ? e.weights : 0;
  e.snapshot = snapshot_bytes(session);
  e.snapshot_stays = checkpoint_before_last_step(session);
  e.cache = config.task->cache_bytes();
  e.batch_size = config.train.batch_size;
  e.accumulate = std::min(config.train.accumulate, config.task->train_order()->batches(0));
  const data::LoaderConfig& loader = config.task->loader_config();
  e.prefetch = loader.workers > 0 ? loader.prefetch : 0;

  const int64_t probe = std::clamp<int64_t>(e.batch_size / 2, 1, kLargestProbe);
  const Probe small = measure_step(session, std::max<int64_t>(1, probe / 2));
  e.activations = small.activations;
  require_memory(e, {e.on_host(e.state()), 0}, available_memory(), available_memory(device));
  const Probe large = measure_step(session, probe);
  const uint64_t batch = extrapolate(small, large, &Probe::batch, e.batch_size);
  e.activations = extrapolate(small, large, &Probe::activations, e.batch_size);
  e.fed = e.device.empty() ? 0 : batch;
  e.graph = config.graph == "auto" ? e.fed : 0;
  e.waiting_batches = batch * static_cast<uint64_t>(e.prefetch) + e.fed;
  e.train_batches = e.waiting_batches + batch * static_cast<uint64_t>(e.accumulate);
  e.workers = static_cast<uint64_t>(loader.workers) *
              (kWorkerBytes + kSamplesInHand * batch / static_cast<uint64_t>(e.batch_size));
  set_evaluation(e, session, eval_batches, small, large);
  for (Arena* each : {&memory, &host}) {
    each->trim();
    each->reset_peak();
  }
  // Of the segments that the state lives in, the probes have touched the rest as far as they needed it.
  const auto now = host.figures();
  const uint64_t touched = std::min(now.reserved, now.current + large.batch + e.on_host(large.activations));
  const uint64_t resident = process_memory().resident;
  e.process = resident > touched ? resident - touched : 0;
  const auto share = [](double part, uint64_t bytes) {
    return static_cast<uint64_t>(part * static_cast<double>(bytes));
  };
  e.reserve = std::min(kReserve, e.tensor_peak() / 8) +
              std::min(kLargestReserveOfStep, share(kReserveOfStep, e.tensor_peak() - e.standing())) +
              share(kReserveOfSnapshot, e.standing() - e.on_host(e.state()));
  return e;
}

void require_memory(const MemoryEstimate& e, const ProcessMemory& now, const AvailableMemory& available,
                    const AvailableMemory& on_device) {
  const auto text = [](uint64_t bytes) { return human_bytes(static_cast<double>(bytes)); };
  const auto smaller_batch = [&] {
    return fmt::format(
        "lower train.batch_size ({}; train.accumulate keeps the samples of a step) or set model.checkpoint_blocks",
        e.batch_size);
  };
  const uint64_t coming = e.device_peak() > e.state() ? e.device_peak() - e.state() : 0;
  if (coming > on_device.bytes) {
    bad_input(
        "memory of {}: this run would take {} at its peak, {} more than now, but only {} are {}\n"
        "  {} weights, gradients, optimizer, averages; {} activations; {} an evaluation's forward\n"
        "  {}{}",
        e.device, text(e.device_peak()), text(coming), text(on_device.bytes), on_device.limit, text(e.state()),
        text(e.activations), text(e.eval_forward), smaller_batch(),
        e.state() > e.device_peak() / 4 ? "; make the model smaller" : "");
  }
  const uint64_t peak = e.coming_peak();
  if (peak <= now.resident || peak - now.resident <= available.bytes) return;
  std::vector<std::string> advice;
  const uint64_t state = e.on_host(e.state()), activations = e.on_host(e.activations);
  if (activations + e.train_batches >= state / 4) advice.push_back(smaller_batch());
  if (e.evaluation_peak() > e.training_peak()) {
    advice.push_back(fmt::format("lower eval.batch_size ({})", e.eval_batch_size));
  }
  if (e.cache > peak / 10) advice.emplace_back("lower data.cache_mb");
  if (state > peak / 4) advice.emplace_back("make the model smaller");
  const uint64_t copy = e.snapshot_stays ? e.snapshot : 0;
  const uint64_t named = state + activations + e.train_batches + copy;
  bad_input(
      "memory: this run would take {} at its peak, {} more than now, but only {} are {}\n"
      "  {} weights, gradients, optimizer, averages; {} activations; {} batches; {} the checkpoint's copy; {} all "
      "else\n"
      "  {}",
      text(peak), text(peak - now.resident), text(available.bytes), available.limit, text(state), text(activations),
      text(e.train_batches), text(copy), text(peak > named ? peak - named : 0), fmt::join(advice, "; "));
}

void require_memory_for_state(const ParameterStore& store, const RunConfig& config, const AvailableMemory& available) {
  // What the rule keeps for an element, seen on a small store; rules that keep less for larger matrices keep little.
  ParameterStore sample;
  constexpr int64_t kEdge = 64;
  Scope(sample).param("weight", {kEdge, kEdge}, zeros());
  sample.materialize(0);
  const auto rule = optimizer_registry().make(optimizer_registry().name_of(*config.optimizer.rule));
  rule->bind(sample, make_parameter_groups(sample, {}, 0));
  const double element = static_cast<double>(rule->state_bytes()) / (kEdge * kEdge);
  const double state =
      (2 * sizeof(float) + element + (config.train.ema.decay ? sizeof(float) : 0)) * static_cast<double>(store.count());
  if (state <= static_cast<double>(available.bytes)) return;
  bad_input(
      "memory: {} parameters with their gradients, optimizer and averages take {}, but only {} are {}; make the model "
      "smaller, or choose another optimizer",
      human_count(store.count()), human_bytes(state), human_bytes(static_cast<double>(available.bytes)),
      available.limit);
}

std::string mebibytes(uint64_t bytes) { return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20)); }

std::string memory_table(const MemoryEstimate& e, uint64_t tensors, uint64_t process, uint64_t on_device) {
  std::string out = fmt::format("{:<28} {:>14} {:>14}\n", "memory", "estimate", "measured");
  const auto part = [&](const std::string& name, uint64_t bytes) {
    if (bytes > 0) out += fmt::format("  {:<26} {:>14}\n", name, mebibytes(bytes));
  };
  const auto sum = [&](const std::string& name, uint64_t estimate, uint64_t measured) {
    out += fmt::format("{:<28} {:>14} {:>14}  {:+.1f}%\n", name, mebibytes(estimate), mebibytes(measured),
                       100 * (static_cast<double>(estimate) / static_cast<double>(measured) - 1));
  };
  part("weights", e.weights);
  part("gradients", e.gradients);
  part("optimizer", e.optimizer);
  part("averaged weights", e.average);
  const bool apart = !e.device.empty();
  const auto activations = [&] { part(fmt::format("activations ({} samples)", e.batch_size), e.activations); };
  const auto forward = [&] { part("evaluation's forward", e.eval_forward); };
  if (apart) {
    const bool training = e.activations + e.graph >= e.eval_forward + e.fed;
    part("batches ahead", training ? e.fed + e.graph : 2 * e.fed);
    training ? activations() : forward();
    sum(fmt::format("tensors on {}", e.device), e.device_peak(), on_device);
  }
  if (e.snapshot_stays) part("checkpoint's copy", e.snapshot);
  if (e.tensor_peak() == e.training_peak()) {
    part(fmt::format("batches ({} + {} ahead)", e.accumulate, e.prefetch), e.train_batches);
    if (!apart) activations();
  } else if (e.tensor_peak() == e.checkpoint_peak()) {
    part("batches (training, ahead)", e.waiting_batches);
    part("checkpoint's copy", e.snapshot);
  } else {
    part("batches (training, ahead)", e.waiting_batches);
    part("batches (evaluation)", e.eval_batches);
    if (!apart) forward();
  }
  sum(apart ? "tensors on the host" : "tensors at the peak", e.tensor_peak(), tensors);
  part("program and data", e.process);
  part("unfilled segments", e.reserve);
  part("loader threads", e.workers);
  part("cache of samples", e.cache);
  if (e.past_peak > e.coming_peak()) part("for a moment, at the start", e.past_peak - e.coming_peak());
  sum("process at the peak", e.process_peak(), process);
  return out;
}

}  // namespace gfsa::train
