// The examples of docs/adding.md, built as they stand there: each alone, then those of pictures in one training, and
// those of texts in another.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "autograd/autograd.h"
#include "config/reader.h"
#include "data/image/image_dataset.h"
#include "data/loader/loader.h"
#include "data/text/text_dataset.h"
#include "meta/examples/squared_relu.h"
#include "models/image_model.h"
#include "models/text_model.h"
#include "ops/cross_entropy.h"
#include "optim/optimizer_config.h"
#include "optim/parameter_groups.h"
#include "support/op_case.h"
#include "tasks/text_setup.h"
#include "tokenizers/train.h"

namespace gfsa {

// What registry.cpp would call.
void register_twicing(config::Registry<FilterConfig>& registry);
void register_parallel_vit(config::Registry<ImageModelConfig>& registry);
void register_prenorm_roberta(config::Registry<TextModelConfig>& registry);
namespace data {
void register_stripes(config::Registry<ImageSourceConfig>& registry);
void register_brackets(config::Registry<TextSourceConfig>& registry);
}  // namespace data

namespace test {
namespace {

template <class Base>
config::Registry<Base> registry_of(const char* what, void (*add)(config::Registry<Base>&)) {
  config::Registry<Base> registry(what);
  add(registry);
  return registry;
}

struct ExampleConfig {
  config::Registry<FilterConfig> filters = registry_of("attention variant", register_twicing);
  config::Registry<ImageModelConfig> models = registry_of("model", register_parallel_vit);
  config::Registry<data::ImageSourceConfig> sources = registry_of("image source", data::register_stripes);
  std::unique_ptr<ImageModelConfig> model;
  std::unique_ptr<FilterConfig> filter;
  std::unique_ptr<data::ImageSourceConfig> source;
  OptimizerConfig optimizer;
  void describe(config::Schema& s) {
    s.section("model", model, models, "Model.");
    s.section("attention", filter, filters, "Filter.");
    s.section("data", source, sources, "Data.");
    s.section("optimizer", optimizer, "Update rule.");
  }
};

constexpr const char* kYaml =
    "model: {name: parallel_vit, width: 32, heads: 2, depth: 2, patch: 8}\n"
    "attention: {name: twicing, strength_init: 0.5}\n"
    "data: {name: stripes, pictures: 256}\n"
    "optimizer: {name: adamw, lr: 3e-3}\n";

// A text model as tasks build it.
struct TextExample {
  config::Registry<TextModelConfig> models = registry_of("model", register_prenorm_roberta);
  std::unique_ptr<TextModelConfig> config;
  AttentionConfig attention;
  ParameterStore store;
  std::unique_ptr<TextModel> model;
  ForwardContext context;
  void describe(config::Schema& s) {
    s.section("model", config, models, "Model.");
    s.section("attention", attention, "Filter.");
  }

  TextExample(const std::string& attention_keys, TextHead head, const std::string& more = "depth: 2") {
    config::load_text(
        *this, fmt::format("model: {{name: prenorm_roberta, width: 16, heads: 2, mlp_width: 24, "
                           "vocabulary: 29, positions: 12, init_deviation: 0.2, dropout: 0, {}}}\nattention: {}\n",
                           more, attention_keys));
    model = config->build(Scope(store), attention, head, 3);
    store.materialize(1, DType::f64);
    context.compute = DType::f64;
  }
  std::vector<double> logits(const TextInputs& in) const {
    const NoGrad guard;
    return model->forward(in, context).to_vector<double>();
  }
  std::map<std::string, Tensor> values() const {
    std::map<std::string, Tensor> out;
    for (const Parameter& p : store.parameters()) out[p.name] = p.value.detach().clone();
    return out;
  }
};

// Texts of 5, 1 and 8 tokens: in rows of 8 or more, or side by side.
TextInputs three_texts(bool packed, int64_t width = 8) {
  std::vector<int64_t> ids, positions, offsets{0}, rows, padded(static_cast<size_t>(3 * width), 0);
  const std::vector<int64_t> lengths{5, 1, 8};
  for (int64_t b = 0; b < 3; ++b) {
    for (int64_t i = 0; i < lengths[static_cast<size_t>(b)]; ++i) {
      rows.push_back(b * width + i);
      positions.push_back(i);
      ids.push_back((7 * static_cast<int64_t>(ids.size()) + 3) % 29);
      padded[static_cast<size_t>(rows.back())] = ids.back();
    }
    offsets.push_back(static_cast<int64_t>(ids.size()));
  }
  TextInputs in;
  if (packed) {
    in.ids = Tensor::from<int64_t>({1, 14}, ids);
    in.positions = Tensor::from<int64_t>({1, 14}, positions);
    in.offsets = Tensor::from<int64_t>({4}, offsets);
  } else {
    in.ids = Tensor::from<int64_t>({3, width}, padded);
    in.lengths = Tensor::from<int64_t>({3}, lengths);
    in.rows = Tensor::from<int64_t>({14}, rows);
  }
  return in;
}

// What is in front of the blocks comes first in the order of learning rates, the head last.
void expect_layer_order(const ParameterStore& store, const std::string& first, const std::string& last, int depth) {
  const auto ids = layer_ids(store);
  for (size_t i = 0; i < ids.size(); ++i) {
    const std::string& name = store.parameters()[i].name;
    if (name.find(first) != std::string::npos) {
      EXPECT_EQ(ids[i], 0) << name;
    } else if (name.starts_with(last)) {
      EXPECT_EQ(ids[i], depth + 1) << name;
    }
  }
}

std::vector<double> plain_squared_relu(const std::vector<Array>& x) {
  std::vector<double> y;
  for (const double v : x[0].values) y.push_back(v > 0 ? v * v : 0);
  return y;
}

// 40 steps on batches of `dataset`; the loss of each.
template <class Forward>
std::vector<double> train(ParameterStore& store, Optimizer& optimizer, double lr, data::BatchMaker& dataset,
                          const data::BatchOrder& order, const Forward& forward) {
  data::Loader loader(dataset, order, {});
  std::vector<double> losses;
  for (uint64_t step = 0; step < 40; ++step) {
    const auto batch = loader.next();
    if (!batch) {
      ADD_FAILURE() << "no batch at step " << step;
      return {0};
    }
    store.clear_grads();
    ForwardContext context;
    context.training = true;
    context.step = step;
    const Tensor loss = cross_entropy(forward(*batch, context), batch->at("labels"));
    losses.push_back(loss.item());
    backward(loss);
    store.complete_grads();
    optimizer.step(lr);
  }
  return losses;
}

TEST(AddingExamples, Op) {
  for (const Shape& shape : {Shape{}, Shape{0}, Shape{31}, Shape{4, 33}}) {
    check_op({.name = "squared_relu",
              .inputs = {data(shape)},
              .op = [](auto& x) { return squared_relu(x[0]); },
              .reference = plain_squared_relu});
  }
  expect_error([] { squared_relu(Tensor::zeros({2}, DType::i64)); }, {"squared_relu", "x", "i64"});
}

TEST(AddingExamples, Filter) {
  ExampleConfig config;
  config::load_text(config, kYaml);
  ParameterStore store;
  const auto filter = config.filter->build(Scope(store, "blocks.3.attn"), 2);
  store.materialize(0);
  ASSERT_NE(store.find("blocks.3.attn.twicing.strength"), nullptr);
  EXPECT_EQ(filter->coefficients().to_vector<double>(), (std::vector<double>{0, 0, 1.5, -0.5, 0, 0, 1.5, -0.5}));
}

TEST(AddingExamples, DataSet) {
  ExampleConfig config;
  config::load_text(config, kYaml);
  const auto train = config.source->open("train"), val = config.source->open("val");
  EXPECT_EQ(train->size(), 256);
  EXPECT_EQ(val->size(), 64);
  EXPECT_EQ(train->get(5).image.rgb.size(), 3u * 32 * 32);
  EXPECT_EQ(train->get(5).image.rgb, train->get(5).image.rgb);
  EXPECT_NE(train->get(5).image.rgb, val->get(5).image.rgb);
  expect_error([&] { config.source->open("test"); }, {"'test'", "train or val"});
  const std::shared_ptr<const data::ImageSource> shared = config.source->open("train");
  const data::AugmentConfig mirrored;
  expect_error([&] { data::ImageDataset(shared, mirrored, {}); },
               {"augment.flip: is 0.5", "stripes", "augment.flip: 0"});
}

TEST(AddingExamples, TextModelReadsPaddedAndPackedTextsAlike) {
  for (const TextHead head : {TextHead::classification, TextHead::masked_lm}) {
    const TextExample example("{variant: gfsa, wK_init: 0.3}", head);
    const auto expected = example.logits(three_texts(false));
    EXPECT_EQ(expected.size(), head == TextHead::classification ? 3u * 3 : 14u * 29);
    expect_close(example.logits(three_texts(false, 12)), expected, 1e-12, "more padding");
    expect_close(example.logits(three_texts(true)), expected, 1e-12, "packed");
  }
}

TEST(AddingExamples, TextModelHasTheConfiguredAttention) {
  const auto logits = [](const char* attention) {
    return TextExample(attention, TextHead::masked_lm).logits(three_texts(true));
  };
  const auto softmax = logits("softmax"), even = logits("{variant: gfsa, wK_init: 0.3, layers: even}");
  expect_close(logits("gfsa"), softmax, 1e-12, "wK is 0");
  const auto distance = [&](const std::vector<double>& other) {
    double most = 0;
    for (size_t i = 0; i < softmax.size(); ++i) most = std::max(most, std::abs(softmax[i] - other[i]));
    return most;
  };
  EXPECT_GT(distance(even), 1e-3);
  EXPECT_NE(logits("{variant: gfsa, wK_init: 0.3}"), even);
}

TEST(AddingExamples, TextModelHasTheReferencesNames) {
  const TextExample example("gfsa", TextHead::classification, "depth: 1");
  std::set<std::string> expected{"classifier.dense", "classifier.out_proj", "roberta_prelayernorm.LayerNorm",
                                 "roberta_prelayernorm.embeddings.LayerNorm"};
  for (const char* part : {"attention.LayerNorm", "attention.self.query", "attention.self.key", "attention.self.value",
                           "attention.output.dense", "intermediate.LayerNorm", "intermediate.dense", "output.dense"})
    expected.insert(std::string("roberta_prelayernorm.encoder.layer.0.") + part);
  std::set<std::string> names;
  for (const auto& part : expected) names.insert({part + ".weight", part + ".bias"});
  for (const char* table : {"word", "position", "token_type"})
    names.insert(fmt::format("roberta_prelayernorm.embeddings.{}_embeddings.weight", table));
  const std::string filter = "roberta_prelayernorm.encoder.layer.0.attention.self.gfsa.wK";
  names.insert(filter);
  std::set<std::string> found;
  for (const Parameter& p : example.store.parameters()) found.insert(p.name);
  EXPECT_EQ(found, names);
  EXPECT_EQ(example.model->coefficients().front().first, filter);
  expect_layer_order(example.store, "embeddings", "classifier", 1);
}

// A file of the base model without its prefix, with a head that is not ours.
TEST(AddingExamples, TextModelTakesWeightsOfTheReference) {
  TextExample example("gfsa", TextHead::classification), other("softmax", TextHead::masked_lm);
  other.store.materialize(2, DType::f64);
  std::map<std::string, Tensor> file;
  const std::string prefix = "roberta_prelayernorm.";
  for (const auto& [name, value] : other.values())
    file[name.starts_with(prefix) ? name.substr(prefix.size()) : name] = value;
  file["pooler.dense.weight"] = Tensor::zeros({16, 16}, DType::f32);
  const auto before = example.values();
  example.store.load(file, "file", example.model->load_options());
  for (const Parameter& p : example.store.parameters()) {
    const Parameter* same = other.store.find(p.name);
    expect_same_bits(p.value.detach(), same != nullptr ? same->value.detach() : before.at(p.name), p.name);
  }
  file["encoder.layre.0.weight"] = Tensor::zeros({1}, DType::f32);
  expect_error([&] { example.store.load(file, "file", example.model->load_options()); }, {"encoder.layre.0.weight"});

  const std::string json = example.config->config_json(TextHead::classification, 3, example.attention);
  for (const char* part : {R"("model_type": "roberta-prelayernorm")", "RobertaPreLayerNormForSequenceClassification",
                           R"("max_position_embeddings": 14)", R"("type_vocab_size": 1)"})
    EXPECT_NE(json.find(part), std::string::npos) << json;
  const auto again = example.models.make("prenorm_roberta");
  again->take_config_json(json, "config.json");
  EXPECT_EQ(again->config_json(TextHead::classification, 3, example.attention), json);
}

TEST(AddingExamples, TextDataSet) {
  const auto sources = registry_of("text source", data::register_brackets);
  struct Config {
    const config::Registry<data::TextSourceConfig>& sources;
    std::unique_ptr<data::TextSourceConfig> source;
    void describe(config::Schema& s) { s.section("data", source, sources, "Data."); }
  } config{sources, nullptr};
  config::load_text(config, "data: {name: brackets, texts: 40}\n");
  const auto train = config.source->open("train"), val = config.source->open("val");
  EXPECT_EQ(train->size(), 40);
  EXPECT_EQ(val->size(), 10);
  int64_t closed = 0;
  for (int64_t i = 0; i < train->size(); ++i) closed += train->get(i).label;
  EXPECT_GT(closed, 0);
  EXPECT_LT(closed, 40);
  EXPECT_NE(train->fingerprint(), val->fingerprint());
  expect_error([&] { config.source->open("test"); }, {"'test'", "train or val"});
}

// Packed batches of the text data set, the filter of pictures, the text model.
TEST(AddingExamples, TextModelAndDataTrainTogether) {
  const auto sources = registry_of("text source", data::register_brackets);
  const auto source = data::limit_texts(sources.make("brackets")->open("train"), 64);
  tokenizers::TrainOptions words;
  words.kind = "word";
  const auto tokenizer = tokenizers::train_tokenizer(
      [&](const std::function<void(std::string_view)>& take) {
        for (int64_t i = 0; i < source->size(); ++i) take(source->get(i).text);
      },
      words);

  TextExample example("softmax", TextHead::classification);
  example.attention.filter = registry_of("attention variant", register_twicing).make("twicing");
  example.config->set_vocabulary(tokenizer->size());
  ParameterStore store;
  const auto model = example.config->build(Scope(store), example.attention, TextHead::classification, 2);
  store.materialize(1);
  OptimizerConfig settings;
  Optimizer& optimizer = settings.bind(store);

  data::TextDataset texts(source, *tokenizer, {.max_length = 12, .packed = true});
  const data::UniformOrder order({.samples = source->size(), .batch_size = 32, .seed = 1});
  const auto losses = train(
      store, optimizer, 5e-3, texts, order,
      [&](const data::Batch& batch, const ForwardContext& c) { return model->forward(tasks::text_inputs(batch), c); });
  EXPECT_LT(losses.back(), 0.2 * losses.front());
  const Tensor strength = store.find("roberta_prelayernorm.encoder.layer.0.attention.self.twicing.strength")->value;
  EXPECT_NE(strength.to_vector<double>(), (std::vector<double>{1, 1})) << "the filter was not trained";
}

// The registries' names, keys and defaults work like the built-in ones; and those of pictures learn together.
TEST(AddingExamples, ThoseOfPicturesTrainTogether) {
  ExampleConfig config;
  config::load_text(config, kYaml);
  const std::shared_ptr<const data::ImageSource> source = config.source->open("train");
  config.model->set_classes(static_cast<int64_t>(source->class_names().size()));
  AttentionConfig attention;
  attention.filter = config.filter->clone();

  ParameterStore store;
  const auto model = config.model->build(Scope(store), attention);
  store.materialize(1);
  expect_layer_order(store, "patch_embed", "head", 2);
  Optimizer& optimizer = config.optimizer.bind(store);

  data::AugmentConfig augment;
  augment.flip = 0;
  data::ImageDataset pictures(source, augment, {});
  const data::UniformOrder order({.samples = source->size(), .batch_size = 32, .seed = 1});
  const auto losses =
      train(store, optimizer, optimizer.lr(), pictures, order,
            [&](const data::Batch& batch, const ForwardContext& c) { return model->forward(batch.at("images"), c); });
  EXPECT_NEAR(losses.front(), std::log(4), 0.2);
  EXPECT_LT(losses.back(), 0.5 * losses.front());
  const Tensor strength = store.find("blocks.0.attn.twicing.strength")->value;
  EXPECT_NE(strength.to_vector<double>(), (std::vector<double>{0.5, 0.5})) << "the filter was not trained";
}

}  // namespace
}  // namespace test
}  // namespace gfsa
