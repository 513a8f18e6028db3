#include "formats/image.h"

#include <zlib.h>

#include <cstring>
#include <thread>

#include "formats/format_files.h"

namespace gfsa {
namespace {

using test::as_bytes;
using test::bad_input_of;
using test::golden;

Image decode(const std::string& content) { return decode_image(as_bytes(content), "picture"); }
std::string error_of(const std::string& content) {
  return bad_input_of([&] { decode(content); });
}

// What scripts/golden/images.py wrote: Pillow's pixels.
Image pillow_pixels(const std::string& name) {
  const std::string content = golden("images/" + name + ".rgb");
  uint32_t size[2];
  std::memcpy(size, content.data(), sizeof size);
  Image image{static_cast<int>(size[0]), static_cast<int>(size[1]), {}};
  image.rgb.assign(content.begin() + sizeof size, content.end());
  return image;
}

std::vector<std::string> golden_pictures() {
  std::vector<std::string> names;
  for (const std::string& name : Env::real().list(test::golden_path("images"))) {
    if (!name.ends_with(".rgb")) names.push_back(name);
  }
  return names;
}

TEST(Image, DecodesAsPillowDoes) {
  const auto names = golden_pictures();
  ASSERT_GE(names.size(), 28u);
  for (const std::string& name : names) {
    const Image image = decode(golden("images/" + name));
    const Image expected = pillow_pixels(name);
    ASSERT_EQ(image.width, expected.width) << name;
    ASSERT_EQ(image.height, expected.height) << name;
    ASSERT_EQ(image.rgb.size(), expected.rgb.size()) << name;
    int largest = 0;
    for (size_t i = 0; i < image.rgb.size(); ++i) {
      largest = std::max(largest, std::abs(int{image.rgb[i]} - int{expected.rgb[i]}));
    }
    // Versions of libjpeg-turbo may round the inverse DCT and colour conversion differently.
    EXPECT_LE(largest, name.ends_with(".jpg") ? 2 : 0) << name;
    const ImageSize size = image_size(as_bytes(golden("images/" + name)), name);
    EXPECT_EQ(size.width, image.width) << name;
    EXPECT_EQ(size.height, image.height) << name;
  }
}

TEST(Image, RefusesEveryTruncation) {
  for (const char* name : {"color_420.jpg", "progressive.jpg", "gray.jpg", "cmyk.jpg", "palette_4bit.png",
                           "interlaced.png", "gray_16bit.png", "one_pixel.png"}) {
    SCOPED_TRACE(name);
    test::expect_truncations_refused(golden(std::string("images/") + name), [](const std::string& c) { decode(c); });
  }
}

TEST(Image, SurvivesDamage) {
  for (const char* name :
       {"color_420.jpg", "progressive.jpg", "cmyk.jpg", "rgb.png", "palette.png", "interlaced.png"}) {
    SCOPED_TRACE(name);
    EXPECT_GT(test::try_damaged(golden(std::string("images/") + name), 500, [](const std::string& c) { decode(c); }),
              20);
  }
}

TEST(Image, SaysWhatIsWrong) {
  EXPECT_EQ(error_of(""), "picture: not a picture: 0 bytes");
  EXPECT_EQ(error_of("<html>"),
            "picture: not a picture: expected JPEG (ff d8 ff) or PNG (89 50 4e 47), got 6 bytes starting with 3c 68 74 "
            "6d 6c 3e");
  const std::string jpeg = golden("images/color_420.jpg"), png = golden("images/rgb.png");
  EXPECT_EQ(error_of(jpeg.substr(0, jpeg.size() - 40)),
            "picture: truncated JPEG: the data ends before the picture does");
  EXPECT_EQ(error_of(png.substr(0, png.size() - 40)), "picture: truncated PNG: the data ends before the picture does");
  std::string damaged = png;
  damaged[png.size() / 2] ^= 0x55;
  EXPECT_EQ(error_of(damaged).rfind("picture: corrupt or unsupported PNG: ", 0), 0u) << error_of(damaged);
}

// rgb.png with another size in its header.
std::string png_of_size(uint32_t width, uint32_t height) {
  std::string png = golden("images/rgb.png");
  const auto put = [&png](size_t at, uint32_t value) {
    for (size_t i = 0; i < 4; ++i) png[at + i] = static_cast<char>(value >> (24 - 8 * i));
  };
  put(16, width);
  put(20, height);
  put(29, static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(png.data()) + 12, 17)));
  return png;
}

TEST(Image, DoesNotBelieveHeaders) {
  EXPECT_EQ(error_of(png_of_size(20000, 10001)),
            "picture: too large: 20000 x 10001 pixels, expected at most 200 million");
  EXPECT_NE(error_of(png_of_size(20000, 9999)).find("truncated: "), std::string::npos)
      << error_of(png_of_size(20000, 9999));
  EXPECT_NE(error_of(png_of_size(0, 5)), "");

  std::string jpeg = golden("images/color_420.jpg");
  const size_t frame = jpeg.find("\xFF\xC0");
  ASSERT_NE(frame, std::string::npos);
  jpeg[frame + 5] = jpeg[frame + 7] = '\x2F';  // 12055 x 12069 or so
  EXPECT_NE(error_of(jpeg).find("truncated: "), std::string::npos) << error_of(jpeg);
  jpeg[frame + 5] = jpeg[frame + 7] = '\x7F';
  EXPECT_NE(error_of(jpeg).find("too large: "), std::string::npos) << error_of(jpeg);
}

TEST(Image, LetsExtraneousJpegBytesPass) {
  const std::string jpeg = golden("images/color_420.jpg");
  EXPECT_EQ(decode(jpeg + "trailing").rgb, decode(jpeg).rgb);
}

TEST(Image, DecodesOnManyThreads) {
  const auto names = golden_pictures();
  std::vector<std::vector<Image>> decoded(4);
  std::vector<std::thread> threads;
  for (auto& images : decoded) {
    threads.emplace_back([&] {
      for (const std::string& name : names) images.push_back(decode(golden("images/" + name)));
    });
  }
  for (auto& thread : threads) thread.join();
  for (size_t i = 0; i < names.size(); ++i) {
    for (size_t t = 1; t < decoded.size(); ++t) EXPECT_EQ(decoded[t][i].rgb, decoded[0][i].rgb) << names[i];
  }
}

TEST(Image, EncodesPng) {
  Image image{5, 3, {}};
  for (int i = 0; i < 45; ++i) image.rgb.push_back(static_cast<uint8_t>(i * 37));
  const Image again = decode(encode_png(image));
  EXPECT_EQ(again.width, 5);
  EXPECT_EQ(again.height, 3);
  EXPECT_EQ(again.rgb, image.rgb);
  image.rgb.pop_back();
  EXPECT_THROW(encode_png(image), Error);
  EXPECT_THROW(encode_png(Image{}), Error);
}

}  // namespace
}  // namespace gfsa
