// fake_task.h -- an experiment without a domain: a linear model on generated numbers, so that the trainer is tested
// without pictures.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "autograd/autograd.h"
#include "base/error.h"
#include "config/printer.h"
#include "config/reader.h"
#include "core/philox.h"
#include "ops/cross_entropy.h"
#include "ops/dropout.h"
#include "ops/linear.h"
#include "train/session.h"

namespace gfsa::train {

constexpr int64_t kFeatures = 7, kClasses = 3;

// Sample i: kFeatures normal numbers plus a little noise that is new in every epoch; its class is the largest of the
// first kClasses.
class FakeSamples : public data::BatchMaker {
 public:
  FakeSamples(int64_t size, bool training, bool soft, int64_t nan_sample)
      : size_(size), training_(training), soft_(soft), nan_sample_(nan_sample) {}

  int64_t size() const override { return size_; }
  std::string sample_name(int64_t index) const override { return "number " + std::to_string(index); }
  void allocate(data::Batch& batch, std::span<const data::SampleRef>) override {
    batch.set("x", Tensor::zeros({batch.size, kFeatures}, DType::f32));
    batch.set("labels", Tensor::zeros({batch.size}, DType::i64));
    batch.set("sample_ids", Tensor::zeros({batch.size}, DType::i64));
    if (soft_) batch.set("targets", Tensor::zeros({batch.size, kClasses}, DType::f32));
  }
  void fill(data::Batch& batch, int64_t slot, const data::SampleRef& ref) override {
    RandomSequence rng(RandomKey(11, training_ ? "fake.train" : "fake.val"), static_cast<uint32_t>(ref.index));
    RandomSequence noise(RandomKey(12, "fake.noise", static_cast<uint64_t>(batch.epoch)),
                         static_cast<uint32_t>(ref.position));
    float* x = batch.at("x").data<float>() + slot * kFeatures;
    for (int64_t i = 0; i < kFeatures; ++i) x[i] = static_cast<float>(rng.normal());
    const int64_t label = std::max_element(x, x + kClasses) - x;
    if (training_) {
      for (int64_t i = 0; i < kFeatures; ++i) x[i] += static_cast<float>(0.1 * noise.normal());
    }
    if (ref.index == nan_sample_) x[0] = std::numeric_limits<float>::quiet_NaN();
    batch.at("labels").data<int64_t>()[slot] = label;
    batch.at("sample_ids").data<int64_t>()[slot] = ref.index;
    if (!soft_) return;
    const auto share = static_cast<float>(noise.uniform());  // as mixing two samples gives
    float* targets = batch.at("targets").data<float>() + slot * kClasses;
    targets[label] += share;
    targets[(label + 1) % kClasses] += 1 - share;
  }

 private:
  int64_t size_;
  bool training_, soft_;
  int64_t nan_sample_;
};

class FakeTask : public Task {
 public:
  void describe(config::Schema& s) override {
    s.field("samples", samples).positive().doc("Training samples.");
    s.field("eval_samples", eval_samples).positive().doc("Evaluation samples.");
    s.field("drop", drop).in(0, 0.9).doc("Dropout of the features.");
    s.field("smoothing", smoothing).in(0, 1).doc("Label smoothing.");
    s.field("soft", soft).doc("Soft targets.");
    s.field("nan_sample", nan_sample).doc("A sample that holds a NaN, or -1.");
    s.field("infinite_gradient", infinite_gradient).doc("The gradient of the bias is infinite, the loss is not.");
    s.field("huge_sample", huge_sample).doc("A sample that makes the bias's gradient 3e38, or -1.");
    s.field("version", version).resume_may_change().doc("Of the data.");
  }
  void build_model(ParameterStore&, const StoredWeights&) override { fail("a fake is not evaluated"); }
  std::string model_text() const override { return "fake"; }
  std::string attention_text() const override { return "none"; }
  void build(ParameterStore& store, uint64_t seed, int64_t batch_size) override {
    Scope scope(store, "head");
    weight_ = scope.param("weight", {kClasses, kFeatures}, normal(0.3));
    bias_ = scope.param("bias", {kClasses}, zeros());
    train_set_ = std::make_unique<FakeSamples>(samples, true, soft, nan_sample);
    order_.samples = samples;
    order_.batch_size = batch_size;
    order_.seed = seed;
  }
  data::BatchMaker& train_batches() override { return *train_set_; }
  std::unique_ptr<data::BatchOrder> train_order() const override {
    return std::make_unique<data::UniformOrder>(order_);
  }
  const data::LoaderConfig& loader_config() const override { return loader_; }
  std::unique_ptr<data::BatchMaker> eval_batches(const std::string& split) override {
    if (split != "val") bad_input("there is no split '{}', expected val", split);
    return std::make_unique<FakeSamples>(eval_samples, false, false, -1);
  }
  Tensor logits(const data::Batch& batch, const ForwardContext& c) const {
    const Tensor x = dropout(batch.at("x").to(c.device), drop, c.key("drop"), c.sample0, c.training);
    return linear(x, *weight_, *bias_);
  }
  Tensor loss(const data::Batch& batch, const ForwardContext& c, double normalizer) override {
    CrossEntropyOptions options;
    options.label_smoothing = smoothing;
    options.normalizer = normalizer;
    Tensor x = logits(batch, c);
    bool huge = false;
    if (huge_sample >= 0) {
      const auto ids = batch.at("sample_ids").to_vector<int64_t>();  // waits for the device
      huge = std::find(ids.begin(), ids.end(), huge_sample) != ids.end();
    }
    if (infinite_gradient || huge) {
      const double value = huge ? 3e38 : std::numeric_limits<double>::infinity();
      x = record("poison", x.clone(), {x, *bias_}, [b = *bias_, value](Tensor dy, GradOut& out) {
        out.give(0, dy);
        out.give(1, Tensor::full(b.shape(), value, DType::f32, b.device()));
      });
    }
    return cross_entropy(x, batch.at(soft ? "targets" : "labels"), options);
  }

  class FakeEvaluation : public Evaluation {
   public:
    explicit FakeEvaluation(FakeTask& task) : task_(task) {}
    void add(const data::Batch& batch, int64_t real, const ForwardContext& c) override {
      if (task_.before_eval_batch) task_.before_eval_batch();
      const auto losses =
          cross_entropy_per_row(task_.logits(batch, c).to(Device{}), batch.at("labels")).to_vector<double>();
      for (int64_t i = 0; i < real; ++i) sum_ += losses[static_cast<size_t>(i)], count_ += 1;
    }
    Metrics result() const override { return {{"loss", sum_ / count_}}; }

   private:
    FakeTask& task_;
    double sum_ = 0, count_ = 0;
  };
  std::unique_ptr<Evaluation> evaluation() override { return std::make_unique<FakeEvaluation>(*this); }
  std::pair<std::string, bool> primary_metric() const override { return {"loss", false}; }
  std::vector<std::pair<std::string, Tensor>> coefficients() const override { return {{"layer.0.wK", *bias_}}; }
  double forward_flops() const override { return 2.0 * kFeatures * kClasses; }
  std::string data_fingerprint() const override { return fmt::format("fake {} version {}", samples, version); }
  std::string data_summary() const override { return fmt::format("{} samples", samples); }
  void show(const data::Batch&, const std::string&) override {}

  int64_t samples = 44, eval_samples = 13, nan_sample = -1, huge_sample = -1, version = 1;
  double drop = 0, smoothing = 0;
  bool soft = false, infinite_gradient = false;
  std::function<void()> before_eval_batch;

 private:
  Param weight_, bias_;
  std::unique_ptr<FakeSamples> train_set_;
  data::UniformOrderOptions order_;
  data::LoaderConfig loader_;
};

inline const config::Registry<Task>& fake_registry() {
  static const auto registry = [] {
    config::Registry<Task> r("task");
    r.add<FakeTask>("fake", "Numbers.");
    return r;
  }();
  return registry;
}

// 44 samples: 5 batches of 8 an epoch, steps of 2, 2 and 1 batches.
constexpr const char* kFakeConfig = R"(
task: fake
drop: 0.2
optimizer: {name: adamw, lr: 0.02}
schedule: {name: cosine, warmup_steps: 3}
train: {epochs: 4, batch_size: 8, accumulate: 2, log_every: 1, clip_norm: 1.0, ema: {decay: 0.8}}
eval: {ema: true}
seed: 3
)";

inline std::unique_ptr<RunConfig> fake_config(const std::vector<std::string>& overrides = {},
                                              const std::string& yaml = kFakeConfig) {
  auto config = std::make_unique<RunConfig>(fake_registry());
  config::load_text(*config, yaml, "text", overrides);
  return config;
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

// A copy of everything in the snapshot on the CPU, as read back from a checkpoint.
inline LoadedCheckpoint copy_of(const Snapshot& s) {
  LoadedCheckpoint c;
  c.directory = "memory";
  c.position = s.position;
  for (const auto& [name, t] : s.model) c.model[name] = t.clone().to(Device{});
  for (const auto& [name, t] : s.optimizer) c.optimizer[name] = t.clone().to(Device{});
  for (const auto& [name, t] : s.ema) c.ema[name] = t.clone().to(Device{});
  return c;
}

inline std::string message_of(const std::function<void()>& body, ExitCode code = kExitBadInput) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(e.exit_code(), code) << e.message();
    return e.message();
  }
  ADD_FAILURE() << "no error";
  return "";
}

}  // namespace gfsa::train
