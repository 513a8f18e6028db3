// mnist.h -- MNIST and its look-alikes (Fashion-MNIST, KMNIST): four IDX files, gzip-compressed or not.
#pragma once

#include <memory>
#include <string>

#include "data/image/image_source.h"

namespace gfsa::data {

struct MnistConfig : ImageSourceConfig {
  std::string path;
  void describe(config::Schema& s) override;
  // Splits: train, val (or test): the t10k files. Classes are named by their number.
  std::unique_ptr<ImageSource> open(const std::string& split) const override;
};

}  // namespace gfsa::data
