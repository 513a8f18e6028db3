// tensorboard.h -- scalars as TensorBoard event files: TFRecord framing around hand-encoded Event messages
// (tensorflow's event.proto and summary.proto: wall_time 1, step 2, file_version 3, summary 5 { value 1 { tag 1,
// simple_value 2 } }).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/env.h"
#include "formats/append_log.h"

namespace gfsa {

// CRC-32C (Castagnoli), as TFRecord uses it.
uint32_t crc32c(std::string_view bytes);

// One new file <directory>/events.out.tfevents.<unix time>.<host>, which TensorBoard can follow while it grows. Each
// flush is one write to the file, so a crash loses nothing but what it interrupts; what cannot be written waits
// (append_log.h). Not thread safe.
class TensorBoardWriter {
 public:
  // Makes the directory too if it is not there.
  TensorBoardWriter(Env& env, const std::string& directory);

  const std::string& path() const { return log_.path(); }
  AppendLog& log() { return log_; }
  // All values of one step in one event, which waits for log().flush().
  void add(int64_t step, const std::vector<std::pair<std::string, double>>& values);
  // And flushes.
  void scalars(int64_t step, const std::vector<std::pair<std::string, double>>& values);
  void scalar(std::string_view tag, int64_t step, double value);

 private:
  void add_event(const std::string& event);

  AppendLog log_;
};

}  // namespace gfsa
