#include "base/error.h"

#include <fmt/ranges.h>

namespace gfsa {

void ErrorList::throw_if_any() const {
  if (!lines_.empty()) throw Error(kExitBadInput, fmt::format("{}", fmt::join(lines_, "\n")));
}

}  // namespace gfsa
