// augment_golden.h -- reads tests/golden/augment.safetensors (scripts/golden/augment.py).
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "data/image/augment_op.h"
#include "formats/image.h"
#include "formats/safetensors.h"

namespace gfsa::data {

inline const SafetensorsFile& golden() {
  static const SafetensorsFile file =
      SafetensorsFile::open(std::string(GFSA_SOURCE_DIR) + "/tests/golden/augment.safetensors");
  return file;
}

template <class T>
std::vector<T> golden_values(const SafetensorsFile& file, const std::string& name) {
  const TensorBytes& tensor = file.at(name);
  EXPECT_EQ(tensor.bytes % sizeof(T), 0u) << name;
  EXPECT_EQ(safetensors_element_bytes(tensor.dtype), sizeof(T)) << name;
  std::vector<T> out(tensor.bytes / sizeof(T));
  std::memcpy(out.data(), tensor.data, tensor.bytes);
  return out;
}
template <class T>
std::vector<T> golden_values(const std::string& name) {
  return golden_values<T>(golden(), name);
}

inline Image golden_image(const SafetensorsFile& file, const std::string& name) {
  const TensorBytes& tensor = file.at(name);
  EXPECT_EQ(tensor.shape.size(), 3u) << name;
  return {static_cast<int>(tensor.shape[1]), static_cast<int>(tensor.shape[0]), golden_values<uint8_t>(file, name)};
}
inline Image golden_image(const std::string& name) { return golden_image(golden(), name); }

// "picture|operation|1.0,2.0|bicubic"
struct PixelCase {
  std::string picture, operation, interpolation;
  std::vector<double> numbers;
};
// False for tensors that are no pixel case.
bool parse_pixel_case(const std::string& name, PixelCase& out);
Image run_pixel_case(const Image& image, const PixelCase& c);

struct LevelError {
  int max = 0;
  double mean = 0;
};
// Sizes must agree.
LevelError level_error(const Image& a, const Image& b);

// Two samples of counts, of which the second may have another total: is their difference what chance explains? Returns
// chi-square's distance from its mean in standard deviations (bins that are empty in both do not count).
double chi_square_deviations(const std::vector<double>& expected, const std::vector<double>& observed);

}  // namespace gfsa::data
