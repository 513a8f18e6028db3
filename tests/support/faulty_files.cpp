// faulty_files.cpp -- a library for LD_PRELOAD that lets chosen system calls on chosen files fail, for tests.
//
//   GFSA_FAULT_UNDER=FOLDER   only files below it count (absolute, no symbolic links in it)
//   GFSA_FAULT=write:17:ENOSPC[,...]
//       KIND:K:ACTION    the K-th call of that kind (from 1); K+ that and every later one; K-L those from K to L
//       kinds            open, read, write, fsync, rename, truncate, close, unlink, mkdir, list, flock
//       actions          an errno name (ENOSPC, EIO, EACCES, EROFS, EDQUOT, ENOLCK, EMFILE); short: half of a read or
//                        write is done and reported as such; full: the first write is done by half, all later ones meet
//                        ENOSPC
//   GFSA_FAULT_LOG=FILE       a line "KIND K ACTION PATH" a fault; at exit a line "KIND calls N" a kind
//
// A failing close closes nevertheless; everything else that fails does nothing.
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

enum Kind { kOpen, kRead, kWrite, kFsync, kRename, kTruncate, kClose, kUnlink, kMkdir, kList, kFlock, kKinds };
constexpr const char* kNames[kKinds] = {"open",  "read",   "write", "fsync", "rename", "truncate",
                                        "close", "unlink", "mkdir", "list",  "flock"};

constexpr int kShort = -1, kFull = -2;
struct Fault {
  int kind = kKinds;
  long first = 0, last = 0;
  int action = 0;  // an errno, kShort or kFull
  const char* name = "";
};

struct Errno {
  const char* name;
  int value;
};
constexpr Errno kErrnos[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO},       {"EACCES", EACCES},
                             {"EROFS", EROFS},   {"EDQUOT", EDQUOT}, {"ENOLCK", ENOLCK},
                             {"EMFILE", EMFILE}, {"short", kShort},  {"full", kFull}};

Fault faults[8];
int fault_count = 0;
std::atomic<long> calls[kKinds];
char under[PATH_MAX] = "";
size_t under_length = 0;
int log_fd = -1;

template <class F>
F* real(const char* name, F*) {
  return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}
#define REAL(name) real(#name, static_cast<decltype(name)*>(nullptr))

void log_line(const char* format, ...) {
  if (log_fd < 0) return;
  char line[PATH_MAX + 100];
  va_list arguments;
  va_start(arguments, format);
  const int n = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  static const auto real_write = REAL(write);
  if (n > 0 && real_write(log_fd, line, static_cast<size_t>(n)) < 0) abort();
}

[[noreturn]] void misuse(const char* what, const char* text) {
  fprintf(stderr, "faulty_files: %s: %s\n", what, text);
  _exit(99);
}

void parse(char* spec) {
  char* outer = nullptr;
  for (char* one = strtok_r(spec, ",", &outer); one != nullptr; one = strtok_r(nullptr, ",", &outer)) {
    if (fault_count == 8) misuse("too many faults", one);
    Fault& f = faults[fault_count];
    char* inner = nullptr;
    const char* kind = strtok_r(one, ":", &inner);
    char* range = strtok_r(nullptr, ":", &inner);
    const char* action = strtok_r(nullptr, ":", &inner);
    if (kind == nullptr || range == nullptr || action == nullptr) misuse("expected KIND:K:ACTION", spec);
    for (int k = 0; k < kKinds; ++k) {
      if (strcmp(kNames[k], kind) == 0) f.kind = k;
    }
    for (const auto& e : kErrnos) {
      if (strcmp(e.name, action) == 0) f.action = e.value, f.name = e.name;
    }
    char* rest = nullptr;
    f.first = f.last = strtol(range, &rest, 10);
    if (*rest == '+') f.last = LONG_MAX;
    if (*rest == '-') f.last = strtol(rest + 1, nullptr, 10);
    if (f.action == kFull && *rest == 0) f.last = LONG_MAX;
    if (f.kind == kKinds || f.action == 0 || f.first < 1) misuse("expected KIND:K:ACTION", kind);
    ++fault_count;
  }
}

__attribute__((constructor)) void begin() {
  const char* folder = getenv("GFSA_FAULT_UNDER");
  if (folder == nullptr) return;
  snprintf(under, sizeof under, "%s/", folder);
  under_length = strlen(under);
  if (const char* file = getenv("GFSA_FAULT_LOG")) {
    log_fd = REAL(open)(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) misuse("the log cannot be written", file);
  }
  static char spec[1024];
  if (const char* text = getenv("GFSA_FAULT")) {
    snprintf(spec, sizeof spec, "%s", text);
    parse(spec);
  }
}

__attribute__((destructor)) void end() {
  for (int k = 0; k < kKinds; ++k) log_line("%s calls %ld\n", kNames[k], calls[k].load());
}

bool path_of_descriptor(int fd, char* path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, PATH_MAX - 1);
  if (n <= 0) return false;
  path[n] = '\0';
  return true;
}

bool absolute(int folder, const char* name, char* path) {
  if (name == nullptr) return false;
  char base[PATH_MAX] = "";
  if (name[0] != '/') {
    if (folder == AT_FDCWD ? getcwd(base, sizeof base) == nullptr : !path_of_descriptor(folder, base)) return false;
  }
  return snprintf(path, PATH_MAX, "%s%s%s", base, base[0] != '\0' ? "/" : "", name) < PATH_MAX;
}

// Counts a call on `path`; the action it is to meet, or 0.
int meet(Kind kind, const char* path) {
  if (strncmp(path, under, under_length) != 0) return 0;
  const long k = ++calls[kind];
  for (int i = 0; i < fault_count; ++i) {
    const Fault& f = faults[i];
    if (f.kind != kind || k < f.first || k > f.last) continue;
    log_line("%s %ld %s %s\n", kNames[kind], k, f.name, path);
    if (f.action == kFull) return k == f.first ? kShort : ENOSPC;
    return f.action;
  }
  return 0;
}

int on_path(Kind kind, int folder, const char* name) {
  char path[PATH_MAX];
  return under_length > 0 && absolute(folder, name, path) ? meet(kind, path) : 0;
}
int on_descriptor(Kind kind, int fd) {
  char path[PATH_MAX];
  return under_length > 0 && fd > 2 && fd != log_fd && path_of_descriptor(fd, path) ? meet(kind, path) : 0;
}

mode_t mode_of(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? static_cast<mode_t>(va_arg(arguments, int)) : 0;
}

size_t half(size_t bytes) { return bytes > 1 ? bytes / 2 : bytes; }

}  // namespace

// The call fails with errno if that is what the action says.
#define FAIL_WITH(action, result) \
  if ((action) > 0) {             \
    errno = (action);             \
    return result;                \
  }

extern "C" {

#define DEFINE_OPEN(function)                          \
  int function(const char* path, int flags, ...) {     \
    va_list arguments;                                 \
    va_start(arguments, flags);                        \
    const mode_t mode = mode_of(flags, arguments);     \
    va_end(arguments);                                 \
    const int action = on_path(kOpen, AT_FDCWD, path); \
    FAIL_WITH(action, -1)                              \
    static const auto call = REAL(function);           \
    return call(path, flags, mode);                    \
  }
#define DEFINE_OPENAT(function)                                \
  int function(int folder, const char* path, int flags, ...) { \
    va_list arguments;                                         \
    va_start(arguments, flags);                                \
    const mode_t mode = mode_of(flags, arguments);             \
    va_end(arguments);                                         \
    const int action = on_path(kOpen, folder, path);           \
    FAIL_WITH(action, -1)                                      \
    static const auto call = REAL(function);                   \
    return call(folder, path, flags, mode);                    \
  }
DEFINE_OPEN(open)
DEFINE_OPEN(open64)
DEFINE_OPENAT(openat)
DEFINE_OPENAT(openat64)

int creat(const char* path, mode_t mode) {
  const int action = on_path(kOpen, AT_FDCWD, path);
  FAIL_WITH(action, -1)
  static const auto call = REAL(creat);
  return call(path, mode);
}

ssize_t read(int fd, void* data, size_t bytes) {
  const int action = on_descriptor(kRead, fd);
  FAIL_WITH(action, -1)
  static const auto call = REAL(read);
  return call(fd, data, action == kShort ? half(bytes) : bytes);
}
#define DEFINE_PREAD(function)                                             \
  ssize_t function(int fd, void* data, size_t bytes, off_t offset) {       \
    const int action = on_descriptor(kRead, fd);                           \
    FAIL_WITH(action, -1)                                                  \
    static const auto call = REAL(function);                               \
    return call(fd, data, action == kShort ? half(bytes) : bytes, offset); \
  }
DEFINE_PREAD(pread)
DEFINE_PREAD(pread64)

ssize_t write(int fd, const void* data, size_t bytes) {
  const int action = on_descriptor(kWrite, fd);
  FAIL_WITH(action, -1)
  static const auto call = REAL(write);
  return call(fd, data, action == kShort ? half(bytes) : bytes);
}
#define DEFINE_PWRITE(function)                                            \
  ssize_t function(int fd, const void* data, size_t bytes, off_t offset) { \
    const int action = on_descriptor(kWrite, fd);                          \
    FAIL_WITH(action, -1)                                                  \
    static const auto call = REAL(function);                               \
    return call(fd, data, action == kShort ? half(bytes) : bytes, offset); \
  }
DEFINE_PWRITE(pwrite)
DEFINE_PWRITE(pwrite64)
ssize_t writev(int fd, const iovec* pieces, int count) {
  const int action = on_descriptor(kWrite, fd);
  FAIL_WITH(action, -1)
  static const auto call = REAL(writev);
  return call(fd, pieces, action == kShort && count > 1 ? 1 : count);
}

int fsync(int fd) {
  const int action = on_descriptor(kFsync, fd);
  FAIL_WITH(action, -1)
  static const auto call = REAL(fsync);
  return call(fd);
}
int fdatasync(int fd) {
  const int action = on_descriptor(kFsync, fd);
  FAIL_WITH(action, -1)
  static const auto call = REAL(fdatasync);
  return call(fd);
}

int rename(const char* from, const char* to) {
  const int action = on_path(kRename, AT_FDCWD, to);
  FAIL_WITH(action, -1)
  static const auto call = REAL(rename);
  return call(from, to);
}
int renameat(int from_folder, const char* from, int to_folder, const char* to) {
  const int action = on_path(kRename, to_folder, to);
  FAIL_WITH(action, -1)
  static const auto call = REAL(renameat);
  return call(from_folder, from, to_folder, to);
}

#define DEFINE_FTRUNCATE(function)                   \
  int function(int fd, off_t length) {               \
    const int action = on_descriptor(kTruncate, fd); \
    FAIL_WITH(action, -1)                            \
    static const auto call = REAL(function);         \
    return call(fd, length);                         \
  }
DEFINE_FTRUNCATE(ftruncate)
DEFINE_FTRUNCATE(ftruncate64)

int close(int fd) {
  const int action = on_descriptor(kClose, fd);
  static const auto call = REAL(close);
  const int result = call(fd);
  FAIL_WITH(action, -1)
  return result;
}

int unlink(const char* path) {
  const int action = on_path(kUnlink, AT_FDCWD, path);
  FAIL_WITH(action, -1)
  static const auto call = REAL(unlink);
  return call(path);
}
int unlinkat(int folder, const char* path, int flags) {
  const int action = on_path(kUnlink, folder, path);
  FAIL_WITH(action, -1)
  static const auto call = REAL(unlinkat);
  return call(folder, path, flags);
}
int rmdir(const char* path) {
  const int action = on_path(kUnlink, AT_FDCWD, path);
  FAIL_WITH(action, -1)
  static const auto call = REAL(rmdir);
  return call(path);
}
int remove(const char* path) {
  const int action = on_path(kUnlink, AT_FDCWD, path);
  FAIL_WITH(action, -1)
  static const auto call = REAL(remove);
  return call(path);
}

int mkdir(const char* path, mode_t mode) {
  const int action = on_path(kMkdir, AT_FDCWD, path);
  FAIL_WITH(action, -1)
  static const auto call = REAL(mkdir);
  return call(path, mode);
}

DIR* opendir(const char* path) {
  const int action = on_path(kList, AT_FDCWD, path);
  FAIL_WITH(action, nullptr)
  static const auto call = REAL(opendir);
  return call(path);
}
DIR* fdopendir(int fd) {
  const int action = on_descriptor(kList, fd);
  FAIL_WITH(action, nullptr)
  static const auto call = REAL(fdopendir);
  return call(fd);
}

int flock(int fd, int operation) {
  const int action = on_descriptor(kFlock, fd);
  FAIL_WITH(action, -1)
  static const auto call = REAL(flock);
  return call(fd, operation);
}

}  // extern "C"
