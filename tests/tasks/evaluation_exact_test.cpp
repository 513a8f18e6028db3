// Figures of an evaluation are the same bits for every batch size, number of workers and size of the data.
#include <gmock/gmock.h>

#include "tasks/tiny_run.h"
#include "train/evaluate.h"
#include "train/session.h"

namespace gfsa::tasks {
namespace {

struct Figures {
  train::Metrics metrics;
  std::vector<double> losses;  // of each sample
  std::vector<int64_t> predicted;
  bool operator==(const Figures&) const = default;
};

class EvaluationExact : public testing::TestWithParam<std::tuple<std::string, int64_t>> {
 protected:
  EvaluationExact() : config_(task_registry()) {
    const auto& [precision, samples] = GetParam();
    config::load_text(config_, kTinyConfig, "text",
                      {"precision=" + precision, fmt::format("data.val_size={}", samples), "data.prefetch=3"});
    train::apply_machine_settings(config_);
    config_.task->build(store_, 0, 32);
    store_.materialize(1);
    for (const auto& p : store_.parameters()) {  // predictions that differ from picture to picture
      if (p.shape.rank() < 2) continue;
      float* values = p.value.data<float>();
      for (int64_t i = 0; i < p.shape.numel(); ++i) values[i] *= 4;
    }
  }

  Figures figures(int64_t batch_size, int workers) {
    task().data().loader.workers = workers;
    const auto batches = config_.task->eval_batches("val");
    const auto run = train::evaluate(*config_.task, *batches, batch_size, config_.evaluation_context());
    Figures f{run.metrics, {}, {}};
    for (const auto& s : dynamic_cast<const ImageEvaluation&>(*run.evaluation).samples()) {
      f.losses.push_back(s.loss);
      f.predicted.push_back(s.predicted);
    }
    EXPECT_EQ(run.samples, std::get<1>(GetParam()));
    return f;
  }
  ImageClassification& task() { return dynamic_cast<ImageClassification&>(*config_.task); }

  ParameterStore store_;
  train::RunConfig config_;
};

TEST_P(EvaluationExact, ForEveryBatchSizeAndNumberOfWorkers) {
  const Figures expected = figures(64, 1);
  ASSERT_EQ(expected.metrics.size(), 3u);
  ASSERT_EQ(expected.losses.size(), static_cast<size_t>(std::get<1>(GetParam())));
  for (int64_t batch_size = 1; batch_size <= 64; ++batch_size) {
    const int workers = static_cast<int>(batch_size % 5);
    ASSERT_EQ(figures(batch_size, workers), expected) << batch_size << " samples, " << workers << " workers";
  }
  for (int workers = 0; workers <= 4; ++workers) {
    for (const int64_t batch_size : {1, 32, 33, 1000}) {
      ASSERT_EQ(figures(batch_size, workers), expected) << batch_size << " samples, " << workers << " workers";
    }
  }
}

TEST_P(EvaluationExact, WhatComesAfterASampleDoesNotChangeIt) {
  const Figures all = figures(32, 1);
  const auto samples = std::get<1>(GetParam());
  for (const int64_t fewer : {samples - 1, samples / 2 + 1, int64_t{1}}) {
    if (fewer < 1) continue;
    train::RunConfig shorter(task_registry());
    config::load_text(shorter, config::print_config(config_), "text", {fmt::format("data.val_size={}", fewer)});
    ParameterStore store;
    shorter.task->build(store, 0, 32);
    store.materialize(1);
    store.flat_values().copy_from(store_.flat_values());
    const auto batches = shorter.task->eval_batches("val");
    const auto run = train::evaluate(*shorter.task, *batches, 32, shorter.evaluation_context());
    const auto& some = dynamic_cast<const ImageEvaluation&>(*run.evaluation).samples();
    ASSERT_EQ(some.size(), static_cast<size_t>(fewer));
    for (size_t i = 0; i < some.size(); ++i) ASSERT_EQ(some[i].loss, all.losses[i]) << i << " of " << fewer;
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, EvaluationExact,
                         testing::Combine(testing::Values("f32", "bf16"), testing::Values(1, 37, 61)),
                         [](const auto& i) {
                           return fmt::format("{}_{}", std::get<0>(i.param), std::get<1>(i.param));
                         });

}  // namespace
}  // namespace gfsa::tasks
