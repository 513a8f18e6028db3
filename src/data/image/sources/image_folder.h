// image_folder.h -- pictures in <path>/<split>/<class>/, as torchvision's ImageFolder reads them (ImageNet's layout).
#pragma once

#include <memory>
#include <string>

#include "data/image/image_source.h"

namespace gfsa::data {

struct ImageFolderConfig : ImageSourceConfig {
  std::string path;
  void describe(config::Schema& s) override;
  // split ".": the folder itself holds the classes.
  std::unique_ptr<ImageSource> open(const std::string& split) const override;
};

}  // namespace gfsa::data
