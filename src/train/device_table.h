// device_table.h -- what `gfsa-train --devices` shows.
#pragma once

#include <string>

namespace gfsa::train {

// A line for each value of `device` that this build and machine know: what it is, or why it cannot be used and what to
// do about it.
std::string device_table();

}  // namespace gfsa::train
