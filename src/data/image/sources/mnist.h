// mnist.h -- MNIST and its look-alikes (Fashion-MNIST, KMNIST): four IDX files, gzip-compressed or not.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "data/image/image_source.h"

namespace gfsa::data {

struct MnistConfig : ImageSourceConfig {
  MnistConfig() = default;
  std::string path;
  void describe(config::Schema& s) override;
  // Splits: train, val (or test): the t10k files. Classes are named by their number.
  std::unique_ptr<ImageSource> open(const std::string& split) const override;

 protected:
  explicit MnistConfig(std::string name, bool flip_keeps_class)
      : name_(std::move(name)), flip_keeps_class_(flip_keeps_class) {}

 private:
  std::string name_ = "mnist";
  bool flip_keeps_class_ = false;  // a mirrored digit or letter is another or none
};

// Fashion-MNIST has MNIST's files, but a mirrored shoe is a shoe: augment.flip works.
struct FashionMnistConfig : MnistConfig {
  FashionMnistConfig() : MnistConfig("fashion_mnist", true) {}
};

}  // namespace gfsa::data
