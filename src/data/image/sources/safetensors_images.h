// safetensors_images.h -- pictures as two tensors of a safetensors file: the way in for data that somebody prepared
// elsewhere.
#pragma once

#include <memory>
#include <string>

#include "data/image/image_source.h"

namespace gfsa::data {

// `images`: U8 [N, C, H, W] (augmented and normalised as any picture) or F32 (taken as it is, see ImageSample::pixels),
// C 1 or 3; `labels`: I64, I32 or U8 [N]. Class names: the metadata entry "class_names", separated by commas, or the
// numbers.
struct SafetensorsImagesConfig : ImageSourceConfig {
  std::string path;
  int classes = 0;
  void describe(config::Schema& s) override;
  // In a folder: <split>.safetensors. A file alone is its every split only if the split's name is ".".
  std::unique_ptr<ImageSource> open(const std::string& split) const override;
};

}  // namespace gfsa::data
