// Steps recorded as graphs are the steps that they stand for: same bits, same reports, no more memory.
#include "train/step_graph.h"

#include <gmock/gmock.h>

#include <cmath>

#include "optim/registry.h"
#include "support/op_case.h"
#include "train/evaluate.h"
#include "train/fake_task.h"

#ifdef GFSA_HAS_EMULATED
#include "core/cuda/emulated/queue.h"
#endif

namespace gfsa::train {
namespace {

using test::other_devices;

struct History {
  std::vector<double> losses, norms;
  std::vector<std::string> reports;
  LoadedCheckpoint end;
  int64_t replayed = 0;
};

void expect_same(const History& a, const History& b) {
  EXPECT_EQ(a.losses, b.losses);
  EXPECT_EQ(a.norms, b.norms);
  EXPECT_EQ(a.reports, b.reports);
  for (const auto& [x, y] :
       {std::pair(&a.end.model, &b.end.model), {&a.end.optimizer, &b.end.optimizer}, {&a.end.ema, &b.end.ema}}) {
    ASSERT_EQ(x->size(), y->size());
    for (const auto& [name, tensor] : *x) EXPECT_TRUE(same_bits(tensor, y->at(name))) << name;
  }
  EXPECT_EQ(a.end.position.step, b.end.position.step);
  EXPECT_EQ(a.end.position.samples, b.end.position.samples);
}

using AfterStep = std::function<void(Session&)>;

History run(std::vector<std::string> overrides, Device device, const char* graph, int64_t steps,
            const LoadedCheckpoint* before = nullptr, const AfterStep& after = {}) {
  overrides.insert(overrides.end(), {"device=" + device.text(), std::string("graph=") + graph, "train.epochs=20"});
  const auto config = fake_config(overrides);
  Session session(*config, before);
  const LoadedCheckpoint start = copy_of(session.snapshot(""));
  History h;
  for (int64_t i = 0; i < steps; ++i) {
    try {
      const StepFigures f = session.step();
      h.losses.push_back(f.loss);
      h.norms.push_back(f.grad_norm);
    } catch (const NonFiniteStep& e) {
      h.reports.push_back(e.message());
      config->train.on_non_finite == "skip" ? session.skip(e.report()) : session.roll_back(start, e.report());
    }
    if (after) after(session);
  }
  h.end = copy_of(session.snapshot(""));
  h.replayed = session.replayed_steps();
  return h;
}

// An epoch's steps are of 2, 2 and 1 batches, or of 5 times 1.
TEST(StepGraph, EveryOptimizersStepsAreTheSameBits) {
  for (const Device device : other_devices()) {
    for (const auto& name : optimizer_registry().names()) {
      for (const std::string accumulate : {"train.accumulate=1", "train.accumulate=3", "train.accumulate=5"}) {
        SCOPED_TRACE(name + " " + accumulate);
        std::vector<std::string> overrides{"optimizer.name=" + name, "optimizer.weight_decay=0.1", accumulate,
                                           "train.ema.warmup=true", "train.clip_value=0.2"};
        if (name == "sgd") overrides.insert(overrides.end(), {"optimizer.momentum=0.9", "optimizer.dampening=0.1"});
        const History graph = run(overrides, device, "auto", 22), eager = run(overrides, device, "off", 22);
        expect_same(graph, eager);
        EXPECT_EQ(eager.replayed, 0);
        EXPECT_EQ(graph.replayed, accumulate == "train.accumulate=3" ? 0 : 20);  // 3 and 2 batches in turn
      }
    }
  }
}

#ifdef GFSA_HAS_EMULATED
// Late and in any order that streams allow: batches that arrive meanwhile, tables that the host writes for the next
// step.
TEST(StepGraph, TwentySchedulesGiveTheSameBits) {
  const Device device{DeviceType::emulated, 0};
  const std::vector<std::string> overrides{"train.accumulate=5", "train.batch_size=4"};  // steps of 5, 5 and 1
  const History eager = run(overrides, device, "off", 9);
  for (uint64_t schedule = 1; schedule <= 20; ++schedule) {
    emulator::set_seed(schedule);
    SCOPED_TRACE(schedule);
    const History graph = run({"train.accumulate=5", "train.batch_size=4", "samples=40"}, device, "auto", 9);
    expect_same(graph, run({"train.accumulate=5", "train.batch_size=4", "samples=40"}, device, "off", 9));
    EXPECT_EQ(graph.replayed, 7);
    expect_same(run(overrides, device, "auto", 9), eager);
  }
}
#endif

TEST(StepGraph, AnotherNumberOfBatchesRunsAsItIs) {
  for (const Device device : other_devices()) {
    const std::vector<std::string> overrides{"samples=60"};  // 7 batches: steps of 2, 2, 2 and 1
    const History graph = run(overrides, device, "auto", 20);
    expect_same(graph, run(overrides, device, "off", 20));
    EXPECT_EQ(graph.replayed, 5);  // the third of each epoch
  }
}

TEST(StepGraph, ABatchOfAnotherSizeRunsAsItIs) {
  for (const Device device : other_devices()) {
    std::vector<std::vector<double>> losses;
    for (const char* graph : {"auto", "off"}) {
      const auto config = fake_config({"device=" + device.text(), std::string("graph=") + graph});
      Session session(*config);
      losses.emplace_back();
      for (const int64_t rows : {8, 8, 8, 3, 8, 8, 8, 8}) {
        auto batches = session.next_batches();
        for (auto& batch : batches) {
          batch.size = rows;
          for (auto& [name, t] : batch.tensors) t = t.slice(0, 0, rows);
        }
        losses.back().push_back(session.step_on(batches).loss);
      }
      EXPECT_EQ(session.replayed_steps(), std::string(graph) == "auto" ? 3 : 0);
    }
    EXPECT_EQ(losses[0], losses[1]);
  }
}

// Of all that a batch is: names, types, shapes, and how many samples it says it has.
TEST(StepGraph, OnlyBatchesThatAreAlikeAreReplayed) {
  for (const Device device : other_devices()) {
    StepGraph graph(device, true);
    double normalizer = 1;
    const auto batch_of = [&](const char* name, const Shape& shape, DType dtype, int64_t size, double value) {
      data::Batch batch;
      batch.size = size;
      batch.set(name, Tensor::full(shape, value, dtype, device));
      return batch;
    };
    Tensor seen;
    int queued = 0;
    const auto step = [&](const data::Batch& batch) {
      graph.begin_step({batch}, normalizer);
      graph.run(0, batch, [&](const data::Batch& there) { seen = there.tensors[0].second.clone(), ++queued; });
      return seen.to(Device{}).to(DType::f64);
    };
    double value = 0;
    const auto expect_queued = [&](const char* name, const Shape& shape, DType dtype, int64_t size) {
      const int before = queued;
      for (int i = 0; i < 4; ++i) {
        const data::Batch batch = batch_of(name, shape, dtype, size, ++value);
        test::expect_same_bits(step(batch), Tensor::full(shape, value, DType::f64), name);
      }
      EXPECT_EQ(queued, before + 2) << "as it is, then recorded, then replayed twice";
    };
    expect_queued("x", {2, 3}, DType::f32, 2);
    expect_queued("x", {2, 5}, DType::f32, 2);
    expect_queued("x", {3, 2}, DType::f32, 2);
    expect_queued("x", {3, 2}, DType::i32, 2);
    expect_queued("y", {3, 2}, DType::i32, 2);
    expect_queued("y", {3, 2}, DType::i32, 3);
    normalizer = 2;
    expect_queued("y", {3, 2}, DType::i32, 3);
    EXPECT_EQ(graph.replayed_steps(), 14);
  }
}

TEST(StepGraph, StepsThatAreNotFiniteAreReportedAndPassedOver) {
  for (const Device device : other_devices()) {
    for (const std::string policy : {"skip", "rollback"}) {
      const std::vector<std::string> overrides{"nan_sample=5", "train.accumulate=1", "train.on_non_finite=" + policy};
      const History graph = run(overrides, device, "auto", 25);
      EXPECT_EQ(graph.reports.size(), 5u);
      expect_same(graph, run(overrides, device, "off", 25));
      EXPECT_GE(graph.replayed, 10);
    }
    // The update itself: the state is spoilt between two replays.
    for (const char* graph : {"auto", "off"}) {
      const auto config = fake_config({"train.accumulate=1", "device=" + device.text(), std::string("graph=") + graph});
      Session session(*config);
      for (int i = 0; i < 4; ++i) session.step();
      session.optimizer->state()[1].second.slice(0, 3, 4).fill(INFINITY);
      try {
        session.step();
        ADD_FAILURE() << "the step was finite";
      } catch (const NonFiniteStep& e) {
        EXPECT_EQ(e.report().phase, "optimizer");
        EXPECT_EQ(session.optimizer->steps(), 5);
      }
    }
  }
}

TEST(StepGraph, ARunGoesOnFromACheckpointBetweenReplays) {
  for (const Device device : other_devices()) {
    const std::vector<std::string> overrides{"train.accumulate=1"};
    const History straight = run(overrides, device, "auto", 12);
    for (const int64_t stop : {1, 2, 3, 7}) {
      const History first = run(overrides, device, "auto", stop);
      History second = run(overrides, device, "auto", 12 - stop, &first.end);
      second.losses.insert(second.losses.begin(), first.losses.begin(), first.losses.end());
      second.norms.insert(second.norms.begin(), first.norms.begin(), first.norms.end());
      expect_same(second, straight);
    }
  }
}

// With the averaged weights in the place of the trained ones, and with memory of its own.
TEST(StepGraph, EvaluationsBetweenStepsDisturbNothing) {
  for (const Device device : other_devices()) {
    const std::vector<std::string> overrides{"train.accumulate=1", "train.batch_size=4"};
    std::vector<double> losses;
    const auto evaluation = [&](bool frees) {
      return [&losses, frees](Session& session) {
        if (frees) session.free_graph();
        const EmaWeights averaged(*session.ema);
        const auto eval = session.config.task->eval_batches("val");
        losses.push_back(
            evaluate(*session.config.task, *eval, 13, session.config.evaluation_context()).metrics[0].second);
      };
    };
    const History eager = run(overrides, device, "off", 8, nullptr, evaluation(false));
    const std::vector<double> expected = std::exchange(losses, {});
    for (const bool frees : {false, true}) {
      const History graph = run(overrides, device, "auto", 8, nullptr, evaluation(frees));
      expect_same(graph, eager);
      EXPECT_EQ(graph.replayed, frees ? 0 : 6);
      EXPECT_EQ(std::exchange(losses, {}), expected);
    }
  }
}

TEST(StepGraph, TakesNoMoreMemoryThanOneBatchBeyondTheStepsOwn) {
  for (const Device device : other_devices()) {
    const auto measure = [&](const char* graph, const std::string& nan_sample) {
      std::vector<uint64_t> peaks;
      run({"train.batch_size=512", "samples=5000"}, device, "off", 1);  // what a library keeps for itself
      arena(device).reset_peak();
      const uint64_t before = arena(device).figures().current;
      run({"samples=5000", "train.batch_size=512", "train.accumulate=1", "train.on_non_finite=skip", nan_sample},
          device, graph, 30, nullptr, [&](Session&) { peaks.push_back(arena(device).figures().peak - before); });
      EXPECT_EQ(arena(device).figures().current, before) << "all of it comes back";
      return peaks;
    };
    const uint64_t batch = 512 * (kFeatures * 4 + 8 + 8);
    for (const std::string nan_sample :
         {"nan_sample=-1", "nan_sample=5"}) {  // the second run of a bad step is no graph
      const auto eager = measure("off", nan_sample), graph = measure("auto", nan_sample);
      EXPECT_LE(graph.back(), eager.back() + batch + 1024) << device.text() << " " << nan_sample;
      EXPECT_GE(graph.back(), eager.back()) << device.text();
      if (nan_sample == "nan_sample=5") continue;
      EXPECT_EQ(graph.back(), graph[4]) << "replays take nothing more";
    }
  }
}

// The task looks at its batch on the host: that cannot be recorded, and would be wrong to.
TEST(StepGraph, WhatWaitsForTheDeviceRunsAsItIs) {
  for (const Device device : other_devices()) {
    const std::vector<std::string> overrides{"huge_sample=5", "train.accumulate=1", "train.on_non_finite=skip"};
    const History eager = run(overrides, device, "off", 12);
    const uint64_t before = arena(device).figures().current;
    const History graph = run(overrides, device, "auto", 12);
    expect_same(graph, eager);
    EXPECT_EQ(graph.replayed, 0);
    EXPECT_EQ(arena(device).figures().current, before);
  }
}

}  // namespace
}  // namespace gfsa::train
