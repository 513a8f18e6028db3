#include "train/run_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/env.h"
#include "base/error.h"
#include "base/log.h"

namespace gfsa::train {
namespace {

namespace fs = std::filesystem;

std::string host_name() {
  char name[HOST_NAME_MAX + 1] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

struct Holder {
  int64_t pid = 0;
  std::string host, started;

  std::string text() const { return fmt::format("process {} on {}, since {}", pid, host, started); }
  bool is_here() const { return host == host_name(); }
  bool is_alive_here() const {
    return is_here() && (::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM) && pid != ::getpid();
  }
};

std::string content_of_this_process() {
  nlohmann::ordered_json j;
  j["pid"] = ::getpid();
  j["host"] = host_name();
  j["started"] = utc_time_now();
  return j.dump() + "\n";
}

// Nothing if the file is empty or torn: its process was killed while it wrote this.
std::optional<Holder> holder_in(int fd) {
  char text[4096];
  const ssize_t n = ::pread(fd, text, sizeof text, 0);
  if (n <= 0) return std::nullopt;
  const auto j = nlohmann::json::parse(text, text + n, nullptr, false);
  if (!j.is_object()) return std::nullopt;
  Holder h;
  const auto pid = j.find("pid"), host = j.find("host"), started = j.find("started");
  if (pid == j.end() || !pid->is_number_integer() || host == j.end() || !host->is_string()) return std::nullopt;
  h.pid = pid->get<int64_t>();
  if (h.pid <= 0 || h.pid > INT_MAX) return std::nullopt;
  h.host = host->get<std::string>();
  h.started = started != j.end() && started->is_string() ? started->get<std::string>() : "an unknown time";
  return h;
}

bool same_file(int fd, const std::string& path) {
  struct stat open_file {
  }, named_file{};
  return ::fstat(fd, &open_file) == 0 && ::stat(path.c_str(), &named_file) == 0 &&
         open_file.st_dev == named_file.st_dev && open_file.st_ino == named_file.st_ino;
}

[[noreturn]] void refuse(const std::string& path, const std::optional<Holder>& holder, const std::string& more = "") {
  const std::string run = fs::path(path).parent_path().string();
  bad_input("{}: another process is at work on this run: {} ({}). Wait for its end, stop it, or use another run_dir{}",
            run, holder ? holder->text() : "it has not said which", path, more);
}

void report_stale(const std::string& path, const std::optional<Holder>& holder) {
  log::info("{}: left behind by {}, which holds it no longer; taken over", path,
            holder ? holder->text() : "a process that was killed");
}

}  // namespace

RunLock::RunLock(const std::string& run_dir, Flock flock) : path_(run_dir + "/lock") {
  try {
    make_folders(run_dir);
    acquire(flock != nullptr ? flock : ::flock);
  } catch (...) {
    release();
    throw;
  }
}

RunLock::~RunLock() {
  if (::unlink(path_.c_str()) != 0 && errno != ENOENT) {
    log::warn("{}: cannot be removed: {}; the next run here will take it over", path_, std::strerror(errno));
  }
  release();
}

void RunLock::release() {
  if (fd_ >= 0) ::close(fd_);
  for (auto folder = made_.rbegin(); folder != made_.rend(); ++folder) ::rmdir(folder->c_str());
}

void RunLock::make_folders(const std::string& run_dir) {
  std::vector<std::string> missing;
  std::error_code ignored;
  for (fs::path folder = fs::path(run_dir).lexically_normal(); !folder.empty() && !fs::exists(folder, ignored);
       folder = folder.parent_path()) {
    if (folder.has_filename()) missing.push_back(folder.string());
  }
  made_.assign(missing.rbegin(), missing.rend());
  Env::real().create_directories(run_dir);
}

void RunLock::acquire(Flock flock) {
  // A holder that ends removes the file, so that what was opened may no longer be what has the name.
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0 && errno == ENOENT) {  // it took the folder with it
      make_folders(fs::path(path_).parent_path());
      continue;
    }
    if (fd_ < 0) bad_input("{}: cannot be written: {}", path_, std::strerror(errno));
    int rc;
    do {
      rc = flock(fd_, LOCK_EX | LOCK_NB);
    } while (rc != 0 && errno == EINTR);
    const int error = errno;
    const auto holder = holder_in(fd_);
    struct stat st {};
    const bool was_there = ::fstat(fd_, &st) == 0 && st.st_size > 0;
    if (rc != 0 && error == EWOULDBLOCK) refuse(path_, holder);
    if (rc != 0 && (error == ENOLCK || error == EOPNOTSUPP || error == ENOSYS)) {
      log::warn("{}: this file system has no locks ({}); going by whether the process that the file names is alive",
                path_, std::strerror(error));
      if (holder && holder->is_alive_here()) refuse(path_, holder);
      if (holder && !holder->is_here()) {
        refuse(path_, holder, fmt::format("; if that process has ended, remove {}", path_));
      }
    } else if (rc != 0) {
      if (!was_there) ::unlink(path_.c_str());
      fail("{}: cannot be locked: {}", path_, std::strerror(error));
    } else if (!same_file(fd_, path_)) {
      ::close(fd_);
      fd_ = -1;
      continue;
    }
    if (was_there) report_stale(path_, holder);
    const std::string content = content_of_this_process();
    if (::ftruncate(fd_, 0) == 0 &&
        ::pwrite(fd_, content.data(), content.size(), 0) == static_cast<ssize_t>(content.size())) {
      return;
    }
    const std::string why = std::strerror(errno);
    ::unlink(path_.c_str());
    fail("{}: write failed: {}", path_, why);
  }
  fail("{}: cannot be locked: other processes make and remove it all the time", path_);
}

std::string RunLock::live_holder(const std::string& run_dir) {
  const int fd = ::open((run_dir + "/lock").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  const auto holder = holder_in(fd);
  ::close(fd);
  return holder && holder->is_alive_here() ? holder->text() : "";
}

}  // namespace gfsa::train
