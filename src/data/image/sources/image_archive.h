// image_archive.h -- the layout of an image folder inside a .tar or .tar.gz, without unpacking: the encoded pictures of
// one split are held in memory.
#pragma once

#include <memory>
#include <string>

#include "data/image/image_source.h"

namespace gfsa::data {

struct ImageArchiveConfig : ImageSourceConfig {
  std::string path;
  int64_t archive_mb = 16384;
  void describe(config::Schema& s) override;
  // Paths are <split>/<class>/*.jpg, also below one more folder; split ".": <class>/*.jpg. Same order and labels as
  // the unpacked folder.
  std::unique_ptr<ImageSource> open(const std::string& split) const override;
};

}  // namespace gfsa::data
