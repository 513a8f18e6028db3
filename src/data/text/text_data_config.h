// text_data_config.h -- the section `data` of a config whose samples are texts with labels.
#pragma once

#include <memory>
#include <string>

#include "config/schema.h"
#include "data/loader/loader.h"
#include "data/text/text_source.h"

namespace gfsa::data {

struct TextDataConfig {
  std::unique_ptr<TextSourceConfig> source;  // its keys stand beside `source`
  std::string train_split = "train", val_split = "val";
  int64_t limit = 0, val_limit = 0;
  int64_t max_length = 128;
  std::string batching = "auto", order = "by_length";
  LoaderConfig loader;

  void describe(config::Schema& s);

  // Opens a split and applies its limit. Bad input: no source chosen, what the source finds wrong.
  std::shared_ptr<const TextSource> open_train() const;
  std::shared_ptr<const TextSource> open_val() const;
  // "train" and "val" are what this section takes for them; any other split that the source has is whole.
  std::shared_ptr<const TextSource> open(const std::string& split) const;
  // Whether training batches stand side by side without padding.
  bool packed() const { return batching == "packed"; }
};

}  // namespace gfsa::data
