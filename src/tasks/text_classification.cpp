#include "tasks/text_classification.h"

#include <algorithm>
#include <cmath>

#include "autograd/autograd.h"
#include "base/error.h"
#include "base/strings.h"
#include "data/text/length_order.h"
#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "tasks/class_table.h"
#include "tasks/estimates.h"
#include "tasks/forward_blocks.h"
#include "train/evaluate.h"

namespace gfsa::tasks {
namespace {

// Rows begin .. begin + kForwardBlock - 1 of [B, N], the first `length` columns; rows from `real` on repeat the last
// one.
Tensor block_of(const Tensor& x, int64_t begin, int64_t real, int64_t length) {
  const bool matrix = x.rank() == 2;
  const Tensor out = Tensor::empty(matrix ? Shape{kForwardBlock, length} : Shape{kForwardBlock}, DType::i64);
  for (int64_t i = 0; i < kForwardBlock; ++i) {
    const int64_t row = std::min(begin + i, real - 1), width = matrix ? length : 1;
    std::copy_n(x.data<int64_t>() + row * (matrix ? x.dim(1) : 1), width, out.data<int64_t>() + i * width);
  }
  return out;
}

}  // namespace

Tensor classify_in_blocks(const TextModel& model, const data::Batch& batch, int64_t classes, int64_t real,
                          const ForwardContext& c) {
  const Tensor logits = Tensor::empty({real, classes}, DType::f32);
  const auto* lengths = batch.at("lengths").data<int64_t>();
  for (int64_t begin = 0; begin < real; begin += kForwardBlock) {
    const int64_t count = std::min(real - begin, kForwardBlock);
    const int64_t longest = *std::max_element(lengths + begin, lengths + begin + count);
    TextInputs in;
    in.ids = block_of(batch.at("ids"), begin, real, longest).to(c.device);
    in.lengths = block_of(batch.at("lengths"), begin, real, longest).to(c.device);
    if (batch.has("segments")) in.segments = block_of(batch.at("segments"), begin, real, longest).to(c.device);
    logits.slice(0, begin, begin + count).copy_from(model.forward(in, c).slice(0, 0, count));
  }
  return logits;
}

void TextEvaluation::add(const data::Batch& batch, int64_t real, const ForwardContext& c) {
  if (!batch.has("labels")) {
    bad_input(
        "this split has no labels, so there is nothing to evaluate; predict it: --predict SPLIT --output FILE.tsv");
  }
  const Tensor logits = classify_in_blocks(*setup_.model, batch, setup_.classes, real, c);
  const auto scores = logits.to_vector<double>();
  const Tensor labels = batch.at("labels").slice(0, 0, real);
  if (setup_.classes == 1) {
    const auto truth = labels.to_vector<double>();
    for (size_t i = 0; i < truth.size(); ++i) {
      truth_.push_back(truth[i]);
      predicted_.push_back(scores[i]);
      losses_.push_back((scores[i] - truth[i]) * (scores[i] - truth[i]));
    }
    return;
  }
  const auto losses = cross_entropy_per_row(logits, labels).to_vector<double>();
  const auto truth = labels.to_vector<int64_t>();
  losses_.insert(losses_.end(), losses.begin(), losses.end());
  for (int64_t i = 0; i < real; ++i) {
    const double* row = scores.data() + i * setup_.classes;
    pairs_.push_back({truth[static_cast<size_t>(i)], std::max_element(row, row + setup_.classes) - row});
  }
}

train::Metrics TextEvaluation::result() const {
  train::Metrics out;
  for (const auto& name : setup_.metrics) {
    out.emplace_back(name,
                     setup_.classes == 1 ? regression_metric(name, truth_, predicted_) : class_metric(name, pairs_));
  }
  double loss = 0;
  for (const double l : losses_) loss += l;
  out.emplace_back("loss", loss / static_cast<double>(losses_.size()));
  return out;
}

std::vector<train::Figure> TextEvaluation::figures() const {
  std::vector<train::Figure> out;
  for (const auto& name : setup_.metrics) {
    out.push_back(setup_.classes == 1 ? regression_figure(name, truth_, predicted_) : class_figure(name, pairs_));
  }
  out.push_back({"loss", setup_.classes == 1 ? "squared error" : "loss", mean_interval(losses_), "normal"});
  return out;
}

std::unique_ptr<train::EvaluationDetails> TextEvaluation::details() const {
  if (setup_.classes == 1) return nullptr;
  std::vector<std::pair<int64_t, int64_t>> pairs;
  for (const auto& p : pairs_) pairs.emplace_back(p.truth, p.predicted);
  return std::make_unique<ClassTable>(pairs, setup_.class_names, setup_.classes, std::pair{"accuracy", "accuracy"});
}

void TextClassification::describe(config::Schema& s) {
  setup_.describe(s);
  s.section("data", data_, "Where the texts come from and how batches are made of them.");
  auto names = class_metrics();
  names.insert(names.begin(), "auto");
  names.insert(names.end(), regression_metrics().begin(), regression_metrics().end());
  s.field("metric", metric_)
      .choices(names)
      .doc(
          "What decides about the best checkpoint. auto: what the data set is judged by (GLUE: as in arXiv 2312.04234, "
          "table 1), else accuracy, or Pearson's correlation.");
  const bool regression = data_.source && data_.source->label_names().empty();
  const auto& fitting = regression ? regression_metrics() : class_metrics();
  s.check(metric_ == "auto" || !data_.source || std::find(fitting.begin(), fitting.end(), metric_) != fitting.end(),
          "metric", fmt::format("is of {}; here it can be {}", regression ? "classes" : "numbers", one_of(fitting)));
}

int64_t TextClassification::classes() const {
  return std::max<int64_t>(1, static_cast<int64_t>(data_.source->label_names().size()));
}

std::vector<std::string> TextClassification::metrics() const {
  const int64_t n = data_.source ? classes() : 2;
  std::vector<std::string> out{metric_ != "auto" ? metric_
                               : data_.source    ? data_.source->primary_metric()
                                                 : "accuracy"};
  const std::vector<std::string> usual = n == 1   ? regression_metrics()
                                         : n == 2 ? std::vector<std::string>{"accuracy", "f1", "matthews"}
                                                  : std::vector<std::string>{"accuracy", "macro_f1"};
  for (const auto& name : usual) {
    if (name != out[0]) out.push_back(name);
  }
  return out;
}

data::TextDataset::Options TextClassification::dataset_options(bool train) const {
  return {.max_length = data_.max_length, .packed = train && data_.packed(), .pad_id = setup_.pad_token()};
}

void TextClassification::build(ParameterStore& store, uint64_t seed, int64_t batch_size) {
  seed_ = seed;
  batch_size_ = batch_size;
  const auto train = data_.open_train();
  if (!train->is_labelled()) bad_input("data.train_split: '{}' has no labels to train on", data_.train_split);
  val_size_ = data_.open_val()->size();
  class_names_ = train->class_names();
  setup_.prepare([&](const std::function<void(std::string_view)>& take) {
    for (int64_t i = 0; i < train->size(); ++i) {
      take(train->get(i).text);
      if (train->has_pairs()) take(train->get(i).pair);
    }
  });
  setup_.require_positions("data.max_length", data_.max_length);
  train_set_ = std::make_unique<data::TextDataset>(train, setup_.tokenizer(), dataset_options(true));
  setup_.build(store, classes());
}

void TextClassification::build_model(ParameterStore& store, const train::StoredWeights& weights) {
  setup_.prepare_for_weights(weights.source);
  setup_.require_positions("data.max_length", data_.max_length);
  if (!data_.source) bad_input("data.source is not set: it says how many classes there are");
  setup_.build(store, classes());
}

std::unique_ptr<data::BatchOrder> TextClassification::train_order() const {
  if (data_.order == "by_length") {
    std::vector<int64_t> lengths;
    for (int64_t i = 0; i < train_set_->size(); ++i) lengths.push_back(train_set_->texts().length(i));
    return std::make_unique<data::LengthOrder>(std::move(lengths), batch_size_, seed_);
  }
  return shuffled_order(train_set_->size());
}

std::unique_ptr<data::BatchMaker> TextClassification::eval_batches(const std::string& split) {
  auto source = data_.open(split);
  class_names_ = source->class_names();
  return std::make_unique<data::TextDataset>(std::move(source), setup_.tokenizer(), dataset_options(false));
}

Tensor TextClassification::loss(const data::Batch& batch, const ForwardContext& c, double normalizer) {
  TextInputs in = text_inputs(batch);
  in.longest = data_.max_length;
  const Tensor logits = setup_.model().forward(in, c);
  const Tensor& labels = batch.at("labels");
  if (classes() > 1) {
    CrossEntropyOptions options;
    options.normalizer = normalizer;
    return cross_entropy(logits, labels, options);
  }
  const Tensor difference = sub(reshape(cast(logits, DType::f32), labels.shape()), labels);
  return scale(sum_squares(difference), 1 / normalizer);
}

std::unique_ptr<train::Evaluation> TextClassification::evaluation() {
  return std::make_unique<TextEvaluation>(TextEvaluation::Setup{&setup_.model(), classes(), class_names_, metrics()});
}

int64_t TextClassification::evaluation_block() const { return kForwardBlock; }

double TextClassification::forward_flops() const {
  return setup_.model().forward_flops(std::llround(train_set_->texts().mean_length()), 1);
}

std::vector<std::string> TextClassification::report(Device device) const {
  auto lines = setup_.report(device);
  const auto& texts = train_set_->texts();
  lines.push_back(fmt::format("texts: {:.1f} tokens on average, {} at most; batches are {}", texts.mean_length(),
                              texts.length(texts.longest()), data_.packed() ? "packed" : "padded"));
  return lines;
}

std::string TextClassification::data_summary() const {
  return fmt::format("{} + {} {} of {}", human_count(train_set_->size()), human_count(val_size_),
                     train_set_->source().has_pairs() ? "pairs" : "texts",
                     classes() == 1 ? "one number" : fmt::format("{} classes", classes()));
}

void TextClassification::show(const data::Batch& batch, const std::string& path) {
  std::string out;
  const auto ids = batch.at("sample_ids").to_vector<int64_t>();
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto tokens = train_set_->texts().ids(ids[i]);
    const auto& sample = train_set_->source().get(ids[i]);
    out +=
        fmt::format("{}\t{}\t{}\n", train_set_->sample_name(ids[i]),
                    classes() == 1 ? fmt::format("{}", sample.score) : class_names_[static_cast<size_t>(sample.label)],
                    setup_.tokenizer().decode({tokens.begin(), tokens.end()}, false));
  }
  Env::real().write(path, out);
}

std::string TextClassification::predict(const train::PredictRequest& request, const ForwardContext& c, Env& env) {
  const NoGrad guard;
  if (!request.output.ends_with(".tsv")) bad_input("--predict: --output must name a .tsv file, as GLUE wants them");
  const auto source = data_.open(request.input);
  data::TextDataset set(source, setup_.tokenizer(), dataset_options(false));
  data::UniformOrderOptions options;
  options.samples = set.size();
  options.batch_size = (request.batch_size + kForwardBlock - 1) / kForwardBlock * kForwardBlock;
  options.shuffle = options.drop_last = options.even = false;
  const data::UniformOrder order(options);
  data::Loader loader(set, order, data_.loader, {}, 1);
  const auto labels = data_.source->label_names();
  const auto [low, high] = data_.source->score_range();
  std::string out = "index\tprediction\n";
  int64_t done = 0;
  while (const auto batch = loader.next()) {
    const auto scores = classify_in_blocks(setup_.model(), *batch, classes(), batch->size, c).to_vector<double>();
    for (int64_t i = 0; i < batch->size; ++i, ++done) {
      const double* row = scores.data() + i * classes();
      const std::string text = labels.empty() ? fmt::format("{:.3f}", std::clamp(*row, low, high))
                                              : labels[std::max_element(row, row + classes()) - row];
      out += fmt::format("{}\t{}\n", source->get(done).id, text);
    }
  }
  env.write(request.output, out);
  return fmt::format("{}: predictions of {} texts", request.output, human_count(done));
}

void register_text_classification(config::Registry<train::Task>& registry) {
  registry.add<TextClassification>("text_classification",
                                   "Texts or pairs of texts to a class or a number: GLUE, tables of your own.");
}

}  // namespace gfsa::tasks
