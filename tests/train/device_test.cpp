// Training on other devices than the CPU, with a task so small that what differs is the session around it: state,
// checkpoints, steps that are not finite, settings.
#include <gmock/gmock.h>

#include <cmath>

#include "ops/gemm.h"
#include "support/op_case.h"
#include "support/temporary_folder.h"
#include "train/checkpoint/writer.h"
#include "train/device_table.h"
#include "train/evaluate.h"
#include "train/fake_task.h"
#include "train/machine_memory.h"

namespace gfsa::train {
namespace {

using test::other_devices;
using testing::HasSubstr;

std::string on(Device device) { return "device=" + device.text(); }

// Largest difference over the largest magnitude.
double distance(const Tensor& a, const Tensor& b) {
  const auto x = a.to_vector<double>(), y = b.to_vector<double>();
  double difference = 0, largest = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    difference = std::max(difference, std::abs(x[i] - y[i]));
    largest = std::max(largest, std::abs(y[i]));
  }
  return largest == 0 ? difference : difference / largest;
}

void expect_near(const LoadedCheckpoint& a, const LoadedCheckpoint& b, double bound) {
  for (const auto& [x, y] : {std::pair(&a.model, &b.model), {&a.optimizer, &b.optimizer}, {&a.ema, &b.ema}}) {
    ASSERT_EQ(x->size(), y->size());
    for (const auto& [name, t] : *x) EXPECT_LE(distance(t, y->at(name)), bound) << name;
  }
}

struct Trained {
  std::vector<double> losses;
  LoadedCheckpoint end;
};

Trained trained(const std::vector<std::string>& overrides, int64_t steps, const LoadedCheckpoint* before = nullptr) {
  const auto config = fake_config(overrides);
  Session session(*config, before);
  Trained out;
  for (int64_t i = 0; i < steps; ++i) out.losses.push_back(session.step().loss);
  out.end = copy_of(session.snapshot(""));
  return out;
}

TEST(OtherDevice, StartsFromTheSameNumbers) {
  for (const Device device : other_devices()) {
    const auto here = trained({}, 0), there = trained({on(device)}, 0);
    for (const auto& [name, t] : here.end.model) EXPECT_TRUE(same_bits(t, there.end.model.at(name))) << name;
    for (const auto& [name, t] : here.end.ema) EXPECT_TRUE(same_bits(t, there.end.ema.at(name))) << name;
    const auto config = fake_config({on(device)});
    const Session session(*config);
    EXPECT_EQ(session.store.flat_grads().device(), device);
    for (const auto& p : session.store.parameters()) EXPECT_EQ(p.value.device(), device) << p.name;
  }
}

TEST(OtherDevice, TrainsAsTheCpuDoes) {
  for (const Device device : other_devices()) {
    for (const std::string optimizer : {"adamw", "sgd", "lion", "lamb", "adafactor"}) {
      const std::vector<std::string> overrides{"optimizer.name=" + optimizer, "soft=true", "smoothing=0.1"};
      auto elsewhere = overrides;
      elsewhere.push_back(on(device));
      const auto here = trained(overrides, 12), there = trained(elsewhere, 12);
      for (size_t i = 0; i < here.losses.size(); ++i) {
        EXPECT_NEAR(there.losses[i], here.losses[i], 1e-5 * here.losses[i]) << optimizer << ", step " << i;
      }
      expect_near(there.end, here.end, 1e-5);
    }
  }
}

TEST(OtherDevice, GoesOnFromItsOwnCheckpointBitForBitAndFromAnOtherDevices) {
  for (const Device device : other_devices()) {
    const auto straight = trained({on(device)}, 8), first = trained({on(device)}, 3);
    const auto second = trained({on(device)}, 5, &first.end);
    for (const auto& [name, t] : straight.end.model) EXPECT_TRUE(same_bits(t, second.end.model.at(name))) << name;
    for (const auto& [name, t] : straight.end.optimizer) EXPECT_TRUE(same_bits(t, second.end.optimizer.at(name)));
    for (const auto& [name, t] : straight.end.ema) EXPECT_TRUE(same_bits(t, second.end.ema.at(name))) << name;
    expect_near(trained({}, 5, &first.end).end, straight.end, 1e-5);
    const auto here = trained({}, 3);
    expect_near(trained({on(device)}, 5, &here.end).end, straight.end, 1e-5);
  }
}

TEST(OtherDevice, EvaluatesAsTheCpuDoes) {
  for (const Device device : other_devices()) {
    const auto measure = [](const std::vector<std::string>& overrides) {
      const auto config = fake_config(overrides);
      const Session session(*config);
      return evaluate(*config->task, *config->task->eval_batches("val"), 5, config->evaluation_context()).metrics;
    };
    EXPECT_NEAR(measure({on(device)})[0].second, measure({})[0].second, 1e-6);
  }
}

TEST(OtherDevice, AStepThatIsNotFiniteLeavesEverythingAsItWasAndIsExplained) {
  for (const Device device : other_devices()) {
    for (const std::string cause : {"nan_sample=5", "infinite_gradient=true"}) {
      const auto report = [&](const std::vector<std::string>& overrides) {
        const auto config = fake_config(overrides);
        Session session(*config);
        for (int i = 0; i < 20; ++i) {
          const auto before = copy_of(session.snapshot(""));
          try {
            session.step();
          } catch (const NonFiniteStep& e) {
            const auto after = copy_of(session.snapshot(""));
            for (const auto& [name, t] : before.model) EXPECT_TRUE(same_bits(t, after.model.at(name))) << name;
            for (const auto& [name, t] : before.optimizer) EXPECT_TRUE(same_bits(t, after.optimizer.at(name))) << name;
            for (const auto& [name, t] : before.ema) EXPECT_TRUE(same_bits(t, after.ema.at(name))) << name;
            session.skip(e.report());
            return e.report();
          }
        }
        ADD_FAILURE() << "every step was finite";
        return NonFinite();
      };
      const NonFinite here = report({cause}), there = report({cause, on(device)});
      EXPECT_EQ(there.step, here.step);
      EXPECT_EQ(there.phase, here.phase);
      EXPECT_EQ(there.op, here.op);
      EXPECT_EQ(there.tensor.text(), here.tensor.text());
      EXPECT_EQ(there.parameter, here.parameter);
      EXPECT_EQ(there.sample, here.sample);
      EXPECT_EQ(there.sample_ids, here.sample_ids);
    }
  }
}

TEST(OtherDevice, AStateThatIsNotFiniteIsNamed) {
  for (const Device device : other_devices()) {
    const auto config = fake_config({on(device)});
    Session session(*config);
    session.step();
    EXPECT_EQ(session.first_not_finite_tensor(), "");
    session.ema->state()[1].second.fill(INFINITY);
    EXPECT_EQ(session.first_not_finite_tensor(), "ema of head.bias");
    session.store.parameters()[1].value.slice(0, 2, 3).fill(std::nan(""));
    EXPECT_EQ(session.first_not_finite_tensor(), "head.bias");
  }
}

TEST(OtherDevice, CheckpointsHoldItsTensors) {
  for (const Device device : other_devices()) {
    const test::TemporaryFolder folder;
    CheckpointStore store(Env::real(), folder.path());
    CheckpointWriter writer(Env::real(), store, 2);
    const auto config = fake_config({on(device)});
    Session session(*config);
    for (int i = 0; i < 2; ++i) {  // the second copy goes into the first one's memory
      session.step();
      const auto expected = copy_of(session.snapshot(""));
      writer.begin(session.snapshot("task: fake\n"), {});
      session.step();
      const auto outcome = writer.take(true);
      ASSERT_EQ(outcome->problem, "");
      const auto loaded = CheckpointStore::load(Env::real(), outcome->path);
      for (const auto& [name, t] : expected.model) EXPECT_TRUE(same_bits(t, loaded.model.at(name))) << name;
      for (const auto& [name, t] : expected.optimizer) EXPECT_TRUE(same_bits(t, loaded.optimizer.at(name))) << name;
      for (const auto& [name, t] : expected.ema) EXPECT_TRUE(same_bits(t, loaded.ema.at(name))) << name;
    }
  }
}

TEST(OtherDevice, ABatchGoesThereAndBack) {
  for (const Device device : other_devices()) {
    data::Batch batch;
    batch.size = 2;
    batch.index = 7;
    batch.set("images", Tensor::from<float>({2, 2}, {1, 2, 3, 4}));
    batch.set("labels", Tensor::from<int64_t>({2}, {5, 6}));
    const data::Batch there = batch.to(device), back = there.to(Device{});
    EXPECT_EQ(there.at("images").device(), device);
    EXPECT_EQ(there.size, 2);
    EXPECT_EQ(there.index, 7);
    EXPECT_EQ(back.names(), batch.names());
    for (const auto& [name, t] : batch.tensors) EXPECT_TRUE(same_bits(t, back.at(name))) << name;
  }
  data::Batch batch;
  batch.set("x", Tensor::zeros({1}, DType::f32));
  EXPECT_TRUE(batch.to(Device{}).at("x").shares_storage_with(batch.at("x")));
}

TEST(MachineSettings, ADeviceThatIsNotThereIsRefusedWithItsPlace) {
  const std::string yaml = std::string(kFakeConfig) + "device: cuda:63\n";
  RunConfig config(fake_registry());
  const auto resolved = config::load_text(config, yaml, "run.yaml");
  EXPECT_EQ(message_of([&] { apply_machine_settings(config, resolved); }),
            "run.yaml:9: device: 'cuda:63' cannot be used: " + why_not({DeviceType::cuda, 63}) + "; use device: cpu");
  EXPECT_THAT(message_of([&] { apply_machine_settings(config); }), testing::StartsWith("device: 'cuda:63' cannot"));
  EXPECT_THAT(message_of([] { fake_config({"device=tpu"}); }),
              HasSubstr("command line: device: 'tpu' is not a device, expected cpu, cuda, cuda:N or emulated"));
  for (const Device device : other_devices()) EXPECT_NO_THROW(apply_machine_settings(*fake_config({on(device)})));
}

TEST(MachineSettings, TurnTf32OnAndOff) {
  for (const bool on : {true, false}) {
    apply_machine_settings(*fake_config({fmt::format("tf32={}", on)}));
    EXPECT_EQ(tf32_allowed(), on);
  }
}

TEST(DeviceTable, HasALineForEachDevice) {
  const std::string table = device_table();
  EXPECT_THAT(table, testing::StartsWith("cpu         " + backend({}).description() + "; "));
  for (const Device device : other_devices()) {
    EXPECT_THAT(table, HasSubstr("\n" + device.text()));
    EXPECT_THAT(table, HasSubstr(backend(device).description()));
  }
  const std::string why = why_not({DeviceType::cuda, 0});
  if (!why.empty()) {
    EXPECT_THAT(table, HasSubstr("\ncuda:0      no: " + why));
  }
}

TEST(MachineMemory, OfADeviceIsWhatItHasFree) {
  for (const Device device : other_devices()) {
    const AvailableMemory before = available_memory(device);
    EXPECT_EQ(before.limit, "free on " + device.text());
    const Tensor t = Tensor::empty({1 << 22}, DType::f32, device);
    const uint64_t taken = before.bytes - available_memory(device).bytes;
    EXPECT_GE(taken, t.bytes());
    EXPECT_LE(taken, t.bytes() + (uint64_t{64} << 20));
  }
  EXPECT_EQ(available_memory(Device{}).limit, available_memory().limit);
}

}  // namespace
}  // namespace gfsa::train
