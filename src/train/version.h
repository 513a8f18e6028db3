// version.h -- which build this is.
#pragma once

#include <string>

namespace gfsa::train {

// Defined in a file that third_party/version.cmake writes when something is built, so that a commit makes nothing else
// be compiled again.
std::string version();  // "0.1.0"
std::string
commit();  // "1a2b3c4d5e6f", with "-dirty" if files differed from it, or "unknown" outside of a git checkout

}  // namespace gfsa::train
