// Source, augmentation and loader together.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/reader.h"
#include "data/image/data_config.h"
#include "data/image/image_dataset.h"
#include "data/image/pixel_ops.h"
#include "data/image/show_batch.h"
#include "data/image/sources/image_archive.h"
#include "data/image/sources/image_folder.h"
#include "data/image/sources/memory_images.h"
#include "data/image/sources/procedural.h"
#include "data/loader/loader.h"
#include "image_files.h"

namespace gfsa::data {
namespace {

using testing::HasSubstr;

std::shared_ptr<const ImageSource> procedural(int64_t n) {
  ProceduralConfig config;
  config.train_size = n;
  return config.open("train");
}

LoaderConfig workers(int n, const std::string& on_error = "fail") {
  LoaderConfig c;
  c.workers = n, c.on_error = on_error;
  return c;
}

AugmentConfig recipe() {
  AugmentConfig a;
  a.random_resized_crop.enabled = true;
  a.policy = "rand-m9-mstd0.5-inc1";
  a.erasing.prob = 0.25;
  a.mixup = 0.8, a.cutmix = 1.0, a.label_smoothing = 0.1;
  return a;
}

// Every value of every tensor, epoch by epoch.
std::vector<std::vector<double>> all_values(ImageDataset& dataset, const BatchOrder& order, int worker_count,
                                            LoaderPosition start = {}) {
  std::vector<std::vector<double>> out;
  Loader loader(dataset, order, workers(worker_count), start, 2);
  while (auto batch = loader.next()) {
    std::vector<double> values;
    for (const auto& entry : batch->tensors) {
      const auto v = entry.second.to_vector<double>();
      values.insert(values.end(), v.begin(), v.end());
    }
    out.push_back(std::move(values));
  }
  return out;
}

TEST(ImageDataset, TrainingBatchesHaveTheirTensors) {
  ImageDataset dataset(procedural(64), recipe(), {.image_size = 24});
  const UniformOrder order({.samples = 64, .batch_size = 16});
  Loader loader(dataset, order, workers(2));
  const auto batch = loader.next();
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->names(), (std::vector<std::string>{"images", "labels", "targets", "sample_ids"}));
  EXPECT_EQ(batch->at("images").shape(), (Shape{16, 3, 24, 24}));
  EXPECT_EQ(batch->at("targets").shape(), (Shape{16, 10}));
  for (int64_t i = 0; i < 16; ++i) {
    const int64_t id = batch->at("sample_ids").data<int64_t>()[i];
    EXPECT_EQ(batch->at("labels").data<int64_t>()[i], dataset.source().label(id));
    double sum = 0;
    for (float t : batch->at("targets").select(0, i).to_vector<float>()) sum += t;
    EXPECT_NEAR(sum, 1, 1e-5);
  }
}

TEST(ImageDataset, TargetsOnlyWhereTheyAreSoft) {
  AugmentConfig plain;
  EXPECT_FALSE(plain.soft_targets());
  ImageDataset dataset(procedural(8), plain, {});
  ImageDataset eval(procedural(8), recipe(), {.train = false});
  const UniformOrder order({.samples = 8, .batch_size = 4});
  EXPECT_FALSE(Loader(dataset, order, workers(0)).next()->has("targets"));
  EXPECT_FALSE(Loader(eval, order, workers(0)).next()->has("targets"));
}

TEST(ImageDataset, TargetsFollowAModelWithMoreClasses) {
  ImageDataset dataset(procedural(8), recipe(), {.classes = 12});
  const UniformOrder order({.samples = 8, .batch_size = 8});
  const auto batch = Loader(dataset, order, workers(0)).next();
  EXPECT_EQ(batch->at("targets").shape(), (Shape{8, 12}));
  EXPECT_NEAR(batch->at("targets").data<float>()[11], 0.1 / 12, 1e-6);
  EXPECT_THAT(message_of([] { ImageDataset(procedural(8), recipe(), {.classes = 9}); }), HasSubstr("at least 10"));
}

TEST(ImageDataset, DoesNotDependOnWorkersCacheOrStart) {
  const UniformOrder order({.samples = 40, .batch_size = 8, .seed = 4, .repeats = 3});
  ImageDataset reference(procedural(40), recipe(), {.seed = 4});
  const auto expected = all_values(reference, order, 0);
  ASSERT_EQ(expected.size(), 10u);
  EXPECT_NE(expected[0], expected[5]);
  EXPECT_EQ(reference.cache_figures().samples, 0);
  for (int n : {1, 3}) {
    ImageDataset cached(procedural(40), recipe(), {.seed = 4, .cache_bytes = 10 * 4096});
    EXPECT_EQ(all_values(cached, order, n), expected);
    const auto figures = cached.cache_figures();
    EXPECT_GT(figures.hits, 10);
    EXPECT_GT(figures.samples, 8);
    EXPECT_LE(figures.bytes, 10 * 4096);
  }
  const auto rest = all_values(reference, order, 2, {0, 3});
  EXPECT_EQ(rest, std::vector<std::vector<double>>(expected.begin() + 3, expected.end()));
  ImageDataset other(procedural(40), recipe(), {.seed = 5});
  EXPECT_NE(all_values(other, order, 0), expected);
}

TEST(ImageDataset, EvaluationIsTheEvalTransformInOrder) {
  ImageDataset dataset(procedural(10), recipe(), {.train = false, .image_size = 28});
  const UniformOrder order({.samples = 10, .batch_size = 4, .shuffle = false, .drop_last = false, .even = false});
  Loader loader(dataset, order, workers(2), {}, 1);
  const EvalTransform transform(recipe(), 28);
  std::vector<float> expected(3 * 28 * 28);
  int64_t at = 0;
  while (auto batch = loader.next()) {
    for (int64_t i = 0; i < batch->size; ++i, ++at) {
      transform(dataset.source().get(at).image, expected);
      EXPECT_EQ(batch->at("images").select(0, i).to_vector<float>(), expected);
      EXPECT_EQ(batch->at("sample_ids").data<int64_t>()[i], at);
    }
  }
  EXPECT_EQ(at, 10);
}

TEST(ImageDataset, OneChannelIsLuma) {
  const auto source = procedural(2);
  ImageDataset dataset(source, AugmentConfig(), {.train = false, .channels = 1});
  const UniformOrder order({.samples = 2, .batch_size = 2, .shuffle = false});
  const auto batch = Loader(dataset, order, workers(0)).next();
  ASSERT_EQ(batch->at("images").shape(), (Shape{2, 1, 32, 32}));
  Image gray = source->get(1).image;
  grayscale(gray);
  std::vector<float> expected(3 * 1024);
  EvalTransform(AugmentConfig(), 32)(gray, expected);
  expected.resize(1024);
  EXPECT_EQ(batch->at("images").select(0, 1).to_vector<float>(), expected);
  EXPECT_THAT(message_of([&] { ImageDataset(source, AugmentConfig(), {.channels = 2}); }), HasSubstr("1 or 3"));
}

TEST(ImageDataset, TakesPixelsAsTheyAre) {
  PlanarImages images;
  images.count = 2, images.channels = 1, images.height = images.width = 2;
  images.floats = {1, 2, 3, 4, 5, 6, 7, 8}, images.labels = {0, 1}, images.classes = {"a", "b"};
  const auto source = std::make_shared<MemoryImages>("x", "x", images);
  AugmentConfig none;
  EXPECT_THAT(message_of([&] { ImageDataset(source, none, {.image_size = 2, .channels = 1}); }),
              HasSubstr("augment.flip 0"));
  none.flip = 0;
  ImageDataset dataset(source, none, {.image_size = 2, .channels = 1});
  const UniformOrder order({.samples = 2, .batch_size = 2, .shuffle = false});
  EXPECT_EQ(Loader(dataset, order, workers(0)).next()->at("images").to_vector<float>(), images.floats);
  ImageDataset larger(source, none, {.image_size = 3, .channels = 1});
  EXPECT_THAT(message_of([&] { Loader(larger, order, workers(0)).next(); }),
              HasSubstr("f32 pixels of shape [1, 2, 2], expected [1, 3, 3]"));
}

TEST(ImageDataset, RefusesToMirrorWhereThatChangesTheClass) {
  struct Sided final : MemoryImages {
    using MemoryImages::MemoryImages;
    bool flip_keeps_class() const override { return false; }
  };
  PlanarImages images{.count = 2, .channels = 1, .height = 1, .width = 2};
  images.bytes = {0, 255, 255, 0}, images.labels = {0, 1}, images.classes = {"left", "right"};
  const std::shared_ptr<const ImageSource> source = std::make_shared<Sided>("sides", "x", images);
  const AugmentConfig mirrored;
  for (const auto& s : {source, limit_images(source, 1)}) {
    EXPECT_THAT(message_of([&] { ImageDataset(s, mirrored, {}); }),
                AllOf(HasSubstr("augment.flip: is 0.5"), HasSubstr("sides"), HasSubstr("set augment.flip: 0")));
    ImageDataset(s, mirrored, {.train = false});
    AugmentConfig straight;
    straight.flip = 0;
    ImageDataset(s, straight, {});
  }
}

TEST(ImageDataset, NamesOrSkipsABrokenPicture) {
  ImageFolderConfig config;
  config.path = write_image_folder();
  write_file(config.path + "/train/ant/c.png", encode_png(noise_image(9, 9, 1)).substr(0, 90));
  const UniformOrder order({.samples = 6, .batch_size = 6, .shuffle = false});
  for (int n : {0, 2}) {
    ImageDataset dataset(config.open("train"), AugmentConfig(), {.train = false});
    EXPECT_THAT(message_of([&] { Loader(dataset, order, workers(n)).next(); }),
                AllOf(HasSubstr("sample 1"), HasSubstr("train/ant/c.png"), HasSubstr("truncated")));
    Loader loader(dataset, order, workers(n, "skip"), {}, 1);
    const auto batch = loader.next();
    EXPECT_EQ(batch->at("sample_ids").to_vector<int64_t>(), (std::vector<int64_t>{0, 2, 2, 3, 4, 5}));
    EXPECT_EQ(loader.figures().skipped, 1);
    EXPECT_EQ(loader.skipped()[0].name, config.path + "/train/ant/c.png");
  }
}

TEST(ImageDataset, ShowsABatch) {
  ImageDataset dataset(procedural(8), recipe(), {});
  const UniformOrder order({.samples = 8, .batch_size = 8});
  const auto batch = Loader(dataset, order, workers(0)).next();
  const std::string path = test_folder() + "/batch.png";
  show_batch(Env::real(), *batch, dataset.source().class_names(), recipe(), path);
  const std::string png = Env::real().read(path);
  const Image sheet = decode_image({reinterpret_cast<const uint8_t*>(png.data()), png.size()}, path);
  EXPECT_GT(sheet.width, 3 * 128);
  EXPECT_GT(sheet.height, 3 * 128);
}

struct Root {
  ImageDataConfig data;
  void describe(config::Schema& s) { s.section("data", data, "Data."); }
};

TEST(ImageDataConfig, IsReadFromYaml) {
  Root root;
  config::load_text(root, "data: {source: procedural, train_size: 100, limit: 10, val_limit: 7, workers: 0}");
  EXPECT_EQ(root.data.loader.workers, 0);
  const auto train = root.data.open_train();
  EXPECT_EQ(train->size(), 10);
  EXPECT_EQ(root.data.open_val()->size(), 7);
  EXPECT_EQ(train->get(3).image.rgb, procedural(100)->get(30).image.rgb);  // evenly spaced
  EXPECT_EQ(train->fingerprint().rfind("10 of procedural train 100", 0), 0u);

  Root wrong;
  EXPECT_THAT(message_of([&] { config::load_text(wrong, "data: {source: cifar, workers: -1, on_error: ignore}"); }),
              AllOf(HasSubstr("cifar10"), HasSubstr("data.workers"), HasSubstr("data.on_error")));
  EXPECT_THAT(message_of([&] { ImageDataConfig().open_train(); }), HasSubstr("data.source is not set"));
}

TEST(ImageDataConfig, ClassesMustAgree) {
  ImageFolderConfig config;
  config.path = write_image_folder();
  const auto train = config.open("train");
  check_same_classes(*train, *config.open("test"));
  Env::real().rename(config.path + "/test/bee", config.path + "/test/wasp");
  EXPECT_THAT(message_of([&] { check_same_classes(*train, *config.open("test")); }),
              HasSubstr("only in training: bee; only in validation: wasp"));
}

}  // namespace
}  // namespace gfsa::data
