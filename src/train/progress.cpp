#include "train/progress.h"

#include <unistd.h>

#include <cstdio>

#include "base/env.h"
#include "base/log.h"
#include "base/strings.h"

namespace gfsa::train {

std::string to_text(const ProgressLine& p) {
  return fmt::format(
      "step {}/{}  epoch {:.2f}  loss {:.4f}  lr {:.3g}  |g| {:.3g}  {:.1f} samples/s  data wait {:.0f}%  {}  ETA {}",
      p.step, p.steps, p.epoch, p.loss, p.learning_rate, p.grad_norm, p.samples_per_second, 100 * p.waiting_share,
      human_bytes(static_cast<double>(p.memory_bytes)), human_seconds(p.eta_seconds));
}

Progress::Progress(double plain_interval_seconds)
    : terminal_(::isatty(STDERR_FILENO) != 0), interval_(plain_interval_seconds) {}

Progress::~Progress() { clear(); }

void Progress::clear() {
  if (shown_) std::fputs("\r\x1b[K", stderr);
  shown_ = false;
}

void Progress::update(const ProgressLine& line, bool last) {
  constexpr double kTerminalInterval = 0.2;
  const double now = monotonic_seconds();
  if (!last && now - last_time_ < (terminal_ ? kTerminalInterval : interval_)) return;
  last_time_ = now;
  if (!terminal_) return log::info("{}", to_text(line));
  std::fprintf(stderr, "\r\x1b[K%s", to_text(line).c_str());
  std::fflush(stderr);
  shown_ = true;
}

void Progress::message(const std::string& text) {
  clear();
  log::info("{}", text);
}
void Progress::warning(const std::string& text) {
  clear();
  log::warn("{}", text);
}

}  // namespace gfsa::train
