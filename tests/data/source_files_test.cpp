// Image folders, archives, CIFAR, MNIST, safetensors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/image/sources/cifar.h"
#include "data/image/sources/image_archive.h"
#include "data/image/sources/image_folder.h"
#include "data/image/sources/mnist.h"
#include "data/image/sources/safetensors_images.h"
#include "formats/safetensors.h"
#include "image_files.h"

namespace gfsa::data {
namespace {

using testing::HasSubstr;
using Names = std::vector<std::string>;

TEST(SourceFolder, SortsClassesAndFiles) {
  ImageFolderConfig config;
  config.path = write_image_folder();
  const auto train = config.open("train");
  EXPECT_EQ(train->class_names(), (Names{"a-b", "ant", "bee"}));
  Names names;
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < train->size(); ++i) {
    names.push_back(train->sample_name(i).substr(config.path.size()));
    labels.push_back(train->get(i).label);
    EXPECT_EQ(labels.back(), train->label(i));
  }
  EXPECT_EQ(names, (Names{"/train/a-b/1.png", "/train/ant/c.png", "/train/ant/deep/b.png", "/train/ant/z.png",
                          "/train/bee/10.PNG", "/train/bee/2.png"}));
  EXPECT_EQ(labels, (std::vector<int64_t>{0, 1, 1, 1, 2, 2}));
  EXPECT_EQ(train->get(5).image.rgb, noise_image(5, 6, 0).rgb);
  EXPECT_EQ(config.open("val")->size(), 3);  // finds test/
  EXPECT_EQ(config.open("test")->sample_name(2), config.path + "/test/bee/1.png");
}

TEST(SourceFolder, SaysWhatIsMissing) {
  ImageFolderConfig config;
  config.path = write_image_folder();
  EXPECT_THAT(message_of([&] { config.open("dev"); }), HasSubstr("has no folder dev; it has test, train"));
  Env::real().remove_all(config.path + "/test");
  EXPECT_THAT(message_of([&] { config.open("val"); }),
              HasSubstr("has no folder val, validation or test; it has train"));
  ImageFolderConfig classes;
  classes.path = config.path + "/train";
  EXPECT_EQ(classes.open(".")->size(), 6);
  write_file(config.path + "/empty/ant/x.gif", "");
  EXPECT_THAT(message_of([&] { config.open("empty"); }), HasSubstr("no pictures, expected <class>/*.jpg"));
  config.path += "/train/stray.png";
  EXPECT_THAT(message_of([&] { config.open("train"); }), HasSubstr("'image_archive' reads archives"));
  config.path = "/nowhere";
  EXPECT_THAT(message_of([&] { config.open("train"); }), HasSubstr("'/nowhere' does not exist"));
}

TEST(SourceFolder, NamesABrokenPicture) {
  ImageFolderConfig config;
  config.path = write_image_folder();
  write_file(config.path + "/train/ant/c.png", "broken");
  const auto train = config.open("train");
  EXPECT_THAT(message_of([&] { train->get(1); }), HasSubstr("train/ant/c.png"));
}

TEST(SourceFolder, FingerprintFollowsTheData) {
  ImageFolderConfig config;
  config.path = write_image_folder();
  const auto before = config.open("train")->fingerprint();
  EXPECT_EQ(config.open("train")->fingerprint(), before);
  EXPECT_THAT(before, HasSubstr("6 pictures, 3 classes"));
  write_file(config.path + "/train/ant/c.png", encode_png(noise_image(30, 30, 1)));
  EXPECT_NE(config.open("train")->fingerprint(), before);
}

TEST(SourceArchive, EqualsTheFolder) {
  ImageFolderConfig folder;
  folder.path = write_image_folder();
  const std::string base = test_folder() + "_archives";
  Env::real().create_directories(base);
  folder.path = write_image_folder();
  run_program("tar -C " + folder.path + " -cf " + base + "/a.tar test train");
  run_program("tar -C " + folder.path + " -czf " + base + "/a.tar.gz ./train ./test");
  run_program("tar -C " + folder.path + "/.. -czf " + base + "/top.tar.gz set");  // below one more folder
  run_program("tar -C " + folder.path + "/train -czf " + base + "/bare.tar.gz .");
  for (const std::string split : {"train", "val"}) {
    const auto expected = folder.open(split);
    for (const std::string name : {"/a.tar", "/a.tar.gz", "/top.tar.gz", "/bare.tar.gz"}) {
      const bool bare = name == "/bare.tar.gz";
      if (bare && split == "val") continue;
      ImageArchiveConfig config;
      config.path = base + name;
      const auto got = config.open(bare ? "." : split);
      ASSERT_EQ(got->size(), expected->size());
      EXPECT_EQ(got->class_names(), expected->class_names());
      for (int64_t i = 0; i < got->size(); ++i) {
        EXPECT_EQ(got->label(i), expected->label(i));
        EXPECT_EQ(got->get(i).image.rgb, expected->get(i).image.rgb);
        const auto file = expected->sample_name(i).substr(folder.path.size() + 1 + (bare ? 6 : 0));
        EXPECT_THAT(got->sample_name(i), testing::EndsWith(file));
      }
    }
  }
}

TEST(SourceArchive, SaysWhatIsWrong) {
  const std::string root = write_image_folder(), path = root + "/../a.tar.gz";
  run_program("tar -C " + root + " -czf " + path + " train");
  ImageArchiveConfig config;
  config.path = path;
  EXPECT_THAT(message_of([&] { config.open("val"); }),
              HasSubstr("no pictures in val, validation or test/<class>/; it has pictures in: train"));
  config.archive_mb = 0;
  EXPECT_THAT(message_of([&] { config.open("train"); }), HasSubstr("more than data.archive_mb = 0 MiB"));
  config.path = root;
  EXPECT_THAT(message_of([&] { config.open("train"); }), HasSubstr("'image_folder' reads folders"));
}

std::string cifar_record(int label_bytes, uint32_t which) {
  std::string out(static_cast<size_t>(label_bytes), static_cast<char>(which % 10));
  const auto image = noise_image(32, 32, which);
  for (int c = 0; c < 3; ++c) {
    for (size_t p = 0; p < 1024; ++p) out += static_cast<char>(image.rgb[3 * p + static_cast<size_t>(c)]);
  }
  return out;
}

TEST(SourceCifar, ReadsFolderAndArchive) {
  const std::string root = test_folder(), folder = root + "/cifar-10-batches-bin";
  for (uint32_t b = 1; b <= 5; ++b) {
    write_file(fmt::format("{}/data_batch_{}.bin", folder, b), cifar_record(1, 2 * b) + cifar_record(1, 2 * b + 1));
  }
  write_file(folder + "/test_batch.bin", cifar_record(1, 77));
  std::string names;
  for (int i = 0; i < 10; ++i) names += fmt::format("class{}\n", i);
  write_file(folder + "/batches.meta.txt", names + "\n");
  run_program("tar -C " + root + " -czf " + root + "/cifar.tar.gz cifar-10-batches-bin");
  std::string print;
  for (const auto& path : {root, folder, root + "/cifar.tar.gz"}) {
    Cifar10Config config;
    config.path = path;
    const auto train = config.open("train");
    ASSERT_EQ(train->size(), 10);
    EXPECT_TRUE(train->is_decoded());
    for (uint32_t i = 0; i < 10; ++i) {
      EXPECT_EQ(train->get(i).image.rgb, noise_image(32, 32, i + 2).rgb);
      EXPECT_EQ(train->label(i), (i + 2) % 10);
    }
    EXPECT_EQ(train->class_names()[3], "class3");
    EXPECT_EQ(config.open("val")->get(0).image.rgb, noise_image(32, 32, 77).rgb);
    if (print.empty()) print = train->fingerprint();
    EXPECT_EQ(train->fingerprint(), print);
  }
  Cifar10Config config;
  config.path = root;
  EXPECT_THAT(message_of([&] { config.open("dev"); }), HasSubstr("expected train, val or test"));
  Env::real().remove_all(folder + "/data_batch_4.bin");
  EXPECT_THAT(message_of([&] { config.open("train"); }), HasSubstr("has no data_batch_4.bin"));
}

TEST(SourceCifar, Reads100) {
  Cifar100Config config;
  config.path = test_folder();
  std::string names;
  for (int i = 0; i < 100; ++i) names += fmt::format("fine{}\n", i);
  write_file(config.path + "/fine_label_names.txt", names);
  write_file(config.path + "/train.bin", cifar_record(2, 5));
  EXPECT_EQ(config.open("train")->get(0).label, 5);
  EXPECT_EQ(config.open("train")->class_names().size(), 100u);
}

std::string idx_header(std::vector<uint8_t> sizes) {
  std::string out{0, 0, 8, static_cast<char>(sizes.size())};
  for (uint8_t size : sizes) out += std::string{0, 0, 0, static_cast<char>(size)};
  return out;
}

TEST(SourceMnist, ReadsPlainAndGzip) {
  MnistConfig config;
  config.path = test_folder();
  std::string pixels;
  for (int i = 0; i < 2 * 3 * 4; ++i) pixels += static_cast<char>(i * 10);
  write_file(config.path + "/train-images-idx3-ubyte", idx_header({2, 3, 4}) + pixels);
  write_file(config.path + "/train-labels-idx1-ubyte", idx_header({2}) + "\x07\x02");
  for (int round = 0; round < 2; ++round) {
    const auto train = config.open("train");
    ASSERT_EQ(train->size(), 2);
    const auto sample = train->get(1);
    EXPECT_EQ(sample.label, 2);
    EXPECT_EQ(sample.image.width, 4);
    EXPECT_EQ(sample.image.height, 3);
    EXPECT_EQ(sample.image.rgb[3 * 5 + 1], 170);  // gray in all three channels
    EXPECT_EQ(train->class_names().size(), 10u);
    EXPECT_FALSE(train->flip_keeps_class());
    if (round == 0) run_program("gzip " + config.path + "/train-*");
  }
  EXPECT_THAT(message_of([&] { config.open("val"); }), HasSubstr("t10k-images-idx3-ubyte.gz exists"));
  write_file(config.path + "/train-labels-idx1-ubyte", idx_header({1}) + "\x07");
  EXPECT_THAT(message_of([&] { config.open("train"); }), HasSubstr("2 pictures and 1 labels"));
}

TEST(SourceMnist, FashionMayBeFlipped) {
  FashionMnistConfig config;
  config.path = test_folder();
  write_file(config.path + "/train-images-idx3-ubyte", idx_header({1, 1, 2}) + "ab");
  write_file(config.path + "/train-labels-idx1-ubyte", idx_header({1}) + "\x07");
  const auto train = config.open("train");
  EXPECT_TRUE(train->flip_keeps_class());
  EXPECT_TRUE(train->fingerprint().starts_with("fashion_mnist "));
}

TensorBytes tensor(const std::string& dtype, std::vector<int64_t> shape, const void* data, size_t bytes) {
  return {dtype, std::move(shape), static_cast<const std::byte*>(data), bytes};
}

TEST(SourceSafetensors, ReadsBytesAndFloats) {
  SafetensorsImagesConfig config;
  config.path = test_folder();
  const std::vector<uint8_t> bytes{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};  // [2, 3, 1, 2]
  const std::vector<float> floats{-1, 0.5F, 2, 3};                          // [2, 1, 2, 1]
  const std::vector<int64_t> labels{1, 0};
  const std::vector<uint8_t> small_labels{0, 2};
  write_safetensors(
      Env::real(), config.path + "/train.safetensors",
      {{"images", tensor("U8", {2, 3, 1, 2}, bytes.data(), 12)}, {"labels", tensor("I64", {2}, labels.data(), 16)}},
      {{"class_names", "cat,dog"}});
  write_safetensors(Env::real(), config.path + "/validation.safetensors",
                    {{"images", tensor("F32", {2, 1, 2, 1}, floats.data(), 16)},
                     {"labels", tensor("U8", {2}, small_labels.data(), 2)}});
  const auto train = config.open("train");
  EXPECT_FALSE(train->gives_pixels());
  EXPECT_EQ(train->get(1).image.rgb, (std::vector<uint8_t>{7, 9, 11, 8, 10, 12}));
  EXPECT_EQ(train->get(0).label, 1);
  EXPECT_EQ(train->class_names(), (Names{"cat", "dog"}));
  const auto val = config.open("val");
  EXPECT_TRUE(val->gives_pixels());
  EXPECT_EQ(val->get(1).pixels.to_vector<float>(), (std::vector<float>{2, 3}));
  EXPECT_EQ(val->class_names(), (Names{"0", "1", "2"}));

  config.classes = 2;
  EXPECT_THAT(message_of([&] { config.open("val"); }), HasSubstr("label 2 of picture 1 is not in [0, 2)"));
  config.classes = 5;
  EXPECT_THAT(message_of([&] { config.open("train"); }), HasSubstr("names 2 classes, but data.classes is 5"));
  EXPECT_EQ(config.open("val")->class_names().size(), 5u);
  EXPECT_THAT(message_of([&] { config.open("dev"); }), HasSubstr("has no dev.safetensors; it has train.safetensors"));
  config.classes = 0;
  config.path += "/train.safetensors";
  EXPECT_EQ(config.open(".")->size(), 2);
  EXPECT_THAT(message_of([&] { config.open("val"); }), HasSubstr("is one file"));
}

TEST(SourceSafetensors, SaysWhatIsWrong) {
  SafetensorsImagesConfig config;
  config.path = test_folder() + "/x.safetensors";
  const std::vector<int64_t> data(12);
  const auto error = [&](TensorBytes images, TensorBytes labels) {
    write_safetensors(Env::real(), config.path, {{"images", images}, {"labels", labels}});
    return message_of([&] { config.open("."); });
  };
  const auto labels = tensor("I64", {2}, data.data(), 16), images = tensor("U8", {2, 3, 1, 1}, data.data(), 6);
  EXPECT_THAT(error(tensor("U8", {2, 2, 1, 1}, data.data(), 4), labels), HasSubstr("shape [2, 2, 1, 1], expected"));
  EXPECT_THAT(error(tensor("I64", {2, 3, 1, 1}, data.data(), 48), labels), HasSubstr("images are I64"));
  EXPECT_THAT(error(images, tensor("I64", {3}, data.data(), 24)), HasSubstr("expected [N] with N = 2"));
  EXPECT_THAT(error(images, tensor("F32", {2}, data.data(), 8)), HasSubstr("labels are F32"));
}

}  // namespace
}  // namespace gfsa::data
