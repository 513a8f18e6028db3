// progress.h -- what a person sees while a run goes on: one line that renews itself on a terminal, plain lines at
// intervals elsewhere (log files, batch systems).
#pragma once

#include <cstdint>
#include <string>

namespace gfsa::train {

struct ProgressLine {
  int64_t step = 0, steps = 0;
  double epoch = 0;  // 3.25: a quarter into the fourth
  double loss = 0, learning_rate = 0, grad_norm = 0;
  double samples_per_second = 0;
  double eta_seconds = 0;
  double waiting_share = 0;   // of the time, spent waiting for data
  uint64_t memory_bytes = 0;  // arena's peak
};

std::string to_text(const ProgressLine& line);

class Progress {
 public:
  // plain_interval_seconds: between two plain lines, where standard error is not a terminal.
  explicit Progress(double plain_interval_seconds = 10);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(const ProgressLine& line, bool last = false);
  // A line of its own, above the renewing one.
  void message(const std::string& text);
  void warning(const std::string& text);

 private:
  void clear();
  bool terminal_;
  bool shown_ = false;
  double interval_, last_time_ = -1e9;
};

}  // namespace gfsa::train
