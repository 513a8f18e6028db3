// log.h -- the face of the logger (spdlog behind it). Everything goes to standard error; standard output belongs to
// results.
#pragma once

#include <spdlog/spdlog.h>

namespace gfsa::log {

using spdlog::debug;
using spdlog::info;
using spdlog::warn;

// "hh:mm:ss level text" on standard error; level from GFSA_LOG (debug, info, warn, error, off) or info.
void set_up();

}  // namespace gfsa::log
