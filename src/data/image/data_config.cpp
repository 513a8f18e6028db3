#include "data/image/data_config.h"

#include <algorithm>
#include <utility>

#include "data/registry.h"

namespace gfsa::data {
namespace {

constexpr double kMaxMiB = 1 << 30;  // in bytes it still fits 64 bits

std::shared_ptr<const ImageSource> open_limited(const ImageSourceConfig* source, const std::string& split,
                                                int64_t limit) {
  if (source == nullptr) {
    bad_input("data.source is not set, expected {}", one_of(image_source_registry().names()));
  }
  std::shared_ptr<const ImageSource> images = source->open(split);
  return limit > 0 ? limit_images(std::move(images), limit) : images;
}

std::vector<std::string> missing_from(const ImageSource& a, const ImageSource& b) {
  std::vector<std::string> out;
  for (const auto& name : a.class_names()) {
    const auto& names = b.class_names();
    if (std::find(names.begin(), names.end(), name) == names.end()) out.push_back(name);
  }
  return out;
}

}  // namespace

void ImageDataConfig::describe(config::Schema& s) {
  s.variant("source", source, image_source_registry(), "Where the pictures come from.");
  s.field("train_split", train_split).not_empty().doc("The source's split to train on.");
  s.field("val_split", val_split).not_empty().doc("The split to evaluate on; val also finds validation and test.");
  s.field("limit", limit).at_least(0).unit("pictures").doc("Train on so many, evenly spaced in the source; 0: all.");
  s.field("val_limit", val_limit).at_least(0).unit("pictures").doc("Evaluate on so many, likewise; 0: all.");
  s.field("cache_mb", cache_mb)
      .in(0, kMaxMiB)
      .unit("MiB")
      .resume_may_change()
      .doc("Memory for decoded pictures, so that they are decoded once; 0: none.");
  loader.describe(s);
}

std::shared_ptr<const ImageSource> ImageDataConfig::open_train() const {
  return open_limited(source.get(), train_split, limit);
}
std::shared_ptr<const ImageSource> ImageDataConfig::open_val() const {
  return open_limited(source.get(), val_split, val_limit);
}
std::shared_ptr<const ImageSource> ImageDataConfig::open(const std::string& split) const {
  return open_limited(source.get(), split, 0);
}

void check_same_classes(const ImageSource& train, const ImageSource& val) {
  if (train.class_names() == val.class_names()) return;
  const auto only_train = missing_from(train, val), only_val = missing_from(val, train);
  bad_input(
      "data: training has {} classes, validation {}, and they differ: only in training: {}; only in validation: "
      "{}",
      train.class_names().size(), val.class_names().size(),
      only_train.empty() ? "none" : fmt::format("{}", fmt::join(only_train, ", ")),
      only_val.empty() ? "none" : fmt::format("{}", fmt::join(only_val, ", ")));
}

}  // namespace gfsa::data
