// memory_images.h -- a source whose pictures lie decoded in memory, all of one size: CIFAR, MNIST, safetensors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/image/image_source.h"

namespace gfsa::data {

// Exactly one of bytes and floats is filled: [N, channels, height, width], channels 1 or 3.
struct PlanarImages {
  int64_t count = 0;
  int channels = 3, height = 0, width = 0;
  std::vector<uint8_t> bytes{};
  std::vector<float> floats{};
  std::vector<int64_t> labels{};  // [N], checked
  std::vector<std::string> classes{};
};

class MemoryImages : public ImageSource {
 public:
  // name: the data's kind in the fingerprint; where: what sample names begin with.
  MemoryImages(std::string name, std::string where, PlanarImages images);
  int64_t size() const override { return images_.count; }
  std::string sample_name(int64_t i) const override { return fmt::format("{}: picture {}", where_, i); }
  std::string fingerprint() const override;
  // Bytes as an image (gray: three equal channels), floats as pixels.
  ImageSample get(int64_t i) const override;
  int64_t label(int64_t i) const override { return images_.labels[static_cast<size_t>(i)]; }
  const std::vector<std::string>& class_names() const override { return images_.classes; }
  bool is_decoded() const override { return true; }
  bool gives_pixels() const override { return !images_.floats.empty(); }

 private:
  std::string name_, where_;
  PlanarImages images_;
};

}  // namespace gfsa::data
