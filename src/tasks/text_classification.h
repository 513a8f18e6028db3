// text_classification.h -- texts or pairs of texts to a class or a number: GLUE and tables of the user's.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/text/text_data_config.h"
#include "data/text/text_dataset.h"
#include "tasks/text_metrics.h"
#include "tasks/text_task.h"

namespace gfsa::tasks {

// Logits [B, classes] of a batch of padded texts (data/text/text_dataset.h), f32 on the CPU. Computed in whole blocks
// of kForwardBlock texts, each as long as its longest; a last one that is not full is filled up with copies of its last
// text (forward_blocks.h says why). The first text of the batch must be the first of a block.
Tensor classify_in_blocks(const TextModel& model, const data::Batch& batch, int64_t classes, int64_t real,
                          const ForwardContext& c);

// Per sample, in the order of evaluation.
class TextEvaluation : public train::Evaluation {
 public:
  struct Setup {
    const TextModel* model = nullptr;
    int64_t classes = 1;  // 1: regression
    std::vector<std::string> class_names;
    std::vector<std::string> metrics;  // the primary one first
  };
  explicit TextEvaluation(Setup setup) : setup_(std::move(setup)) {}
  void add(const data::Batch& batch, int64_t real, const ForwardContext& c) override;
  train::Metrics result() const override;  // the metrics, loss
  std::vector<train::Figure> figures() const override;
  std::unique_ptr<train::EvaluationDetails> details() const override;

 private:
  Setup setup_;
  std::vector<ClassPair> pairs_;
  std::vector<double> truth_, predicted_, losses_;
};

class TextClassification : public TextTask {
 public:
  TextClassification() : TextTask("bert", TextHead::classification) {}

  void describe(config::Schema& s) override;
  void build(ParameterStore& store, uint64_t seed, int64_t batch_size) override;
  void build_model(ParameterStore& store, const train::StoredWeights& weights) override;
  data::BatchMaker& train_batches() override { return *train_set_; }
  std::unique_ptr<data::BatchOrder> train_order() const override;
  const data::LoaderConfig& loader_config() const override { return data_.loader; }
  std::unique_ptr<data::BatchMaker> eval_batches(const std::string& split) override;
  Tensor loss(const data::Batch& batch, const ForwardContext& c, double normalizer) override;
  std::unique_ptr<train::Evaluation> evaluation() override;
  int64_t evaluation_block() const override;
  std::pair<std::string, bool> primary_metric() const override { return {metrics().front(), true}; }
  double forward_flops() const override;
  std::vector<std::string> report(Device device) const override;
  std::string data_fingerprint() const override { return train_set_->source().fingerprint(); }
  std::string data_summary() const override;
  void show(const data::Batch& batch, const std::string& path) override;
  // From a split's name or a table to GLUE's submission format: a heading `index<tab>prediction` and a line a sample.
  std::string predict(const train::PredictRequest& request, const ForwardContext& c, Env& env) override;

 private:
  int64_t classes() const;
  std::vector<std::string> metrics() const;  // the primary one first
  data::TextDataset::Options dataset_options(bool train) const;

  data::TextDataConfig data_;
  std::string metric_ = "auto";

  std::unique_ptr<data::TextDataset> train_set_;
  int64_t val_size_ = 0;
  std::vector<std::string> class_names_;
};

}  // namespace gfsa::tasks
