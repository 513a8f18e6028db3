// The estimate against what steps, evaluations and checkpoints then take; that it leaves no trace; refusals.
#include "train/memory_estimate.h"

#include <gmock/gmock.h>

#include <cstring>

#include "core/arena.h"
#include "support/op_case.h"
#include "tasks/tiny_run.h"
#include "train/checkpoint/writer.h"
#include "train/evaluate.h"

namespace gfsa::tasks {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using train::MemoryEstimate;

constexpr uint64_t kMiB = uint64_t{1} << 20;

// All that could notice: dropout, drop path, mixing, averages, accumulation.
const std::string kConfig = R"(
model: {name: vit, width: 32, heads: 2, depth: 3, patch: 8, image_size: 32, drop_path: 0.2, dropout: 0.1}
attention: gfsa
data: {source: procedural, train_size: 512, val_size: 61, workers: 0}
augment: {mixup: 0.8, cutmix: 1.0, repeated: 3, label_smoothing: 0.1}
train: {epochs: 3, batch_size: 32, accumulate: 2, clip_norm: 1.0, ema: {decay: 0.9}}
threads: 1
)";

struct Trial {
  explicit Trial(const std::vector<std::string>& overrides = {}) : config(task_registry()) {
    config::load_text(config, kConfig, "text", overrides);
    train::apply_machine_settings(config);
    session = std::make_unique<train::Session>(config);
    eval = config.task->eval_batches("val");
  }
  MemoryEstimate estimate() { return train::estimate_memory(*session, *eval); }
  train::RunConfig config;
  std::unique_ptr<train::Session> session;
  std::unique_ptr<data::BatchMaker> eval;
};

std::string bits(const Tensor& t) { return {static_cast<const char*>(t.raw()), t.bytes()}; }

// Weights, gradients, optimizer, averages.
std::vector<std::string> state_of(const train::Session& s) {
  std::vector<std::string> out{bits(s.store.flat_values()), bits(s.store.flat_grads())};
  for (const auto& [name, t] : s.optimizer->state()) out.push_back(name + bits(t));
  for (const auto& [name, t] : s.ema->state()) out.push_back(name + bits(t));
  return out;
}

TEST(MemoryEstimate, LeavesNoTraceInTheRun) {
  for (const std::string precision : {"f32", "bf16"}) {
    Trial straight({"precision=" + precision}), estimated({"precision=" + precision});
    estimated.estimate();
    for (int step = 0; step < 5; ++step) {
      if (step == 3) estimated.estimate();
      EXPECT_EQ(straight.session->step().loss, estimated.session->step().loss) << step;
      EXPECT_TRUE(state_of(*straight.session) == state_of(*estimated.session)) << step;
    }
  }
}

// A run in small: checkpoint, step, evaluation, step.
uint64_t measured_peak(Trial& t, const MemoryEstimate& e) {
  const TemporaryFolder folder;
  train::CheckpointStore store(Env::real(), folder / "run");
  train::CheckpointWriter writer(Env::real(), store, 1);
  arena({}).reset_peak();
  const auto checkpoint = [&] {
    writer.begin(t.session->snapshot(""), {});
    writer.take(true);
  };
  if (e.snapshot_stays) checkpoint();
  t.session->step();
  train::evaluate(*t.config.task, *t.eval, t.config.eval.batch_size.value_or(t.config.train.batch_size),
                  t.config.evaluation_context());
  t.session->step();
  if (!e.snapshot_stays) checkpoint();
  return arena({}).figures().peak;
}

TEST(MemoryEstimate, IsWithinFivePercentOfTheMeasuredPeak) {
  const std::vector<std::vector<std::string>> cases{
      {},
      {"precision=bf16"},
      {"train.batch_size=128", "train.accumulate=1"},
      {"train.batch_size=7", "train.accumulate=3"},
      {"train.batch_size=1"},
      {"attention=softmax", "optimizer=lamb", "train.ema.decay=null"},
      {"model.checkpoint_blocks=true", "train.batch_size=64"},
      {"eval.batch_size=64", "train.batch_size=4", "train.accumulate=1", "data.val_size=300"},
      {"train.epochs=null", "train.steps=2"},  // the only checkpoint is the last one
      {"optimizer=adafactor", "augment.mixup=0", "augment.cutmix=0", "augment.label_smoothing=0"},
  };
  for (const auto& overrides : cases) {
    Trial trial(overrides);
    const MemoryEstimate e = trial.estimate();
    const uint64_t measured = measured_peak(trial, e);
    const double ratio = static_cast<double>(e.tensor_peak()) / static_cast<double>(measured);
    EXPECT_NEAR(ratio, 1, 0.05) << fmt::format("{}", fmt::join(overrides, " ")) << "\n"
                                << train::memory_table(e, measured, train::process_memory().peak);
  }
}

// On a device with memory of its own, that and the host's apart.
TEST(MemoryEstimate, OfADeviceIsWithinFivePercentToo) {
  for (const Device device : test::other_devices()) {
    for (const std::string batch : {"train.batch_size=4", "train.batch_size=16"}) {
      Trial trial({batch, "device=" + device.text(), "data.val_size=33", "data.train_size=64"});
      const MemoryEstimate e = trial.estimate();
      EXPECT_EQ(e.device, device.text());
      arena(device).reset_peak();
      const uint64_t on_host = measured_peak(trial, e), there = arena(device).figures().peak;
      const auto table = train::memory_table(e, on_host, train::process_memory().peak, there);
      EXPECT_NEAR(static_cast<double>(e.device_peak()) / static_cast<double>(there), 1, 0.05) << table;
      EXPECT_NEAR(static_cast<double>(e.tensor_peak()) / static_cast<double>(on_host), 1, 0.05) << table;
      EXPECT_THAT(table, AllOf(HasSubstr("tensors on " + device.text()), HasSubstr("tensors on the host")));
    }
  }
}

// How far the loader gets ahead is a matter of time; no further than the estimate says.
TEST(MemoryEstimate, CountsBatchesThatAreMadeAhead) {
  Trial trial({"data.prefetch=6", "data.workers=2", "train.batch_size=16"});
  const MemoryEstimate e = trial.estimate();
  EXPECT_EQ(e.waiting_batches, 6 * e.train_batches / 8);
  const uint64_t measured = measured_peak(trial, e);
  EXPECT_LE(measured, e.tensor_peak() + e.tensor_peak() / 20);
  EXPECT_GE(measured + e.waiting_batches, e.tensor_peak() - e.tensor_peak() / 20);
}

TEST(MemoryEstimate, CountsTheStateExactly) {
  Trial t;
  const MemoryEstimate e = t.estimate();
  EXPECT_EQ(e.weights, t.session->store.flat_values().bytes());
  EXPECT_EQ(e.gradients, e.weights);
  EXPECT_EQ(e.average, e.weights);
  EXPECT_EQ(e.optimizer, t.session->optimizer->state_bytes());
  EXPECT_EQ(e.accumulate, 2);
  EXPECT_TRUE(e.snapshot_stays);
  EXPECT_FALSE(Trial({"train.epochs=1"}).estimate().snapshot_stays);
  EXPECT_TRUE(Trial({"train.epochs=1", "checkpoint.every_steps=5"}).estimate().snapshot_stays);
}

TEST(MemoryEstimate, CountsTheCacheOfDecodedPictures) {
  const uint64_t picture = 32 * 32 * 3 + sizeof(data::ImageSample);
  EXPECT_EQ(Trial({"data.cache_mb=100"}).estimate().cache, (512 + 61) * picture);
  EXPECT_EQ(Trial({"data.cache_mb=1"}).estimate().cache, kMiB + 61 * picture);
  EXPECT_EQ(Trial().estimate().cache, 0u);
}

TEST(RequireMemory, RefusesWithNumbersAndAdvice) {
  MemoryEstimate e;
  e.weights = e.gradients = 100 * kMiB;
  e.optimizer = 200 * kMiB;
  e.activations = 3000 * kMiB;
  e.process = 50 * kMiB;
  e.batch_size = 256;
  const train::ProcessMemory now{450 * kMiB, 0};
  EXPECT_NO_THROW(train::require_memory(e, now, {3000 * kMiB, "available on this machine"}));
  const auto message = refusal([&] { train::require_memory(e, now, {3000 * kMiB - 1, "available on this machine"}); });
  EXPECT_THAT(message, AllOf(HasSubstr("would take 3.4 GiB at its peak, 2.9 GiB more than now, but only 2.9 GiB are "
                                       "available on this machine"),
                             HasSubstr("400.0 MiB weights"), HasSubstr("2.9 GiB activations"),
                             HasSubstr("lower train.batch_size (256"), Not(HasSubstr("eval.batch_size"))));
  e.eval_batches = 5000 * kMiB;
  e.cache = 4000 * kMiB;
  e.eval_batch_size = 4096;
  EXPECT_THAT(refusal([&] {
                train::require_memory(e, now, {kMiB, "left in the control group's limit"});
              }),
              AllOf(HasSubstr("left in the control group's limit"), HasSubstr("lower eval.batch_size (4096)"),
                    HasSubstr("lower data.cache_mb")));
}

TEST(RequireMemory, SpeaksOfTheDeviceThatIsFull) {
  MemoryEstimate e;
  e.device = "cuda:0";
  e.weights = e.gradients = 100 * kMiB;
  e.optimizer = 200 * kMiB;
  e.activations = 3000 * kMiB;
  e.eval_forward = 500 * kMiB;
  e.train_batches = 50 * kMiB;
  e.batch_size = 256;
  EXPECT_EQ(e.device_peak(), 3400 * kMiB);
  EXPECT_EQ(e.tensor_peak(), 50 * kMiB);
  const train::AvailableMemory host{60 * kMiB, "available on this machine"};
  EXPECT_NO_THROW(train::require_memory(e, {}, host, {3000 * kMiB, "free on cuda:0"}));
  EXPECT_THAT(refusal([&] {
                train::require_memory(e, {}, host, {3000 * kMiB - 1, "free on cuda:0"});
              }),
              AllOf(HasSubstr("memory of cuda:0: this run would take 3.3 GiB at its peak, 2.9 GiB more than now, but "
                              "only 2.9 GiB are free on cuda:0"),
                    HasSubstr("400.0 MiB weights"), HasSubstr("lower train.batch_size (256"),
                    Not(HasSubstr("make the model smaller"))));
  EXPECT_THAT(refusal([&] {
                train::require_memory(e, {}, {40 * kMiB, "available on this machine"}, {});
              }),
              AllOf(HasSubstr("memory: this run would take 50.0 MiB"), HasSubstr("available on this machine")));
}

TEST(RequireMemory, RefusesWeightsBeforeTheyAreTaken) {
  train::RunConfig config(task_registry());
  config::load_text(config, kConfig);
  ParameterStore store;
  Scope(store).param("w", {1000, 1000}, zeros());
  // Values, gradients, two moments and the average of a million numbers.
  EXPECT_NO_THROW(train::require_memory_for_state(store, config, {20'100'000, "available"}));
  EXPECT_THAT(
      refusal([&] {
        train::require_memory_for_state(store, config, {19'900'000, "available"});
      }),
      AllOf(HasSubstr("1,000,000 parameters"), HasSubstr("take 19.1 MiB"), HasSubstr("19.0 MiB are available")));
  EXPECT_THAT(refusal([] {
                Trial t({"model.width=262144", "model.heads=2"});
              }),
              AllOf(HasSubstr("memory: "), HasSubstr("make the model smaller")));
  for (const Device device : test::other_devices()) {
    EXPECT_THAT(refusal([&] {
                  Trial t({"model.width=262144", "model.heads=2", "device=" + device.text()});
                }),
                AllOf(HasSubstr("free on " + device.text()), HasSubstr("make the model smaller")));
  }
}

TEST(MachineMemory, IsRead) {
  EXPECT_EQ(train::bytes_of_line("VmPeak:\t  9 kB\nVmHWM:\t    1234 kB\n", "VmHWM"), 1234u << 10);
  EXPECT_EQ(train::bytes_of_line("VmPeak:\t  9 kB\n", "VmHWM"), 0u);
  const auto process = train::process_memory();
  EXPECT_GT(process.resident, kMiB);
  EXPECT_GE(process.peak, process.resident);
  EXPECT_GT(train::available_memory().bytes, kMiB);
  EXPECT_FALSE(train::available_memory().limit.empty());
}

}  // namespace
}  // namespace gfsa::tasks
