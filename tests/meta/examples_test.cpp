// The examples of docs/adding.md, built as they stand there: each alone, then all four in one training.
#include <gtest/gtest.h>

#include <map>

#include "autograd/autograd.h"
#include "config/reader.h"
#include "data/image/image_dataset.h"
#include "data/loader/loader.h"
#include "data/text/text_source.h"
#include "meta/examples/squared_relu.h"
#include "models/image_model.h"
#include "ops/cross_entropy.h"
#include "optim/optimizer_config.h"
#include "support/op_case.h"

namespace gfsa {

// What registry.cpp would call.
void register_twicing(config::Registry<FilterConfig>& registry);
void register_parallel_vit(config::Registry<ImageModelConfig>& registry);
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

std::vector<double> plain_squared_relu(const std::vector<Array>& x) {
  std::vector<double> y;
  for (const double v : x[0].values) y.push_back(v > 0 ? v * v : 0);
  return y;
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

// The registries' names, keys and defaults work like the built-in ones; and the four learn together.
TEST(AddingExamples, AllFourTrainTogether) {
  ExampleConfig config;
  config::load_text(config, kYaml);
  const std::shared_ptr<const data::ImageSource> source = config.source->open("train");
  config.model->set_classes(static_cast<int64_t>(source->class_names().size()));
  AttentionConfig attention;
  attention.filter = config.filter->clone();

  ParameterStore store;
  const auto model = config.model->build(Scope(store), attention);
  store.materialize(1);
  Optimizer& optimizer = config.optimizer.bind(store);

  data::AugmentConfig augment;
  augment.flip = 0;
  data::ImageDataset pictures(source, augment, {});
  const data::UniformOrder order({.samples = source->size(), .batch_size = 32, .seed = 1});
  data::Loader loader(pictures, order, {});
  std::vector<double> losses;
  for (uint64_t step = 0; step < 40; ++step) {
    const auto batch = loader.next();
    ASSERT_TRUE(batch);
    store.clear_grads();
    ForwardContext context;
    context.training = true;
    context.step = step;
    const Tensor loss = cross_entropy(model->forward(batch->at("images"), context), batch->at("labels"));
    losses.push_back(loss.item());
    backward(loss);
    store.complete_grads();
    optimizer.step(optimizer.lr());
  }
  EXPECT_NEAR(losses.front(), std::log(4), 0.2);
  EXPECT_LT(losses.back(), 0.5 * losses.front());
  const Tensor strength = store.find("blocks.0.attn.twicing.strength")->value;
  EXPECT_NE(strength.to_vector<double>(), (std::vector<double>{0.5, 0.5})) << "the filter was not trained";
}

}  // namespace
}  // namespace test
}  // namespace gfsa
