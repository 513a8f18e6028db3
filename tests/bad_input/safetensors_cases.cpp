// Safetensors files: as data.source safetensors, and as weights that init_from names.
#include <cmath>
#include <cstring>
#include <limits>

#include "bad_input/bad_input.h"
#include "base/env.h"
#include "data/image/sources/safetensors_images.h"
#include "formats/safetensors.h"

namespace gfsa::bad_input_test {
namespace {

// Opens it as DIR/train.safetensors.
std::function<void(const std::string&)> file(std::string bytes, int classes = 0) {
  return [bytes = std::move(bytes), classes](const std::string& folder) {
    write(folder + "/train.safetensors", bytes);
    data::SafetensorsImagesConfig config;
    config.path = folder;
    config.classes = classes;
    config.open("train");
  };
}

// A file with this header alone and so many bytes of data.
std::function<void(const std::string&)> header(const std::string& json, size_t bytes = 0) {
  return file(safetensors(json, std::string(bytes, '\0')));
}

std::string length_of(uint64_t value) {
  std::string out(sizeof value, '\0');
  std::memcpy(out.data(), &value, sizeof value);
  return out;
}

std::string u8(const std::string& shape, size_t begin, size_t end, const std::string& dtype = "U8") {
  return fmt::format(R"({{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", dtype, shape, begin, end);
}

// images U8 [1, 3, 1, 1] and a label of type I64.
std::function<void(const std::string&)> label(int64_t value, int classes = 0) {
  const std::string json =
      fmt::format(R"({{"labels":{},"images":{}}})", u8("[1]", 0, 8, "I64"), u8("[1,3,1,1]", 8, 11));
  std::string data(11, '\0');
  std::memcpy(data.data(), &value, sizeof value);
  return file(safetensors(json, data), classes);
}

std::string pair(const std::string& images, const std::string& labels) {
  return fmt::format(R"({{"images":{},"labels":{}}})", images, labels);
}

std::function<void(const std::string&)> init_from(std::string bytes, std::string more = "") {
  return [bytes = std::move(bytes), more = std::move(more)](const std::string& folder) {
    write(folder + "/w.safetensors", bytes);
    train(folder, before_base("init_from: DIR/w.safetensors\n" + more));
  };
}

std::string floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

// Everything optional but these.
const char* const kLoose = "init_optional: ['*']\n";

}  // namespace

Cases safetensors_cases() {
  return {
      {"safetensors in no such folder",
       [](auto& d) {
         data::SafetensorsImagesConfig config;
         config.path = d + "/nowhere";
         config.open("train");
       },
       "data.path: 'DIR/nowhere' does not exist"},
      {"safetensors of no such split",
       [](auto& d) {
         write(d + "/tran.safetensors", "");
         data::SafetensorsImagesConfig config;
         config.path = d;
         config.open("train");
       },
       "data.path: 'DIR' has no train.safetensors; it has tran.safetensors"},
      {"a folder of that name",
       [](auto& d) {
         Env::real().create_directories(d + "/train.safetensors");
         data::SafetensorsImagesConfig config;
         config.path = d;
         config.open("train");
       },
       "DIR/train.safetensors: is a folder, expected a file"},
      {"safetensors of zero bytes", file(""),
       "DIR/train.safetensors: has 0 bytes, expected a safetensors file (at least 8)"},
      {"seven bytes", file("1234567"), "DIR/train.safetensors: has 7 bytes, expected a safetensors file (at least 8)"},
      {"a header of no bytes", file(length_of(0)),
       "DIR/train.safetensors: not a safetensors file: the header does not start with '{'"},
      {"a header of 2^63 bytes", file(length_of(uint64_t{1} << 63) + "{}"),
       "DIR/train.safetensors: not a safetensors file: header of 9223372036854775808 bytes, expected at most "
       "100000000"},
      {"a header of 2^64 - 1 bytes", file(length_of(UINT64_MAX) + "{}"),
       "DIR/train.safetensors: not a safetensors file: header of 18446744073709551615 bytes, expected at most "
       "100000000"},
      {"a header of 100 MB", file(length_of(100'000'000) + "{}"),
       "DIR/train.safetensors: truncated: header of 100000000 bytes in a file of 10"},
      {"a header longer than the file", file(length_of(50) + "{}"),
       "DIR/train.safetensors: truncated: header of 50 bytes in a file of 10"},
      {"a pickle", file(std::string("\x80\x02}q\x01X\x05\0\0\0", 10)),
       "DIR/train.safetensors: not a safetensors file: header of 1504138105782912 bytes, expected at most 100000000"},
      {"a ZIP, as torch.save writes", file(std::string("PK\3\4\x14\0\0\0\0\0 and more", 19)),
       "DIR/train.safetensors: not a safetensors file: header of 85966670672 bytes, expected at most 100000000"},
      {"safetensors of text", file("{\"images\": 1}"),
       "DIR/train.safetensors: not a safetensors file: header of 8315165955154584187 bytes, expected at most "
       "100000000"},
      {"a header that is a list", header("[1]"),
       "DIR/train.safetensors: not a safetensors file: the header does not start with '{'"},
      {"JSON that is cut", header(R"({"images":)"),
       "DIR/train.safetensors: the header is not valid JSON at its byte 11"},
      {"JSON with a comma too many", header(R"({"images":{},})"),
       "DIR/train.safetensors: tensor 'images': 'dtype' is missing"},
      {"something behind the JSON", header("{} x"),
       "DIR/train.safetensors: the header is not valid JSON at its byte 4"},
      {"JSON nested deeply", header(R"({"a":)" + std::string(100000, '[')),
       "DIR/train.safetensors: tensor 'a': is an array, expected an object"},
      {"header that is not UTF-8", header("{\"\xFF\":" + u8("[0]", 0, 0) + "}"),
       "DIR/train.safetensors: the header is not valid JSON at its byte 3"},
      {"a tensor that is a number", header(R"({"images":1})"),
       "DIR/train.safetensors: tensor 'images': is 1, expected an object"},
      {"a tensor that is null", header(R"({"images":null})"),
       "DIR/train.safetensors: tensor 'images': is null, expected an object"},
      {"an unknown key", header(R"({"images":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":1}})"),
       "DIR/train.safetensors: tensor 'images': unknown key 'x', expected dtype, shape and data_offsets"},
      {"no dtype", header(R"({"images":{"shape":[0],"data_offsets":[0,0]}})"),
       "DIR/train.safetensors: tensor 'images': 'dtype' is missing"},
      {"no offsets", header(R"({"images":{"dtype":"U8","shape":[0]}})"),
       "DIR/train.safetensors: tensor 'images': 'data_offsets' is missing"},
      {"an unknown dtype", header("{\"images\":" + u8("[2]", 0, 2, "F8_E4M3") + "}", 2),
       "DIR/train.safetensors: tensor 'images': dtype 'F8_E4M3' is not known, expected F64, F32, F16, BF16, I64, I32, "
       "I16, I8, U8 or BOOL"},
      {"a dtype in small letters", header("{\"images\":" + u8("[2]", 0, 2, "u8") + "}", 2),
       "DIR/train.safetensors: tensor 'images': dtype 'u8' is not known, expected F64, F32, F16, BF16, I64, I32, I16, "
       "I8, U8 or BOOL"},
      {"a dtype that is a number", header(R"({"images":{"dtype":8,"shape":[0],"data_offsets":[0,0]}})"),
       "DIR/train.safetensors: tensor 'images': 'dtype' is 8, expected a string"},
      {"a negative size", header("{\"images\":" + u8("[-1]", 0, 0) + "}"),
       "DIR/train.safetensors: tensor 'images': 'shape' holds -1, expected whole numbers from 0"},
      {"a fraction as size", header("{\"images\":" + u8("[1.5]", 0, 0) + "}"),
       "DIR/train.safetensors: tensor 'images': 'shape' holds 1.5, expected whole numbers from 0"},
      {"2^64 as size", header("{\"images\":" + u8("[18446744073709551616]", 0, 0) + "}"),
       "DIR/train.safetensors: tensor 'images': 'shape' holds 18446744073709551616, expected whole numbers from 0"},
      {"2^63 - 1 as size", header("{\"images\":" + u8("[9223372036854775807]", 0, 0, "F32") + "}"),
       "DIR/train.safetensors: tensor 'images': shape [9223372036854775807] is too large"},
      {"sizes whose product overflows",
       header("{\"images\":" + u8("[4294967296,4294967296,4294967296]", 0, 0, "F32") + "}"),
       "DIR/train.safetensors: tensor 'images': shape [4294967296, 4294967296, 4294967296] is too large"},
      {"sizes whose product overflows, times nothing",
       header("{\"images\":" + u8("[4611686018427387904,4611686018427387904,0]", 0, 0, "F32") + "}"),
       "DIR/train.safetensors: tensor 'images': shape [4611686018427387904, 4611686018427387904, 0] is too large"},
      {"sizes whose product is 2^63, times nothing",
       header("{\"images\":" + u8("[0,4294967296,2147483648]", 0, 0) + "}"),
       "DIR/train.safetensors: tensor 'images': shape [0, 4294967296, 2147483648] is too large"},
      {"offsets in the wrong order", header("{\"images\":" + u8("[2]", 2, 0) + "}", 2),
       "DIR/train.safetensors: tensor 'images': data_offsets are [2, 0], expected [begin, end] with begin <= end"},
      {"three offsets", header(R"({"images":{"dtype":"U8","shape":[0],"data_offsets":[0,0,0]}})"),
       "DIR/train.safetensors: tensor 'images': data_offsets are [0, 0, 0], expected [begin, end] with begin <= end"},
      {"offsets past the end", header("{\"images\":" + u8("[4]", 0, 4) + "}", 2),
       "DIR/train.safetensors: tensor 'images': ends at byte 4 of the data, but the file has 2: truncated?"},
      {"offsets of 2^64 - 1", header("{\"images\":" + u8("[2]", 0, UINT64_MAX) + "}", 2),
       "DIR/train.safetensors: tensor 'images': ends at byte 18446744073709551615 of the data, but the file has 2: "
       "truncated?"},
      {"offsets that do not fit the shape", header("{\"images\":" + u8("[2,2]", 0, 5) + "}", 5),
       "DIR/train.safetensors: tensor 'images': U8 of shape [2, 2] takes 4 bytes, but data_offsets [0, 5] hold 5"},
      {"tensors that overlap", header(pair(u8("[4]", 0, 4), u8("[4]", 2, 6)), 6),
       "DIR/train.safetensors: tensor 'labels': begins at byte 2, inside of tensor 'images', which ends at 4"},
      {"tensors in one place", header(pair(u8("[4]", 0, 4), u8("[4]", 0, 4)), 4),
       "DIR/train.safetensors: tensor 'labels': begins at byte 0, inside of tensor 'images', which ends at 4"},
      {"a hole", header(pair(u8("[2]", 0, 2), u8("[2]", 4, 6)), 6),
       "DIR/train.safetensors: tensor 'labels': begins at byte 4, but the data before it ends at 2: a hole"},
      {"bytes behind the last tensor", header("{\"images\":" + u8("[2]", 0, 2) + "}", 9),
       "DIR/train.safetensors: 7 bytes follow the last tensor, expected none"},
      {"a tensor twice", header("{\"images\":" + u8("[2]", 0, 2) + ",\"images\":" + u8("[2]", 2, 4) + "}", 4),
       "DIR/train.safetensors: tensor 'images' is in the header twice"},
      {"a key twice", header(R"({"images":{"dtype":"U8","dtype":"I8","shape":[0],"data_offsets":[0,0]}})"),
       "DIR/train.safetensors: tensor 'images': key 'dtype' is there twice"},
      {"metadata that is a number", header(R"({"__metadata__":{"a":1}})"),
       "DIR/train.safetensors: __metadata__: 'a' is 1, expected a string"},
      {"no images", header("{\"image\":" + u8("[2]", 0, 2) + "}", 2),
       "DIR/train.safetensors: no tensor 'images' among 1; did you mean 'image'?"},
      {"no labels", header("{\"images\":" + u8("[2,3,1,1]", 0, 6) + "}", 6),
       "DIR/train.safetensors: no tensor 'labels' among 1"},
      {"images of rank 3", header(pair(u8("[3,1,1]", 0, 3), u8("[3]", 3, 6)), 6),
       "DIR/train.safetensors: images has shape [3, 1, 1], expected [N, C, H, W] with C 1 or 3"},
      {"images of no picture", header(pair(u8("[0,3,1,1]", 0, 0), u8("[0]", 0, 0))),
       "DIR/train.safetensors: images has shape [0, 3, 1, 1], expected [N, C, H, W] with C 1 or 3"},
      {"images of two channels", header(pair(u8("[1,2,1,1]", 0, 2), u8("[1]", 2, 3)), 3),
       "DIR/train.safetensors: images has shape [1, 2, 1, 1], expected [N, C, H, W] with C 1 or 3"},
      {"images without pixels", header(pair(u8("[1,3,0,1]", 0, 0), u8("[1]", 0, 1)), 1),
       "DIR/train.safetensors: images has shape [1, 3, 0, 1], expected [N, C, H, W] with C 1 or 3"},
      {"images of a type that is none", header(pair(u8("[1,3,1,1]", 0, 24, "F64"), u8("[1]", 24, 25)), 25),
       "DIR/train.safetensors: images are F64, expected U8 or F32"},
      {"more labels than images", header(pair(u8("[1,3,1,1]", 0, 3), u8("[2]", 3, 5)), 5),
       "DIR/train.safetensors: labels has shape [2], expected [N] with N = 1 from images"},
      {"labels of a type that is none", header(pair(u8("[1,3,1,1]", 0, 3), u8("[1]", 3, 7, "F32")), 7),
       "DIR/train.safetensors: labels are F32, expected I64, I32 or U8"},
      {"a negative label", label(-1), "DIR/train.safetensors: label -1 of picture 0 is negative"},
      {"a label of 2^62", label(int64_t{1} << 62),
       "DIR/train.safetensors: the largest label is 4611686018427387904, expected below 1000000"},
      {"a label of 2^63 - 1", label(INT64_MAX),
       "DIR/train.safetensors: the largest label is 9223372036854775807, expected below 1000000"},
      {"a label above classes", label(5, 3), "DIR/train.safetensors: label 5 of picture 0 is not in [0, 3)"},
      {"pixels that are no number",
       file(safetensors(pair(u8("[2,1,1,1]", 0, 8, "F32"), u8("[2]", 8, 10)),
                        floats({1, std::numeric_limits<float>::quiet_NaN()}) + std::string(2, '\0'))),
       "DIR/train.safetensors: images: value 0 of picture 1 is nan, expected finite numbers"},
      {"infinite pixels",
       file(safetensors(pair(u8("[2,1,1,1]", 0, 8, "F32"), u8("[2]", 8, 10)),
                        floats({-std::numeric_limits<float>::infinity(), 1}) + std::string(2, '\0'))),
       "DIR/train.safetensors: images: value 0 of picture 0 is -inf, expected finite numbers"},
      {"pixels of floats with a flip",
       [](auto& d) {
         for (const char* split : {"train", "val"}) {
           write(d + "/" + split + ".safetensors",
                 safetensors(pair(u8("[1,1,1,1]", 0, 4, "F32"), u8("[1]", 4, 5)), floats({1}) + std::string(1, '\0')));
         }
         std::string text = base_with("data", "data: {source: safetensors, path: DIR, workers: 0}");
         train(d, text, {"augment.flip=0.5"});
       },
       "data: the source holds f32 pixels, which are taken as they are; expected augment.flip 0 and no crop, policy, "
       "colour jitter or erasing, or a source with u8 pictures"},
      {"2^31 - 1 classes", yaml(base_with("data", "data: {source: safetensors, path: DIR, classes: 2147483647}")),
       "DIR/c.yaml:3:67: data.classes: '2147483647' is out of range, expected an integer in [0, 1000000]"},
  };
}

Cases weight_cases() {
  const std::string norm = "{\"norm.weight\":" + u8("[8]", 0, 32, "F32") + "}";
  return {
      {"no such weights", yaml(before_base("init_from: DIR/w.safetensors\n")),
       "DIR/w.safetensors: cannot be read: No such file or directory"},
      {"weights that are a folder", yaml(before_base("init_from: DIR\n")), "DIR: is a folder, expected a file"},
      {"weights that are YAML", yaml(before_base("init_from: DIR/c.yaml\n")),
       "DIR/c.yaml: not a safetensors file: header of 8030593645716008553 bytes, expected at most 100000000"},
      {"weights without tensors", init_from(safetensors("{}", "")),
       "DIR/w.safetensors: missing tensor cls_token [1, 1, 8]\nDIR/w.safetensors: missing tensor pos_embed [1, 5, "
       "8]\nDIR/w.safetensors: missing tensor patch_embed.proj.weight [8, 3, 16, 16]\nDIR/w.safetensors: missing "
       "tensor patch_embed.proj.bias [8]\nDIR/w.safetensors: missing tensor blocks.0.norm1.weight "
       "[8]\nDIR/w.safetensors: missing tensor blocks.0.norm1.bias [8]\nDIR/w.safetensors: missing tensor "
       "blocks.0.attn.qkv.weight [24, 8]\nDIR/w.safetensors: missing tensor blocks.0.attn.qkv.bias "
       "[24]\nDIR/w.safetensors: missing tensor blocks.0.attn.proj.weight [8, 8]\nDIR/w.safetensors: missing tensor "
       "blocks.0.attn.proj.bias [8]\nDIR/w.safetensors: missing tensor blocks.0.norm2.weight [8]\nDIR/w.safetensors: "
       "missing tensor blocks.0.norm2.bias [8]\nDIR/w.safetensors: missing tensor blocks.0.mlp.fc1.weight [32, "
       "8]\nDIR/w.safetensors: missing tensor blocks.0.mlp.fc1.bias [32]\nDIR/w.safetensors: missing tensor "
       "blocks.0.mlp.fc2.weight [8, 32]\nDIR/w.safetensors: missing tensor blocks.0.mlp.fc2.bias "
       "[8]\nDIR/w.safetensors: missing tensor norm.weight [8]\nDIR/w.safetensors: missing tensor norm.bias "
       "[8]\nDIR/w.safetensors: missing tensor head.weight [10, 8]\nDIR/w.safetensors: missing tensor head.bias [10]"},
      {"weights of another shape",
       init_from(safetensors("{\"norm.weight\":" + u8("[9]", 0, 36, "F32") + "}", std::string(36, '\0')), kLoose),
       "DIR/w.safetensors: misshapen tensor norm.weight: [9], expected [8]"},
      {"weights of another name",
       init_from(safetensors("{\"norm.wieght\":" + u8("[8]", 0, 32, "F32") + "}", std::string(32, '\0')), kLoose),
       "DIR/w.safetensors: unexpected tensor norm.wieght [8]; did you mean 'norm.weight'?"},
      {"weights with NaN", init_from(safetensors(norm, floats({1, 1, 1, NAN, 1, 1, 1, 1})), kLoose),
       "DIR/w.safetensors: tensor norm.weight: element 3 is not a finite number"},
      {"weights with infinity", init_from(safetensors(norm, floats({1, 1, 1, 1, 1, 1, 1, INFINITY})), kLoose),
       "DIR/w.safetensors: tensor norm.weight: element 7 is not a finite number"},
      {"weights of nine dimensions",
       init_from(
           safetensors("{\"norm.weight\":" + u8("[1,1,1,1,1,1,1,1,8]", 0, 32, "F32") + "}", std::string(32, '\0')),
           kLoose),
       "DIR/w.safetensors: norm.weight: has 9 dimensions, expected at most 8"},
      {"weights with sizes that overflow",
       init_from(
           safetensors("{\"norm.weight\":" + u8("[4611686018427387904,4611686018427387904,0]", 0, 0, "F32") + "}", ""),
           kLoose),
       "DIR/w.safetensors: tensor 'norm.weight': shape [4611686018427387904, 4611686018427387904, 0] is too large"},
  };
}

}  // namespace gfsa::bad_input_test
