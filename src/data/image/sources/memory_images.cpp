#include "data/image/sources/memory_images.h"

#include <algorithm>
#include <utility>

namespace gfsa::data {

MemoryImages::MemoryImages(std::string name, std::string where, PlanarImages images)
    : name_(std::move(name)), where_(std::move(where)), images_(std::move(images)) {}

std::string MemoryImages::fingerprint() const {
  const auto& m = images_;
  Fingerprint hash;
  hash.add(m.bytes.data(), m.bytes.size());
  hash.add(m.floats.data(), m.floats.size() * sizeof(float));
  hash.add(m.labels.data(), m.labels.size() * sizeof(int64_t));
  return fmt::format("{} {} pictures of {} x {} x {}, {} classes, content {}", name_, m.count, m.channels, m.height,
                     m.width, m.classes.size(), hash.hex());
}

ImageSample MemoryImages::get(int64_t i) const {
  const auto& m = images_;
  const size_t plane = static_cast<size_t>(m.height) * m.width, values = plane * m.channels;
  ImageSample sample;
  sample.label = label(i);
  if (gives_pixels()) {
    sample.pixels = Tensor::empty({m.channels, m.height, m.width}, DType::f32);
    std::copy_n(m.floats.data() + static_cast<size_t>(i) * values, values, sample.pixels.data<float>());
    return sample;
  }
  sample.image = {m.width, m.height, std::vector<uint8_t>(3 * plane)};
  const uint8_t* from = m.bytes.data() + static_cast<size_t>(i) * values;
  const size_t next_channel = m.channels == 3 ? plane : 0;
  for (size_t p = 0; p < plane; ++p) {
    for (size_t c = 0; c < 3; ++c) sample.image.rgb[3 * p + c] = from[c * next_channel + p];
  }
  return sample;
}

}  // namespace gfsa::data
