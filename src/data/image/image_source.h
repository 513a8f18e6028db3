// image_source.h -- labelled pictures, one by one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/schema.h"
#include "core/tensor.h"
#include "data/source.h"
#include "formats/image.h"

namespace gfsa::data {

// Either an image, or pixels: f32 [C, H, W], ready for the model (normalised by whoever wrote them).
struct ImageSample {
  Image image;
  Tensor pixels;
  int64_t label = 0;  // in [0, class_names().size())

  int64_t bytes() const {
    return static_cast<int64_t>(image.rgb.size()) + (pixels ? static_cast<int64_t>(pixels.bytes()) : 0);
  }
};

class ImageSource : public Source {
 public:
  // Throws bad input naming the file if the picture is broken.
  virtual ImageSample get(int64_t index) const = 0;
  // The label alone, without decoding.
  virtual int64_t label(int64_t index) const = 0;
  virtual const std::vector<std::string>& class_names() const = 0;
  // get() decodes nothing, so keeping its results would only cost memory.
  virtual bool is_decoded() const { return false; }
  // Samples are ImageSample::pixels.
  virtual bool gives_pixels() const { return false; }
  // A picture mirrored left to right is still of its class. Not so for digits, text, left and right: false, and
  // ImageDataset refuses augment.flip.
  virtual bool flip_keeps_class() const { return true; }
};

// The keys beside `data.source`, and what they open.
class ImageSourceConfig {
 public:
  virtual ~ImageSourceConfig() = default;
  virtual void describe(config::Schema& s) = 0;
  // split: "train", "val" (see split_candidates) or a name that the source has. Throws bad input if it has none such.
  virtual std::unique_ptr<ImageSource> open(const std::string& split) const = 0;
};

// The samples floor(i * size / count), i < count: evenly spaced, since a folder's first ones are all of one class.
// `source` itself if it has no more.
std::shared_ptr<const ImageSource> limit_images(std::shared_ptr<const ImageSource> source, int64_t count);

}  // namespace gfsa::data
