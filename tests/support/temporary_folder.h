// temporary_folder.h -- a folder of a test's own, gone with the object.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/error.h"

namespace gfsa::test {

class TemporaryFolder {
 public:
  TemporaryFolder() : TemporaryFolder(std::filesystem::temp_directory_path().string()) {}
  // In memory where Linux offers that: for tests that make many small runs, each of which would wait for the disk.
  static TemporaryFolder in_memory() {
    const std::filesystem::path memory = "/dev/shm";
    std::error_code none;
    const bool has_room = std::filesystem::is_directory(memory, none) &&
                          std::filesystem::space(memory, none).available >= (uint64_t{32} << 20) && !none;
    return has_room ? TemporaryFolder(memory.string()) : TemporaryFolder();
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  explicit TemporaryFolder(const std::string& parent) : path_(parent + "/gfsa_test_XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) fail("{}: no temporary folder", path_);
  }
  std::string path_;
};

}  // namespace gfsa::test
