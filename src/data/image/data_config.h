// data_config.h -- the section `data` of a config whose samples are pictures.
#pragma once

#include <memory>
#include <string>

#include "config/schema.h"
#include "data/image/image_source.h"
#include "data/loader/loader.h"

namespace gfsa::data {

struct ImageDataConfig {
  std::unique_ptr<ImageSourceConfig> source;  // its keys stand beside `source`
  std::string train_split = "train", val_split = "val";
  int64_t limit = 0, val_limit = 0;
  int64_t cache_mb = 0;
  LoaderConfig loader;  // workers, prefetch, on_error: keys of this section

  void describe(config::Schema& s);

  // Opens a split and applies its limit. Throws bad input: no source chosen, what the source finds wrong.
  std::shared_ptr<const ImageSource> open_train() const;
  std::shared_ptr<const ImageSource> open_val() const;
  // Any split that the source has, whole.
  std::shared_ptr<const ImageSource> open(const std::string& split) const;
};

// Throws bad input that names the difference unless both have the same classes, so that labels mean the same.
void check_same_classes(const ImageSource& train, const ImageSource& val);

}  // namespace gfsa::data
