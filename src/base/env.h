// env.h -- every file that the project writes, and every whole file that it reads, goes through Env, so that a wrapper
// can inject faults (tests) and every write is durable by the same recipe: write beside, fsync, rename, fsync the
// folder.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace gfsa {

// A file under construction. Nothing appears under the final name before commit(); a WritableFile destroyed without
// commit() removes what it wrote.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  // Throws Error (exit code 1) naming the file and errno's text.
  virtual void append(const void* data, size_t bytes) = 0;
  void append(std::string_view text) { append(text.data(), text.size()); }
  // Flush, fsync, rename to the final name, fsync the folder.
  virtual void commit() = 0;
};

// A file that is read in pieces.
class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  virtual uint64_t size() const = 0;
  // Exactly `bytes` bytes from `offset` on. Throws bad input naming the file if it ends before, or cannot be read.
  virtual void read(uint64_t offset, void* data, size_t bytes) = 0;
};

class Env {
 public:
  virtual ~Env() = default;
  // The process's file system.
  static Env& real();

  virtual std::unique_ptr<WritableFile> create(const std::string& path) = 0;
  // Throws bad input if it does not exist, is a folder, or cannot be opened.
  virtual std::unique_ptr<ReadableFile> open(const std::string& path) = 0;
  // Whole file. Throws bad input if it does not exist, is a folder, or cannot be read; max_bytes guards against
  // nonsense.
  virtual std::string read(const std::string& path, uint64_t max_bytes = UINT64_MAX) = 0;
  // Adds text to the end of a file (made if absent) in one write; for logs. Throws (exit code 1) if not all of it could
  // be written; the file is then as long as before.
  virtual void append(const std::string& path, std::string_view text) = 0;
  virtual bool exists(const std::string& path) = 0;
  virtual bool is_directory(const std::string& path) = 0;
  virtual void create_directories(const std::string& path) = 0;
  // Names (not paths), sorted bytewise.
  virtual std::vector<std::string> list(const std::string& directory) = 0;
  virtual void remove_all(const std::string& path) = 0;
  virtual void rename(const std::string& from, const std::string& to) = 0;
  virtual uint64_t free_bytes(const std::string& path) = 0;

  // create + append + commit.
  void write(const std::string& path, std::string_view content);
};

double monotonic_seconds();
// 2026-11-24T21:27:42Z
std::string utc_time_now();

}  // namespace gfsa
