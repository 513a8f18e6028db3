// Pictures: as one sample of an image folder.
#include "bad_input/bad_input.h"
#include "base/env.h"
#include "base/error.h"
#include "data/image/random_crop.h"
#include "data/image/sources/image_folder.h"
#include "formats/image.h"

namespace gfsa::bad_input_test {
namespace {

// Reads it as sample 0 of DIR/set/train.
data::ImageSample read(const std::string& folder, const std::string& bytes, const std::string& name) {
  write(folder + "/set/train/a/" + name, bytes);
  data::ImageFolderConfig config;
  config.path = folder + "/set";
  return config.open("train")->get(0);
}

std::function<void(const std::string&)> picture(std::string bytes, std::string name = "x.png") {
  return [bytes = std::move(bytes), name = std::move(name)](const std::string& folder) { read(folder, bytes, name); };
}

// A picture that must come out with this size.
std::function<void(const std::string&)> of_size(std::string bytes, int width, int height, std::string name = "x.png") {
  return [bytes = std::move(bytes), width, height, name = std::move(name)](const std::string& folder) {
    const auto image = read(folder, bytes, name).image;
    if (image.width != width || image.height != height) fail("{} x {}", image.width, image.height);
  };
}

std::string rgb_png() { return golden("images/rgb.png"); }
std::string color_jpeg() { return golden("images/color_444.jpg"); }

std::string cut(const std::string& bytes, size_t per_mille) { return bytes.substr(0, bytes.size() * per_mille / 1000); }

std::string flat(int width, int height) {
  return encode_png({width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height * 3, 7)});
}

std::string with(std::string bytes, size_t at, char value) {
  bytes[at] = value;
  return bytes;
}

}  // namespace

Cases picture_cases() {
  return {
      {"a picture of zero bytes", picture(""), "DIR/set/train/a/x.png: not a picture: 0 bytes"},
      {"one byte", picture("\xFF"),
       "DIR/set/train/a/x.png: not a picture: expected JPEG (ff d8 ff) or PNG (89 50 4e 47), got 1 bytes starting with "
       "ff"},
      {"text named .png", picture("not a picture at all"),
       "DIR/set/train/a/x.png: not a picture: expected JPEG (ff d8 ff) or PNG (89 50 4e 47), got 20 bytes starting "
       "with 6e 6f 74 20 61 20 70 69"},
      {"HTML named .jpg", picture("<!DOCTYPE html><html>", "x.jpg"),
       "DIR/set/train/a/x.jpg: not a picture: expected JPEG (ff d8 ff) or PNG (89 50 4e 47), got 21 bytes starting "
       "with 3c 21 44 4f 43 54 59 50"},
      {"GIF named .png", picture("GIF89a\1\0\1\0"),
       "DIR/set/train/a/x.png: not a picture: expected JPEG (ff d8 ff) or PNG (89 50 4e 47), got 7 bytes starting with "
       "47 49 46 38 39 61 01"},
      {"BMP named .png", picture("BM6\0\0\0"),
       "DIR/set/train/a/x.png: not a picture: expected JPEG (ff d8 ff) or PNG (89 50 4e 47), got 3 bytes starting with "
       "42 4d 36"},
      {"WebP named .jpg", picture("RIFF1234WEBPVP8 ", "x.jpg"),
       "DIR/set/train/a/x.jpg: not a picture: expected JPEG (ff d8 ff) or PNG (89 50 4e 47), got 16 bytes starting "
       "with 52 49 46 46 31 32 33 34"},
      {"TIFF named .jpg", picture("II*\0", "x.jpg"),
       "DIR/set/train/a/x.jpg: not a picture: expected JPEG (ff d8 ff) or PNG (89 50 4e 47), got 3 bytes starting with "
       "49 49 2a"},
      {"PNG cut in its signature", picture(rgb_png().substr(0, 6)),
       "DIR/set/train/a/x.png: not a picture: expected JPEG (ff d8 ff) or PNG (89 50 4e 47), got 6 bytes starting with "
       "89 50 4e 47 0d 0a"},
      {"PNG cut in its header", picture(rgb_png().substr(0, 20)),
       "DIR/set/train/a/x.png: truncated PNG: the data ends before the picture does"},
      {"PNG cut after its header", picture(rgb_png().substr(0, 33)),
       "DIR/set/train/a/x.png: truncated PNG: the data ends before the picture does"},
      {"PNG cut in the middle", picture(cut(rgb_png(), 500)),
       "DIR/set/train/a/x.png: truncated PNG: the data ends before the picture does"},
      {"PNG cut before its end", picture(rgb_png().substr(0, rgb_png().size() - 12)),
       "DIR/set/train/a/x.png: truncated PNG: the data ends before the picture does"},
      {"PNG with a wrong checksum", picture(with(rgb_png(), 60, '\x55')),
       "DIR/set/train/a/x.png: corrupt or unsupported PNG: IDAT: invalid bit length repeat"},
      {"PNG with a wrong header checksum", picture(with(rgb_png(), 19, '\x55')),
       "DIR/set/train/a/x.png: corrupt or unsupported PNG: IHDR: CRC error"},
      {"PNG 0 x 5", picture(png_with_header(rgb_png(), 0, 5)),
       "DIR/set/train/a/x.png: corrupt or unsupported PNG: Invalid IHDR data"},
      {"PNG 2^31 - 1 wide", picture(png_with_header(rgb_png(), 0x7FFFFFFF, 0x7FFFFFFF)),
       "DIR/set/train/a/x.png: too large: 2147483647 x 2147483647 pixels, expected at most 200 million"},
      {"PNG 2^32 - 1 wide", picture(png_with_header(rgb_png(), 0xFFFFFFFF, 1)),
       "DIR/set/train/a/x.png: corrupt or unsupported PNG: PNG unsigned integer out of range"},
      {"PNG that says 14,000 x 14,000", picture(png_with_header(rgb_png(), 14000, 14000)),
       "DIR/set/train/a/x.png: truncated: 1828 bytes cannot hold the 14000 x 14000 pixels that the header announces"},
      {"PNG of depth 3", picture(png_with_header(rgb_png(), 5, 5, 3)),
       "DIR/set/train/a/x.png: corrupt or unsupported PNG: Invalid IHDR data"},
      {"PNG of colour type 5", picture(png_with_header(rgb_png(), 5, 5, 8, 5)),
       "DIR/set/train/a/x.png: corrupt or unsupported PNG: Invalid IHDR data"},
      {"PNG with a palette that is missing", picture(png_with_header(rgb_png(), 5, 5, 8, 3)),
       "DIR/set/train/a/x.png: corrupt or unsupported PNG: IDAT: Missing PLTE before IDAT"},
      {"PNG taller than its data", [](auto& d) { read(d, png_with_header(flat(8, 8), 8, 9), "x.png"); },
       "DIR/set/train/a/x.png: corrupt or unsupported PNG: Not enough image data"},
      {"JPEG cut in its header", picture(color_jpeg().substr(0, 30), "x.jpg"),
       "DIR/set/train/a/x.jpg: truncated JPEG: the data ends before the picture does"},
      {"JPEG that is a start alone", picture("\xFF\xD8\xFF", "x.jpg"),
       "DIR/set/train/a/x.jpg: truncated JPEG: the data ends before the picture does"},
      {"JPEG cut in the middle", picture(cut(color_jpeg(), 700), "x.jpg"),
       "DIR/set/train/a/x.jpg: truncated JPEG: the data ends before the picture does"},
      {"JPEG cut before its end", picture(color_jpeg().substr(0, color_jpeg().size() - 20), "x.jpg"),
       "DIR/set/train/a/x.jpg: truncated JPEG: the data ends before the picture does"},
      {"JPEG without a picture", picture(std::string("\xFF\xD8\xFF\xD9", 4), "x.jpg"),
       "DIR/set/train/a/x.jpg: corrupt or unsupported JPEG: JPEG datastream contains no image"},
      {"JPEG 0 pixels wide", picture(jpeg_with_frame(color_jpeg(), 0, 10), "x.jpg"),
       "DIR/set/train/a/x.jpg: corrupt or unsupported JPEG: Empty JPEG image (DNL not supported)"},
      {"JPEG 65,500 x 65,500", picture(jpeg_with_frame(color_jpeg(), 65500, 65500), "x.jpg"),
       "DIR/set/train/a/x.jpg: too large: 65500 x 65500 pixels, expected at most 200 million"},
      {"JPEG that says 10,000 x 10,000", picture(jpeg_with_frame(color_jpeg(), 10000, 10000), "x.jpg"),
       "DIR/set/train/a/x.jpg: truncated: 1428 bytes cannot hold the 10000 x 10000 pixels that the header announces"},
      {"JPEG of two components", picture(jpeg_with_frame(color_jpeg(), 10, 10, 2), "x.jpg"),
       "DIR/set/train/a/x.jpg: corrupt or unsupported JPEG: Bogus marker length"},
      {"JPEG of 255 components", picture(jpeg_with_frame(color_jpeg(), 10, 10, 255), "x.jpg"),
       "DIR/set/train/a/x.jpg: corrupt or unsupported JPEG: Bogus marker length"},
      {"20,000 x 1 resized to 256",
       [](auto& d) {
         data::resize_shorter_edge(read(d, flat(20000, 1), "x.png").image, 256, data::Interpolation::kBicubic);
       },
       "the picture of 20000 x 1 pixels is too long and thin: with its shorter edge resized to 256 it has 1311 million "
       "pixels, expected at most 200; crop it, or use augment.random_resized_crop"},
      {"1 x 65,535 resized to 65,535",
       [](auto& d) {
         data::resize_shorter_edge(read(d, flat(1, 65535), "x.png").image, 65535, data::Interpolation::kBilinear);
       },
       "the picture of 1 x 65535 pixels is too long and thin: with its shorter edge resized to 65535 it has 281462092 "
       "million pixels, expected at most 200; crop it, or use augment.random_resized_crop"},
      {"a folder named x.png and nothing else",
       [](auto& d) {
         Env::real().create_directories(d + "/set/train/a/x.png");
         data::ImageFolderConfig config;
         config.path = d + "/set";
         config.open("train");
       },
       "DIR/set/train: no pictures, expected <class>/*.jpg, .jpeg or .png"},
      {"a picture that was deleted",
       [](auto& d) {
         write(d + "/set/train/a/x.png", rgb_png());
         data::ImageFolderConfig config;
         config.path = d + "/set";
         const auto source = config.open("train");
         Env::real().remove_all(d + "/set/train/a/x.png");
         source->get(0);
       },
       "DIR/set/train/a/x.png: cannot be read: No such file or directory"},
  };
}

std::vector<GoodCase> good_picture_cases() {
  return {
      {"1 x 1 PNG", of_size(golden("images/one_pixel.png"), 1, 1)},
      {"1 x 1 JPEG", of_size(golden("images/one_pixel.jpg"), 1, 1, "x.jpg")},
      {"20,000 x 1", of_size(flat(20000, 1), 20000, 1)},
      {"20,000 x 1 at image size 32",
       [](auto& d) {
         const auto image = read(d, flat(20000, 1), "x.png").image;
         const auto small =
             data::center_crop(data::resize_shorter_edge(image, 36, data::Interpolation::kBicubic), 32, 32);
         if (small.rgb[0] != 7) fail("wrong pixels");
       }},
      {"CMYK JPEG", of_size(golden("images/cmyk.jpg"), 21, 17, "x.jpg")},
      {"16 bit RGB", of_size(golden("images/rgb_16bit.png"), 9, 7)},
      {"16 bit gray", of_size(golden("images/gray_16bit.png"), 9, 7)},
      {"16 bit RGBA", of_size(golden("images/rgba_16bit.png"), 9, 7)},
      {"JPEG named .png", of_size(golden("images/gray.jpg"), 37, 23, "x.png")},
      {"PNG named .jpg", of_size(golden("images/rgb.png"), 37, 23, "x.jpg")},
      {"bytes after the end of a PNG", of_size(golden("images/rgb.png") + "more", 37, 23)},
      {"bytes after the end of a JPEG", of_size(golden("images/gray.jpg") + "more", 37, 23, "x.jpg")},
  };
}

}  // namespace gfsa::bad_input_test
