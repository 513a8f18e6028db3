// version.h -- which build this is.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace gfsa::train {

// Defined in a file that third_party/version.cmake writes when something is built, so that a commit makes nothing else
// be compiled again.
std::string version();  // "0.1.0"
// "1a2b3c4d5e6f", with "-dirty" if files differed from it, or "unknown" outside of a git checkout
std::string commit();
std::string compiler();  // "GNU 12.2.0"
// Names and versions of the libraries that it was configured with: {"oneDNN", "2.6.3"}, ...
std::vector<std::pair<std::string, std::string>> libraries();

}  // namespace gfsa::train
