#include "data/image/sources/safetensors_images.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/env.h"
#include "base/strings.h"
#include "data/image/sources/memory_images.h"
#include "formats/safetensors.h"

namespace gfsa::data {
namespace {

constexpr int kMaxClasses = 1'000'000;  // a label of 2^62 must not make as many class names
constexpr int64_t kMaxEdge = 65535;

std::string find_file(const std::string& path, const std::string& split) {
  Env& env = Env::real();
  if (!env.exists(path)) bad_input("data.path: '{}' does not exist", path);
  if (!env.is_directory(path)) {
    if (split == ".") return path;
    bad_input(
        "data.path: '{}' is one file and so has no split '{}'; expected a folder with {}.safetensors, or the "
        "split '.' for the file itself",
        path, split, split);
  }
  for (const auto& name : split_candidates(split)) {
    const std::string file = path + "/" + name + ".safetensors";
    if (env.exists(file)) return file;
  }
  bad_input("data.path: '{}' has no {}.safetensors; it has {}", path, one_of(split_candidates(split)),
            fmt::join(env.list(path), ", "));
}

template <class T>
std::vector<T> copy_as(const TensorBytes& tensor) {  // memcpy: the file's data may be unaligned
  std::vector<T> out(tensor.bytes / sizeof(T));
  if (tensor.bytes > 0) std::memcpy(out.data(), tensor.data, tensor.bytes);
  return out;
}

std::vector<int64_t> read_labels(const TensorBytes& tensor, const std::string& file) {
  const auto widened = [](const auto& values) { return std::vector<int64_t>(values.begin(), values.end()); };
  if (tensor.dtype == "I64") return copy_as<int64_t>(tensor);
  if (tensor.dtype == "I32") return widened(copy_as<int32_t>(tensor));
  if (tensor.dtype == "U8") return widened(copy_as<uint8_t>(tensor));
  bad_input("{}: labels are {}, expected I64, I32 or U8", file, tensor.dtype);
}

void require_finite(const std::vector<float>& values, size_t per_picture, const std::string& file) {
  const auto bad = std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
  if (bad == values.end()) return;
  const auto at = static_cast<size_t>(bad - values.begin());
  bad_input("{}: images: value {} of picture {} is {}, expected finite numbers", file, at % per_picture,
            at / per_picture, *bad);
}

std::vector<std::string> split_commas(const std::string& text) {
  std::vector<std::string> out(1);
  for (char c : text) {
    if (c == ',') {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

}  // namespace

void SafetensorsImagesConfig::describe(config::Schema& s) {
  s.field("path", path)
      .path()
      .required()
      .doc("Folder with train.safetensors and val.safetensors: images u8 or f32 [N, C, H, W], labels [N].");
  s.field("classes", classes)
      .in(0, kMaxClasses)
      .doc("Number of classes; 0: the names in the metadata, or the largest label.");
}

std::unique_ptr<ImageSource> SafetensorsImagesConfig::open(const std::string& split) const {
  const std::string path_of_split = find_file(path, split);
  const auto file = SafetensorsFile::open(path_of_split);
  const TensorBytes &pictures = file.at("images"), &labels = file.at("labels");
  const auto& shape = pictures.shape;
  if (shape.size() != 4 || shape[0] < 1 || (shape[1] != 1 && shape[1] != 3) || shape[2] < 1 || shape[3] < 1) {
    bad_input("{}: images has shape [{}], expected [N, C, H, W] with C 1 or 3", path_of_split, fmt::join(shape, ", "));
  }
  if (labels.shape.size() != 1 || labels.shape[0] != shape[0]) {
    bad_input("{}: labels has shape [{}], expected [N] with N = {} from images", path_of_split,
              fmt::join(labels.shape, ", "), shape[0]);
  }
  if (shape[2] > kMaxEdge || shape[3] > kMaxEdge) {
    bad_input("{}: images has shape [{}], expected at most {} for H and W", path_of_split, fmt::join(shape, ", "),
              kMaxEdge);
  }
  PlanarImages images{.count = shape[0],
                      .channels = static_cast<int>(shape[1]),
                      .height = static_cast<int>(shape[2]),
                      .width = static_cast<int>(shape[3])};
  if (pictures.dtype == "U8") {
    images.bytes = copy_as<uint8_t>(pictures);
  } else if (pictures.dtype == "F32") {
    images.floats = copy_as<float>(pictures);
    require_finite(images.floats, static_cast<size_t>(shape[1] * shape[2] * shape[3]), path_of_split);
  } else {
    bad_input("{}: images are {}, expected U8 or F32", path_of_split, pictures.dtype);
  }
  images.labels = read_labels(labels, path_of_split);

  const auto& metadata = file.metadata();
  if (const auto names = metadata.find("class_names"); names != metadata.end()) {
    images.classes = split_commas(names->second);
  }
  const int64_t largest = *std::max_element(images.labels.begin(), images.labels.end());
  const auto named = static_cast<int64_t>(images.classes.size());
  if (classes == 0 && named == 0 && largest >= kMaxClasses) {
    bad_input("{}: the largest label is {}, expected below {}", path_of_split, largest, kMaxClasses);
  }
  const int64_t count = classes > 0 ? classes : named > 0 ? named : largest + 1;
  if (named > 0 && named != count) {
    bad_input("{}: names {} classes, but data.classes is {}", path_of_split, named, classes);
  }
  for (size_t i = 0; i < images.labels.size(); ++i) {
    if (images.labels[i] < 0) bad_input("{}: label {} of picture {} is negative", path_of_split, images.labels[i], i);
    if (images.labels[i] >= count) {
      bad_input("{}: label {} of picture {} is not in [0, {})", path_of_split, images.labels[i], i, count);
    }
  }
  for (int64_t c = named; c < count; ++c) images.classes.push_back(std::to_string(c));
  return std::make_unique<MemoryImages>("safetensors", path_of_split, std::move(images));
}

void register_safetensors_images(config::Registry<ImageSourceConfig>& registry) {
  registry.add<SafetensorsImagesConfig>("safetensors", "Tensors images and labels of a safetensors file.");
}

}  // namespace gfsa::data
