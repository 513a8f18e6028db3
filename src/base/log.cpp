#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

#include <cstdlib>
#include <memory>

namespace gfsa::log {

void set_up() {
  auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  auto logger = std::make_shared<spdlog::logger>("gfsa", sink);
  logger->set_pattern("%H:%M:%S %^%l%$ %v");
  spdlog::set_default_logger(logger);
  const char* level = std::getenv("GFSA_LOG");
  spdlog::set_level(spdlog::level::from_str(level != nullptr ? level : "info"));
}

}  // namespace gfsa::log
