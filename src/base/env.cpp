#include "base/env.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <filesystem>

#include "base/error.h"

namespace gfsa {
namespace {

namespace fs = std::filesystem;

std::string folder_of(const std::string& path) {
  const auto parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

void sync_folder(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail("{}: cannot open the folder to sync it: {}", folder, std::strerror(errno));
  const int rc = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  if (rc != 0) fail("{}: fsync of the folder failed: {}", folder, std::strerror(error));
}

class PosixWritableFile : public WritableFile {
 public:
  explicit PosixWritableFile(std::string path) : path_(std::move(path)), temporary_(path_ + ".tmp") {
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd_ < 0) fail("{}: cannot be written: {}", path_, std::strerror(errno));
  }
  ~PosixWritableFile() override {
    if (fd_ >= 0) ::close(fd_);
    if (!committed_) ::unlink(temporary_.c_str());
  }
  PosixWritableFile(const PosixWritableFile&) = delete;
  PosixWritableFile& operator=(const PosixWritableFile&) = delete;

  void append(const void* data, size_t bytes) override {
    const char* p = static_cast<const char*>(data);
    while (bytes > 0) {
      const ssize_t n = ::write(fd_, p, std::min<size_t>(bytes, 1u << 30));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) fail("{}: write failed: {}", path_, n < 0 ? std::strerror(errno) : "nothing was written");
      p += n, bytes -= static_cast<size_t>(n);
    }
  }
  void commit() override {
    if (::fsync(fd_) != 0) fail("{}: fsync failed: {}", path_, std::strerror(errno));
    const int rc = ::close(fd_);
    fd_ = -1;
    if (rc != 0) fail("{}: close failed: {}", path_, std::strerror(errno));
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("{}: rename failed: {}", path_, std::strerror(errno));
    committed_ = true;
    sync_folder(folder_of(path_));
  }

 private:
  std::string path_, temporary_;
  int fd_ = -1;
  bool committed_ = false;
};

class PosixReadableFile : public ReadableFile {
 public:
  explicit PosixReadableFile(std::string path) : path_(std::move(path)) {
    fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) bad_input("{}: cannot be read: {}", path_, std::strerror(errno));
    struct stat st {};
    const int rc = ::fstat(fd_, &st);
    const int error = errno;
    if (rc == 0 && !S_ISDIR(st.st_mode)) {
      size_ = static_cast<uint64_t>(st.st_size);
      return;
    }
    ::close(fd_);
    if (rc == 0) bad_input("{}: is a folder, expected a file", path_);
    bad_input("{}: cannot be read: {}", path_, std::strerror(error));
  }
  ~PosixReadableFile() override { ::close(fd_); }
  PosixReadableFile(const PosixReadableFile&) = delete;
  PosixReadableFile& operator=(const PosixReadableFile&) = delete;

  uint64_t size() const override { return size_; }
  void read(uint64_t offset, void* data, size_t bytes) override {
    char* p = static_cast<char*>(data);
    while (bytes > 0) {
      const ssize_t n = ::pread(fd_, p, std::min<size_t>(bytes, 1u << 30), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) bad_input("{}: read failed at byte {}: {}", path_, offset, std::strerror(errno));
      if (n == 0) bad_input("{}: ends at byte {}, expected {} more", path_, offset, bytes);
      p += n, offset += static_cast<uint64_t>(n), bytes -= static_cast<size_t>(n);
    }
  }

 private:
  std::string path_;
  int fd_ = -1;
  uint64_t size_ = 0;
};

class PosixEnv : public Env {
 public:
  std::unique_ptr<WritableFile> create(const std::string& path) override {
    return std::make_unique<PosixWritableFile>(path);
  }

  std::unique_ptr<ReadableFile> open(const std::string& path) override {
    return std::make_unique<PosixReadableFile>(path);
  }
  std::string read(const std::string& path, uint64_t max_bytes) override {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) bad_input("{}: cannot be read: {}", path, std::strerror(errno));
    struct Closer {
      int fd;
      ~Closer() { ::close(fd); }
    } closer{fd};
    struct stat st {};
    if (::fstat(fd, &st) != 0) bad_input("{}: cannot be read: {}", path, std::strerror(errno));
    if (S_ISDIR(st.st_mode)) bad_input("{}: is a folder, expected a file", path);
    if (static_cast<uint64_t>(st.st_size) > max_bytes) {
      bad_input("{}: has {} bytes, expected at most {}", path, st.st_size, max_bytes);
    }
    std::string content;
    content.reserve(static_cast<size_t>(st.st_size));
    char buffer[1 << 16];
    while (true) {
      const ssize_t n = ::read(fd, buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) bad_input("{}: read failed: {}", path, std::strerror(errno));
      if (n == 0) return content;
      content.append(buffer, static_cast<size_t>(n));
      if (content.size() > max_bytes) bad_input("{}: has more than the {} bytes expected", path, max_bytes);
    }
  }
  void append(const std::string& path, std::string_view text) override {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) fail("{}: cannot be appended to: {}", path, std::strerror(errno));
    const off_t before = ::lseek(fd, 0, SEEK_END);
    ssize_t n;
    do {
      n = ::write(fd, text.data(), text.size());
    } while (n < 0 && errno == EINTR);
    const std::string why = n < 0 ? std::strerror(errno) : "not all of it was written";
    const bool complete = n == static_cast<ssize_t>(text.size());
    // A torn line is worse than a missing one. If even this fails, readers skip the torn line.
    const bool restored = complete || (before >= 0 && ::ftruncate(fd, before) == 0);
    ::close(fd);
    if (!complete) fail("{}: append failed: {}{}", path, why, restored ? "" : "; its last line is torn");
  }
  bool exists(const std::string& path) override {
    std::error_code ec;
    return fs::exists(path, ec);
  }
  bool is_directory(const std::string& path) override {
    std::error_code ec;
    return fs::is_directory(path, ec);
  }
  void create_directories(const std::string& path) override {
    std::error_code ec;
    std::vector<std::string> parents;  // of folders that are new: their entries must outlive a power cut too
    for (fs::path p = fs::absolute(path, ec); !ec && !fs::exists(p, ec) && !ec; p = p.parent_path()) {
      parents.push_back(p.parent_path().string());
    }
    fs::create_directories(path, ec);
    if (ec) bad_input("{}: cannot be created: {}", path, ec.message());
    for (const auto& parent : parents) sync_folder(parent);
  }
  std::vector<std::string> list(const std::string& directory) override {
    std::error_code ec;
    std::vector<std::string> names;
    for (fs::directory_iterator it(directory, ec), end; !ec && it != end; it.increment(ec)) {
      names.push_back(it->path().filename().string());
    }
    if (ec) bad_input("{}: cannot be listed: {}", directory, ec.message());
    std::sort(names.begin(), names.end());
    return names;
  }
  void remove_all(const std::string& path) override {
    std::error_code ec;
    fs::remove_all(path, ec);
    if (ec) fail("{}: cannot be removed: {}", path, ec.message());
  }
  void rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0)
      fail("{}: cannot be renamed to {}: {}", from, to, std::strerror(errno));
    sync_folder(folder_of(to));
  }
  uint64_t free_bytes(const std::string& path) override {
    struct statvfs st {};
    if (::statvfs(path.c_str(), &st) != 0) fail("{}: cannot ask for free space: {}", path, std::strerror(errno));
    return static_cast<uint64_t>(st.f_bavail) * st.f_frsize;
  }
};

}  // namespace

Env& Env::real() {
  static PosixEnv env;
  return env;
}

void Env::write(const std::string& path, std::string_view content) {
  auto file = create(path);
  file->append(content);
  file->commit();
}

double monotonic_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string utc_time_now() {
  const std::time_t now = std::time(nullptr);
  std::tm tm{};
  gmtime_r(&now, &tm);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
  return text;
}

}  // namespace gfsa
