// image_tree.h -- the layout <class>/<anything>.jpg|jpeg|png, the same for folders and archives: which files, which
// classes, in which order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gfsa::data {

struct ImageTree {
  std::vector<std::string> classes;  // sorted bytewise
  std::vector<std::string> files;    // "<class>/<rest>", sorted by class, then by the rest, bytewise
  std::vector<int64_t> labels;       // of files
};

// By extension (.jpg, .jpeg, .png in any case); a file whose name starts with a dot is none.
bool is_image_name(std::string_view path);

// From paths "<class>/<rest>" in any order; others are left out. Throws bad input that starts with `where` if nothing
// is left.
ImageTree sort_image_tree(std::vector<std::string> paths, const std::string& where);

}  // namespace gfsa::data
