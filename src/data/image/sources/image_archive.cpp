#include "data/image/sources/image_archive.h"

#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "base/env.h"
#include "base/strings.h"
#include "data/image/sources/image_tree.h"
#include "formats/archive.h"

namespace gfsa::data {
namespace {

class ImageArchive : public ImageSource {
 public:
  ImageArchive(std::string archive, std::string split, ImageTree tree, std::vector<std::string> bytes)
      : archive_(std::move(archive)), split_(std::move(split)), tree_(std::move(tree)), bytes_(std::move(bytes)) {}

  int64_t size() const override { return static_cast<int64_t>(tree_.files.size()); }
  std::string sample_name(int64_t i) const override {
    return fmt::format("{}: {}", archive_, printable_name(split_ + tree_.files[static_cast<size_t>(i)]));
  }
  int64_t label(int64_t i) const override { return tree_.labels[static_cast<size_t>(i)]; }
  const std::vector<std::string>& class_names() const override { return tree_.classes; }

  ImageSample get(int64_t i) const override {
    const std::string& bytes = bytes_[static_cast<size_t>(i)];
    ImageSample sample;
    sample.image = decode_image({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, sample_name(i));
    sample.label = label(i);
    return sample;
  }

  std::string fingerprint() const override {
    Fingerprint hash;
    for (size_t i = 0; i < bytes_.size(); ++i) hash.add(tree_.files[i]), hash.add(bytes_[i]);
    return fmt::format("image_archive {} pictures, {} classes, content {}", size(), tree_.classes.size(), hash.hex());
  }

 private:
  std::string archive_, split_;
  ImageTree tree_;
  std::vector<std::string> bytes_;
};

// Where "<split>/<class>/..." or "<folder>/<split>/<class>/..." splits; nothing if it is neither.
struct SplitPath {
  std::string_view prefix, split, rest;  // prefix and rest without the slashes between
};
std::optional<SplitPath> find_split(std::string_view name, const std::vector<std::string>& candidates) {
  size_t begin = 0;
  for (int depth = 0; depth < 2; ++depth) {
    const size_t end = name.find('/', begin);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view part = name.substr(begin, end - begin);
    for (const auto& candidate : candidates) {
      if (part == candidate) {
        return SplitPath{name.substr(0, begin == 0 ? 0 : begin - 1), part, name.substr(end + 1)};
      }
    }
    begin = end + 1;
  }
  return std::nullopt;
}

}  // namespace

void ImageArchiveConfig::describe(config::Schema& s) {
  s.field("path", path).path().required().doc("A .tar or .tar.gz with train/<class>/*.jpg|png and val/ or test/.");
  s.field("archive_mb", archive_mb)
      .in(1, 1 << 30)  // in bytes it still fits 64 bits
      .unit("MiB")
      .resume_may_change()
      .doc("Most memory that one split's encoded pictures may take.");
}

std::unique_ptr<ImageSource> ImageArchiveConfig::open(const std::string& split) const {
  if (!Env::real().exists(path)) bad_input("data.path: '{}' does not exist", path);
  if (Env::real().is_directory(path)) {
    bad_input("data.path: '{}' is a folder, expected a .tar or .tar.gz; data.source 'image_folder' reads folders",
              path);
  }
  const auto candidates = split_candidates(split);
  std::set<std::string> tops;  // for the message
  uint64_t kept_bytes = 0;
  ArchiveReader reader(path);
  // Split -> class/file -> bytes. Candidates that lose against an earlier one are dropped below.
  std::map<std::string, std::vector<std::pair<std::string, std::string>>> found;
  while (reader.next()) {
    const std::string& name = reader.name();
    if (!is_image_name(name)) continue;
    if (tops.size() < 20) tops.insert(printable_name(name.substr(0, name.find('/'))));
    std::string prefix, rest = name;
    if (split != ".") {
      const auto place = find_split(name, candidates);
      if (!place) continue;
      prefix = place->prefix.empty() ? std::string(place->split) : fmt::format("{}/{}", place->prefix, place->split);
      rest = place->rest;
    }
    const uint64_t limit = static_cast<uint64_t>(archive_mb) << 20;
    if (reader.size() > limit - kept_bytes) {
      bad_input(
          "{}: its pictures take more than data.archive_mb = {} MiB of memory; raise it, or unpack the archive "
          "and use data.source 'image_folder'",
          path, archive_mb);
    }
    kept_bytes += reader.size();
    found[prefix].emplace_back(std::move(rest), reader.read());
  }
  for (const auto& candidate : candidates) {
    for (auto& [prefix, members] : found) {
      const bool is_this = split == "." || prefix == candidate || prefix.ends_with("/" + candidate);
      if (!is_this) continue;
      std::vector<std::string> names;
      std::map<std::string, std::string> bytes;
      for (auto& [name, content] : members) names.push_back(name), bytes.emplace(name, std::move(content));
      ImageTree tree = sort_image_tree(std::move(names), prefix.empty() ? path : path + ": " + prefix);
      std::vector<std::string> ordered;
      for (const auto& file : tree.files) ordered.push_back(std::move(bytes[file]));
      return std::make_unique<ImageArchive>(path, prefix.empty() ? "" : prefix + "/", std::move(tree),
                                            std::move(ordered));
    }
  }
  if (tops.empty())
    bad_input("{}: has no pictures, expected {}/<class>/*.jpg, .jpeg or .png", path, one_of(candidates));
  bad_input("{}: has no pictures in {}/<class>/; it has pictures in: {}", path, one_of(candidates),
            fmt::join(tops, ", "));
}

void register_image_archive(config::Registry<ImageSourceConfig>& registry) {
  registry.add<ImageArchiveConfig>("image_archive", "The same inside a .tar or .tar.gz.");
}

}  // namespace gfsa::data
