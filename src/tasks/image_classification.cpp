#include "tasks/image_classification.h"

#include <algorithm>

#include "base/error.h"
#include "base/strings.h"
#include "data/image/show_batch.h"
#include "ops/cross_entropy.h"
#include "tasks/class_table.h"
#include "tasks/diagnosis.h"
#include "tasks/estimates.h"
#include "tasks/forward_blocks.h"
#include "tasks/prediction.h"

namespace gfsa::tasks {
namespace {

// What all pictures take once they are decoded, judged by some of them.
uint64_t decoded_bytes(const data::ImageSource& source) {
  constexpr int64_t kLookedAt = 8;
  const int64_t n = source.size(), looked_at = std::min(n, kLookedAt);
  double bytes = 0;
  for (int64_t i = 0; i < looked_at; ++i) {
    try {
      bytes += static_cast<double>(source.get(i * n / looked_at).bytes()) + sizeof(data::ImageSample);
    } catch (const Error&) {
      return UINT64_MAX;  // a broken picture: training will tell
    }
  }
  return looked_at == 0 ? 0 : static_cast<uint64_t>(bytes / static_cast<double>(looked_at) * static_cast<double>(n));
}

}  // namespace

void ImageEvaluation::add(const data::Batch& batch, int64_t real, const ForwardContext& c) {
  const Tensor logits = forward_in_blocks(model_, batch.at("images"), classes_, c);  // [B, classes]
  const Tensor& labels = batch.at("labels");
  const auto losses = cross_entropy_per_row(logits, labels).to_vector<double>();
  const auto scores = logits.to_vector<double>();
  const auto truth = labels.to_vector<int64_t>();
  const int64_t classes = logits.dim(1);
  for (int64_t i = 0; i < real; ++i) {
    const double* row = scores.data() + i * classes;
    const int64_t label = truth[static_cast<size_t>(i)];
    Sample s{label, std::max_element(row, row + classes) - row, false, losses[static_cast<size_t>(i)]};
    // Ties count against the label, so that a model that says the same of every class scores nothing.
    const auto better = std::count_if(row, row + classes, [&](double x) { return x >= row[label]; }) - 1;
    s.in_top5 = better >= 0 && better < 5;  // -1: the logit is not a number
    samples_.push_back(s);
  }
}

train::Metrics ImageEvaluation::result() const {
  double loss = 0, top1 = 0, top5 = 0;
  for (const Sample& s : samples_) {
    loss += s.loss;
    top1 += s.predicted == s.label;
    top5 += s.in_top5;
  }
  const auto n = static_cast<double>(samples_.size());
  return {{"top1", 100 * top1 / n}, {"top5", 100 * top5 / n}, {"loss", loss / n}};
}

std::vector<train::Figure> ImageEvaluation::image_figures(const std::vector<Sample>& samples) {
  int64_t top1 = 0, top5 = 0;
  std::vector<double> losses;
  for (const Sample& s : samples) {
    top1 += s.predicted == s.label;
    top5 += s.in_top5;
    losses.push_back(s.loss);
  }
  const auto n = static_cast<int64_t>(samples.size());
  return {{"top1", "top-1", wilson_interval(top1, n), "Wilson", 2, "%"},
          {"top5", "top-5", wilson_interval(top5, n), "Wilson", 2, "%"},
          {"loss", "loss", mean_interval(losses), "normal"}};
}

std::unique_ptr<train::EvaluationDetails> ImageEvaluation::image_details(const std::vector<Sample>& samples,
                                                                         const std::vector<std::string>& class_names,
                                                                         int64_t classes) {
  std::vector<std::pair<int64_t, int64_t>> pairs;
  for (const Sample& s : samples) pairs.emplace_back(s.label, s.predicted);
  return std::make_unique<ClassTable>(pairs, class_names, classes, std::pair{"top1", "top-1"});
}

ImageClassification::ImageClassification() : model_config_(image_model_registry().make("vit")) {}

void ImageClassification::describe(config::Schema& s) {
  s.section("model", model_config_, image_model_registry(), "The network.");
  s.section("attention", attention_, "The one switch between plain attention and its filters.");
  s.check(model_config_->has_attention() || attention_.is_softmax(), "attention",
          fmt::format("the model '{}' has no attention to filter; leave the section out",
                      image_model_registry().name_of(*model_config_)));
  s.section("data", data_, "Where the pictures come from and how they are loaded.");
  s.section("augment", augment_, "What happens to pictures between decoding and the model.");
  s.field("resize_position_embedding", resize_position_embedding_)
      .doc("Let init_from and checkpoints have position embeddings of another image size; they are resized (bicubic).");
}

data::ImageDatasetOptions ImageClassification::dataset_options(bool train) const {
  data::ImageDatasetOptions options;
  options.train = train;
  options.image_size = static_cast<int>(model_config_->image_size());
  options.channels = static_cast<int>(model_config_->channels());
  options.seed = seed_;
  options.cache_bytes = data_.cache_mb << 20;
  options.classes = model_config_->classes();
  return options;
}

void ImageClassification::build(ParameterStore& store, uint64_t seed, int64_t batch_size) {
  seed_ = seed;
  batch_size_ = batch_size;
  train_source_ = data_.open_train();
  val_source_ = data_.open_val();
  data::check_same_classes(*train_source_, *val_source_);
  class_names_ = train_source_->class_names();
  const auto classes = static_cast<int64_t>(class_names_.size());
  if (model_config_->classes() == 0) model_config_->set_classes(classes);
  if (model_config_->classes() < classes) {
    bad_input("model.classes: is {}, expected at least {}, the number of classes in the data (or leave it out)",
              model_config_->classes(), classes);
  }
  train_set_ = std::make_unique<data::ImageDataset>(train_source_, augment_, dataset_options(true));
  model_ = model_config_->build(Scope(store), attention_);
}

void ImageClassification::build_model(ParameterStore& store, const train::StoredWeights& weights) {
  if (model_config_->classes() == 0) {
    const auto head = weights.tensors.find("head.weight");
    if (head == weights.tensors.end() || head->second.rank() != 2) {
      bad_input("{}: has no matrix head.weight to count the classes in; give model.classes=N", weights.source);
    }
    model_config_->set_classes(head->second.dim(0));
  }
  model_ = model_config_->build(Scope(store), attention_);
}

std::unique_ptr<data::BatchOrder> ImageClassification::train_order() const {
  data::UniformOrderOptions options;
  options.samples = train_source_->size();
  options.batch_size = batch_size_;
  options.seed = seed_;
  options.repeats = augment_.repeated;
  return std::make_unique<data::UniformOrder>(options);
}

uint64_t ImageClassification::cache_bytes() const {
  // Both splits have a cache of their own; pictures that the source holds decoded are in neither.
  uint64_t bytes = 0;
  for (const auto& source : {train_source_, val_source_}) {
    if (data_.cache_mb > 0 && !source->is_decoded()) {
      bytes += std::min(static_cast<uint64_t>(data_.cache_mb) << 20, decoded_bytes(*source));
    }
  }
  return bytes;
}

std::unique_ptr<data::BatchMaker> ImageClassification::eval_batches(const std::string& split) {
  // "train" and "val" are what the configuration takes for them, whatever the source calls it.
  std::shared_ptr<const data::ImageSource> source;
  if (split == "val" || split == data_.val_split) {
    source = val_source_ ? val_source_ : data_.open_val();
  } else if (split == "train" || split == data_.train_split) {
    source = train_source_ ? train_source_ : data_.open_train();
  } else {
    source = data_.open(split);
  }
  if (class_names_.empty()) class_names_ = source->class_names();
  return std::make_unique<data::ImageDataset>(source, augment_, dataset_options(false));
}

Tensor ImageClassification::loss(const data::Batch& batch, const ForwardContext& c, double normalizer) {
  CrossEntropyOptions options;
  options.normalizer = normalizer;
  const Tensor logits = model_->forward(batch.at("images"), c);
  return cross_entropy(logits, batch.has("targets") ? batch.at("targets") : batch.at("labels"), options);
}

std::unique_ptr<train::Evaluation> ImageClassification::evaluation() {
  return std::make_unique<ImageEvaluation>(*model_, model_config_->classes(), class_names_);
}

ParameterStore::LoadOptions ImageClassification::load_options() const {
  ParameterStore::LoadOptions options;
  if (resize_position_embedding_) {
    options.adapt = [this](const Parameter& wanted, const Tensor& stored) { return model_->adapt(wanted, stored); };
  }
  return options;
}

int64_t ImageClassification::evaluation_block() const { return kForwardBlock; }

std::vector<std::string> ImageClassification::report(Device device) const {
  return {"attention in training: " + attention_.choice(device.type, true).text()};
}

std::string ImageClassification::data_summary() const {
  return fmt::format("{} + {} pictures of {} classes", human_count(train_source_->size()),
                     human_count(val_source_->size()), class_names_.size());
}

void ImageClassification::show(const data::Batch& batch, const std::string& png_path) {
  data::show_batch(Env::real(), batch, class_names_, augment_, png_path);
}

std::string ImageClassification::model_text() const {
  return fmt::format("{}, depth {}", image_model_registry().name_of(*model_config_), model_->depth());
}

std::string ImageClassification::predict(const train::PredictRequest& request, const ForwardContext& c, Env& env) {
  if (!request.output.ends_with(".safetensors")) {
    bad_input("--predict: --output must name a .safetensors file for the logits");
  }
  return fmt::format("{}: logits of {} pictures", request.output, predict_file(*this, request, c, env));
}

std::vector<std::string> ImageClassification::diagnose(const std::string& split, int64_t samples,
                                                       const std::string& folder, const ForwardContext& c, Env& env) {
  const auto batches = eval_batches(split);
  const Diagnosis d = tasks::diagnose(*model_, sample_images(*batches, samples), c,
                                      "model " + image_model_registry().name_of(*model_config_));
  return save_diagnosis(env, folder, d, coefficients());
}

void register_image_classification(config::Registry<train::Task>& registry) {
  registry.add<ImageClassification>("image_classification", "Pictures to classes; cross entropy, top-1 and top-5.");
}

}  // namespace gfsa::tasks
