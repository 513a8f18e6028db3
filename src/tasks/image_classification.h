// image_classification.h -- images to one of many classes: cross entropy, top-1 and top-5.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "attention/attention_config.h"
#include "data/image/augment_config.h"
#include "data/image/data_config.h"
#include "data/image/image_dataset.h"
#include "models/image_model.h"
#include "train/task.h"

namespace gfsa::tasks {

// Per sample, in the order of evaluation.
class ImageEvaluation : public train::Evaluation {
 public:
  struct Sample {
    int64_t label, predicted;
    bool in_top5;
    double loss;
  };
  ImageEvaluation(const ImageModel& model, int64_t classes, std::vector<std::string> class_names)
      : model_(model), classes_(classes), class_names_(std::move(class_names)) {}
  void add(const data::Batch& batch, int64_t real, const ForwardContext& c) override;
  train::Metrics result() const override;  // top1, top5 in percent; loss
  std::vector<train::Figure> figures() const override { return image_figures(samples_); }
  std::unique_ptr<train::EvaluationDetails> details() const override {
    return image_details(samples_, class_names_, classes_);
  }
  const std::vector<Sample>& samples() const { return samples_; }

  // At least one sample.
  static std::vector<train::Figure> image_figures(const std::vector<Sample>& samples);
  static std::unique_ptr<train::EvaluationDetails> image_details(const std::vector<Sample>& samples,
                                                                 const std::vector<std::string>& class_names,
                                                                 int64_t classes);

 private:
  const ImageModel& model_;
  int64_t classes_;
  std::vector<std::string> class_names_;
  std::vector<Sample> samples_;
};

class ImageClassification : public train::Task {
 public:
  ImageClassification();

  void describe(config::Schema& s) override;
  void build(ParameterStore& store, uint64_t seed, int64_t batch_size) override;
  void build_model(ParameterStore& store, const train::StoredWeights& weights) override;
  data::BatchMaker& train_batches() override { return *train_set_; }
  std::unique_ptr<data::BatchOrder> train_order() const override;
  const data::LoaderConfig& loader_config() const override { return data_.loader; }
  uint64_t cache_bytes() const override;
  std::unique_ptr<data::BatchMaker> eval_batches(const std::string& split) override;
  Tensor loss(const data::Batch& batch, const ForwardContext& c, double normalizer) override;
  std::unique_ptr<train::Evaluation> evaluation() override;
  int64_t evaluation_block() const override;
  std::pair<std::string, bool> primary_metric() const override { return {"top1", true}; }
  ParameterStore::LoadOptions load_options() const override;
  std::vector<std::pair<std::string, Tensor>> coefficients() const override { return model_->coefficients(); }
  double forward_flops() const override { return model_->forward_flops(); }
  std::vector<std::string> report(Device device) const override;
  std::string data_fingerprint() const override { return train_source_->fingerprint(); }
  std::string data_summary() const override;
  void show(const data::Batch& batch, const std::string& png_path) override;
  std::string model_text() const override;
  std::string attention_text() const override { return attention_.text(); }
  std::string predict(const train::PredictRequest& request, const ForwardContext& c, Env& env) override;
  std::vector<std::string> diagnose(const std::string& split, int64_t samples, const std::string& folder,
                                    const ForwardContext& c, Env& env) override;

  const ImageModel& model() const { return *model_; }
  const ImageModelConfig& model_config() const { return *model_config_; }
  ImageModelConfig& model_config() { return *model_config_; }
  const std::vector<std::string>& class_names() const { return class_names_; }
  data::ImageDataConfig& data() { return data_; }

 private:
  data::ImageDatasetOptions dataset_options(bool train) const;

  std::unique_ptr<ImageModelConfig> model_config_;
  AttentionConfig attention_;
  data::ImageDataConfig data_;
  data::AugmentConfig augment_;
  bool resize_position_embedding_ = false;

  std::unique_ptr<ImageModel> model_;
  std::shared_ptr<const data::ImageSource> train_source_, val_source_;
  std::unique_ptr<data::ImageDataset> train_set_;
  std::vector<std::string> class_names_;
  uint64_t seed_ = 0;
  int64_t batch_size_ = 1;
};

}  // namespace gfsa::tasks
