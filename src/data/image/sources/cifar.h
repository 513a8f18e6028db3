// cifar.h -- CIFAR-10 and CIFAR-100, the binary version.
#pragma once

#include <memory>
#include <string>

#include "data/image/image_source.h"
#include "formats/cifar_binary.h"

namespace gfsa::data {

struct CifarConfig : ImageSourceConfig {
  explicit CifarConfig(CifarKind kind) : kind_(kind) {}
  std::string path;
  void describe(config::Schema& s) override;
  // Splits: train, val (or test): the test set.
  std::unique_ptr<ImageSource> open(const std::string& split) const override;

 private:
  CifarKind kind_;
};

// Types of their own: a registry tells its entries apart by type.
struct Cifar10Config : CifarConfig {
  Cifar10Config() : CifarConfig(CifarKind::kCifar10) {}
};
struct Cifar100Config : CifarConfig {
  Cifar100Config() : CifarConfig(CifarKind::kCifar100) {}
};

}  // namespace gfsa::data
