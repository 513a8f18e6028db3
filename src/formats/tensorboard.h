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

namespace gfsa {

// CRC-32C (Castagnoli), as TFRecord uses it.
uint32_t crc32c(std::string_view bytes);

// One new file <directory>/events.out.tfevents.<unix time>.<host>, which TensorBoard can follow while it grows. Each
// call is one write to the file, so a crash loses nothing but a call in progress. Not thread safe.
class TensorBoardWriter {
 public:
  // The directory must exist. Throws (exit code 1) if the file cannot be made.
  explicit TensorBoardWriter(const std::string& directory);
  ~TensorBoardWriter();
  TensorBoardWriter(const TensorBoardWriter&) = delete;
  TensorBoardWriter& operator=(const TensorBoardWriter&) = delete;

  const std::string& path() const { return path_; }
  void scalar(std::string_view tag, int64_t step, double value);
  // All values of one step in one event.
  void scalars(int64_t step, const std::vector<std::pair<std::string, double>>& values);

 private:
  void write_event(const std::string& event);

  std::string path_;
  int fd_ = -1;
};

}  // namespace gfsa
