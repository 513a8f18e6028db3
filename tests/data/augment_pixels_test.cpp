// Pixel operations against Pillow, torchvision and timm. Tolerance: none. Every operation gives the same bytes.
#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "core/cpu/simd.h"
#include "data/augment_golden.h"
#include "data/image/color_jitter.h"
#include "data/image/pixel_ops.h"

namespace gfsa::data {
namespace {

void compare_all(const SafetensorsFile& file, std::set<std::string>& operations, int& cases) {
  for (const std::string& name : file.names()) {
    PixelCase c;
    if (!parse_pixel_case(name, c)) continue;
    const Image expected = golden_image(file, name);
    const Image actual = run_pixel_case(golden_image(file, c.picture), c);
    const LevelError error = level_error(actual, expected);
    EXPECT_EQ(error.max, 0) << name << ": mean difference " << error.mean;
    operations.insert(c.operation), ++cases;
  }
}

TEST(AugmentPixels, EqualPillowOnEveryInstructionSet) {
  const simd::Isa before = simd::active();
  for (int isa = 0; isa <= static_cast<int>(simd::supported()); ++isa) {
    SCOPED_TRACE(simd::name(static_cast<simd::Isa>(isa)));
    simd::set_active(static_cast<simd::Isa>(isa));
    std::set<std::string> operations;
    int cases = 0;
    compare_all(golden(), operations, cases);
    EXPECT_GE(cases, 90);
    EXPECT_GE(operations.size(), 27u);
  }
  simd::set_active(before);
}

// A development check on real photographs: GFSA_AUGMENT_PHOTOS names a file made by
// `scripts/golden/augment.py --images FOLDER --output FILE`.
TEST(AugmentPixels, EqualPillowOnPhotographs) {
  const char* path = std::getenv("GFSA_AUGMENT_PHOTOS");
  if (path == nullptr) GTEST_SKIP() << "GFSA_AUGMENT_PHOTOS is not set";
  std::set<std::string> operations;
  int cases = 0;
  compare_all(SafetensorsFile::open(path), operations, cases);
  std::printf("%d cases, %zu operations\n", cases, operations.size());
  EXPECT_GT(cases, 0);
}

TEST(AugmentPixels, JitterAppliesFactorsInOrder) {
  const Image image = golden_image("wide");
  ColorJitterDraw draw{{2, 3, 0, 1}, 1.3, 0.6, 1.8, -0.2};
  Image jittered = image, by_hand = image, other_order = image;
  apply_color_jitter(jittered, draw);
  adjust_color(by_hand, 1.8), adjust_hue(by_hand, -0.2), adjust_brightness(by_hand, 1.3);
  adjust_contrast(by_hand, 0.6);
  EXPECT_EQ(jittered.rgb, by_hand.rgb);
  draw.order = {0, 1, 2, 3};
  apply_color_jitter(other_order, draw);
  EXPECT_NE(other_order.rgb, by_hand.rgb);
}

TEST(AugmentPixels, TinyImages) {
  for (const int w : {1, 2, 3}) {
    for (const int h : {1, 2, 4}) {
      Image image{w, h, std::vector<uint8_t>(static_cast<size_t>(w) * h * 3, 100)};
      image.rgb[0] = 9;
      EXPECT_EQ(resize(image, 5, 7, Interpolation::kBicubic).rgb.size(), 105u);
      EXPECT_EQ(rotate(image, 20, Interpolation::kBicubic, {0, 0, 0}).rgb.size(), image.rgb.size());
      const Image same = image;
      adjust_sharpness(image, 1.9);
      if (w < 3 || h < 3) {
        EXPECT_EQ(image.rgb, same.rgb);
      }
      gaussian_blur(image, 3);
      auto_contrast(image), equalize(image);
    }
  }
}

TEST(AugmentPixels, BadArguments) {
  const Image image{4, 3, std::vector<uint8_t>(36)};
  Image copy = image;
  EXPECT_THROW(resize(image, 0, 2, Interpolation::kBicubic), Error);
  EXPECT_THROW(resize(image, 2, 2, Interpolation::kBicubic, {0, 0, 5, 3}), Error);
  EXPECT_THROW(resize(image, 2, 2, Interpolation::kBicubic, {1, 0, 1, 3}), Error);
  EXPECT_THROW(crop(image, {1, 0, 4, 3}), Error);
  EXPECT_THROW(crop(image, {-1, 0, 2, 3}), Error);
  EXPECT_THROW(crop(image, {0, 0, 0, 3}), Error);
  EXPECT_THROW(pad(image, 0, 3, 0, 0, Padding::kReflect), Error);
  EXPECT_THROW(adjust_hue(copy, 0.6), Error);
  EXPECT_THROW(gaussian_blur(copy, -1), Error);
  EXPECT_THROW(interpolation_by_name("bicubik"), Error);
  EXPECT_THROW(augment_kind_by_name("Rotat"), Error);
  EXPECT_THROW(transform_affine(image, {1, 0, 1e6, 0.5, 1, 0}, 4, 3, Interpolation::kNearest, {0, 0, 0}), Error);
}

}  // namespace
}  // namespace gfsa::data
