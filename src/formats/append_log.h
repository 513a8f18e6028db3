// append_log.h -- a file that only grows (metrics, events). What cannot be written does not end the program: it waits
// in memory and is tried again with the next.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/env.h"

namespace gfsa {

// Not thread safe.
class AppendLog {
 public:
  // Goes on at the end of the file if there is one. Nothing is made before the first text comes; then its folder too.
  AppendLog(Env& env, std::string path);

  const std::string& path() const { return path_; }
  // Takes text and flushes.
  void append(std::string_view text);
  // Takes text that waits for the next flush.
  void add(std::string_view text) { waiting_ += text; }
  // Tries to write what waits, in one write; returns whether nothing waits any more. Warns once when it begins to fail,
  // and says when it has succeeded again. A piece that an earlier try left in the file is cut off first.
  bool flush();
  bool written() const { return waiting_.empty(); }
  // Why the last flush failed, naming the file; "" if it did not.
  const std::string& trouble() const { return trouble_; }

 private:
  void write_waiting();

  Env& env_;
  std::string path_, waiting_, trouble_;
  std::optional<uint64_t> length_;  // of the file, as far as it is whole; nothing before the first flush
};

}  // namespace gfsa
