#include "data/image/sources/image_folder.h"

#include <filesystem>
#include <utility>

#include "base/env.h"
#include "base/strings.h"
#include "data/image/sources/image_tree.h"

namespace gfsa::data {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxFileBytes = 1 << 30;  // of one picture
constexpr int kDeepest = 16;                 // folders in folders; links that lead back would never end

class ImageFolder : public ImageSource {
 public:
  ImageFolder(std::string root, ImageTree tree) : root_(std::move(root)), tree_(std::move(tree)) {}

  int64_t size() const override { return static_cast<int64_t>(tree_.files.size()); }
  std::string sample_name(int64_t i) const override { return root_ + "/" + tree_.files[static_cast<size_t>(i)]; }
  int64_t label(int64_t i) const override { return tree_.labels[static_cast<size_t>(i)]; }
  const std::vector<std::string>& class_names() const override { return tree_.classes; }

  ImageSample get(int64_t i) const override {
    const std::string name = sample_name(i), bytes = Env::real().read(name, kMaxFileBytes);
    ImageSample sample;
    sample.image = decode_image({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, name);
    sample.label = label(i);
    return sample;
  }

  // Names and sizes; reading every file would take hours on ImageNet.
  std::string fingerprint() const override {
    Fingerprint hash;
    for (int64_t i = 0; i < size(); ++i) {
      std::error_code error;
      const auto bytes = fs::file_size(sample_name(i), error);
      hash.add(tree_.files[static_cast<size_t>(i)]);
      hash.add(error ? int64_t{-1} : static_cast<int64_t>(bytes));
    }
    return fmt::format("image_folder {} pictures, {} classes, names and sizes {}", size(), tree_.classes.size(),
                       hash.hex());
  }

 private:
  std::string root_;
  ImageTree tree_;
};

// Every file below root, relative to it.
std::vector<std::string> files_below(const std::string& root) {
  std::vector<std::string> out;
  try {
    const size_t prefix = root.size() + (root.back() == '/' ? 0 : 1);
    const auto follow = fs::directory_options::follow_directory_symlink;
    for (fs::recursive_directory_iterator it(root, follow), end; it != end; ++it) {
      if (it.depth() > kDeepest) {
        bad_input("{}: folders are nested deeper than {} levels; does a link lead back?", it->path().string(),
                  kDeepest);
      }
      std::string path = it->path().string().substr(prefix);
      if (is_image_name(path) && it->is_regular_file()) out.push_back(std::move(path));
    }
  } catch (const fs::filesystem_error& e) {
    bad_input("{}: cannot be listed: {}", root, e.code().message());
  }
  return out;
}

}  // namespace

void ImageFolderConfig::describe(config::Schema& s) {
  s.field("path", path).path().required().doc("Folder that holds train/<class>/*.jpg|png and val/ or test/ likewise.");
}

std::unique_ptr<ImageSource> ImageFolderConfig::open(const std::string& split) const {
  Env& env = Env::real();
  if (!env.exists(path)) bad_input("data.path: '{}' does not exist", path);
  if (!env.is_directory(path)) {
    bad_input("data.path: '{}' is a file, expected a folder; data.source 'image_archive' reads archives", path);
  }
  for (const auto& name : split_candidates(split)) {
    const std::string root = name == "." ? path : path + "/" + name;
    if (env.is_directory(root)) return std::make_unique<ImageFolder>(root, sort_image_tree(files_below(root), root));
  }
  bad_input("data.path: '{}' has no folder {}; it has {}. A split named '.' means '{}' itself", path,
            one_of(split_candidates(split)), fmt::join(env.list(path), ", "), path);
}

void register_image_folder(config::Registry<ImageSourceConfig>& registry) {
  registry.add<ImageFolderConfig>("image_folder", "<path>/<split>/<class>/*.jpg|png, ImageNet's layout.");
}

}  // namespace gfsa::data
