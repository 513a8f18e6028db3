// faulty_env.h -- the real file system, except for what a test says: an operation that fails, waits, or a disk that is
// full. Nothing is synced, so that a test can write thousands of files.
#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "base/env.h"
#include "base/error.h"

namespace gfsa::test {

class FaultyEnv : public Env {
 public:
  // Called ahead of (`before`) or behind (`after`) each operation with its name and path: create, append, commit, open,
  // read, append_log, create_directories, list, remove_all, rename (path: the new name), exists. What it throws, the
  // operation throws; behind, the operation has been done. From any thread that uses the Env.
  using Hook = std::function<void(const std::string& operation, const std::string& path)>;
  Hook before, after;
  std::optional<uint64_t> free;  // what free_bytes says

  std::unique_ptr<WritableFile> create(const std::string& path) override {
    return with("create", path, [&] { return std::make_unique<File>(*this, path); });
  }
  std::unique_ptr<ReadableFile> open(const std::string& path) override {
    return with("open", path, [&] { return real_.open(path); });
  }
  std::string read(const std::string& path, uint64_t max_bytes) override {
    return with("read", path, [&] { return real_.read(path, max_bytes); });
  }
  void append(const std::string& path, std::string_view text) override {
    with("append_log", path, [&] { real_.append(path, text); });
  }
  bool exists(const std::string& path) override {
    return with("exists", path, [&] { return real_.exists(path); });
  }
  bool is_directory(const std::string& path) override { return real_.is_directory(path); }
  void create_directories(const std::string& path) override {
    with("create_directories", path, [&] { real_.create_directories(path); });
  }
  std::vector<std::string> list(const std::string& directory) override {
    return with("list", directory, [&] { return real_.list(directory); });
  }
  void remove_all(const std::string& path) override {
    with("remove_all", path, [&] { real_.remove_all(path); });
  }
  void rename(const std::string& from, const std::string& to) override {
    with("rename", to, [&] {
      std::error_code error;
      std::filesystem::rename(from, to, error);
      if (error) fail("{}: cannot be renamed to {}: {}", from, to, error.message());
    });
  }
  uint64_t free_bytes(const std::string& path) override { return free ? *free : real_.free_bytes(path); }

 private:
  class File : public WritableFile {
   public:
    File(FaultyEnv& env, std::string path)
        : env_(env), path_(std::move(path)), file_(path_ + ".tmp", std::ios::binary | std::ios::trunc) {
      if (!file_) fail("{}: cannot be written", path_);
    }
    ~File() override {
      std::error_code ignored;
      if (!committed_) std::filesystem::remove(path_ + ".tmp", ignored);
    }
    void append(const void* data, size_t bytes) override {
      env_.with("append", path_,
                [&] { file_.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes)); });
    }
    void commit() override {
      env_.with("commit", path_, [&] {
        file_.close();
        std::filesystem::rename(path_ + ".tmp", path_);
        committed_ = true;
      });
    }

   private:
    FaultyEnv& env_;
    std::string path_;
    std::ofstream file_;
    bool committed_ = false;
  };

  template <class F>
  std::invoke_result_t<const F&> with(const char* operation, const std::string& path, const F& action) {
    if (before) before(operation, path);
    if constexpr (std::is_void_v<std::invoke_result_t<const F&>>) {
      action();
      if (after) after(operation, path);
    } else {
      auto result = action();
      if (after) after(operation, path);
      return result;
    }
  }

  Env& real_ = Env::real();
};

}  // namespace gfsa::test
