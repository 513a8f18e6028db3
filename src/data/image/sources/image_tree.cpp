#include "data/image/sources/image_tree.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "base/error.h"

namespace gfsa::data {
namespace {

std::pair<std::string_view, std::string_view> class_and_rest(std::string_view path) {
  const size_t slash = path.find('/');
  return {path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace

bool is_image_name(std::string_view path) {
  const size_t slash = path.rfind('/');
  const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || name.front() == '.') return false;
  std::string extension(name.substr(dot + 1));
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension == "jpg" || extension == "jpeg" || extension == "png";
}

ImageTree sort_image_tree(std::vector<std::string> paths, const std::string& where) {
  std::erase_if(paths, [](const std::string& path) {
    const size_t slash = path.find('/');
    return slash == std::string::npos || slash == 0 || path[0] == '.' || !is_image_name(path);
  });
  if (paths.empty()) bad_input("{}: no pictures, expected <class>/*.jpg, .jpeg or .png", where);
  std::sort(paths.begin(), paths.end(),
            [](const std::string& a, const std::string& b) { return class_and_rest(a) < class_and_rest(b); });
  ImageTree tree;
  tree.files = std::move(paths);
  for (const auto& file : tree.files) {
    const auto name = class_and_rest(file).first;
    if (tree.classes.empty() || tree.classes.back() != name) tree.classes.emplace_back(name);
    tree.labels.push_back(static_cast<int64_t>(tree.classes.size()) - 1);
  }
  return tree;
}

}  // namespace gfsa::data
