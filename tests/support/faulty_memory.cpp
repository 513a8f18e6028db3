// faulty_memory.cpp -- a library for LD_PRELOAD that lets one allocation of a program fail, for tests.
//
//   GFSA_FAIL_ALLOCATION=K   the K-th (from 1) since main() began fails; absent or 0: none
//   GFSA_FAIL_ABOVE=BYTES    only allocations of at least so many bytes count (0)
//   GFSA_FAIL_LOG=FILE       at exit a line "N allocations", N those that counted
//   GFSA_FAIL_TRACE=1        the call stack of the one that failed, to standard error
//
// Allocations: malloc, calloc, realloc, aligned_alloc, memalign, posix_memalign (operator new calls these) and
// anonymous mmap, which Tensor memory and thread stacks may come from.
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" {
// glibc's own names for its allocator: dlsym() would allocate.
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* old, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
}

namespace {

std::atomic<bool> counting{false};
std::atomic<long> count{0};
long fails = 0;
size_t above = 0;
bool trace = false;
int (*program_main)(int, char**, char**) = nullptr;

bool must_fail(size_t bytes) {
  if (!counting.load(std::memory_order_relaxed) || bytes < above) return false;
  if (++count != fails) return false;
  if (trace) {
    counting = false;
    void* frames[40];
    backtrace_symbols_fd(frames, backtrace(frames, 40), 2);
    counting = true;
  }
  errno = ENOMEM;
  return true;
}

long number(const char* name) {
  const char* text = getenv(name);
  return text != nullptr ? atol(text) : 0;
}

int counted_main(int argc, char** argv, char** environment) {
  fails = number("GFSA_FAIL_ALLOCATION");
  above = static_cast<size_t>(number("GFSA_FAIL_ABOVE"));
  trace = number("GFSA_FAIL_TRACE") != 0;
  if (trace) {  // its first call loads a library
    void* frame[1];
    backtrace(frame, 1);
  }
  counting = true;
  const int result = program_main(argc, argv, environment);
  counting = false;
  return result;
}

__attribute__((destructor)) void end() {
  counting = false;
  const char* file = getenv("GFSA_FAIL_LOG");
  if (file == nullptr) return;
  char line[64];
  const int n = snprintf(line, sizeof line, "%ld allocations\n", count.load());
  const int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0 || write(fd, line, static_cast<size_t>(n)) != n) _exit(99);
  close(fd);
}

}  // namespace

extern "C" {

void* malloc(size_t bytes) { return must_fail(bytes) ? nullptr : __libc_malloc(bytes); }
void* calloc(size_t n, size_t bytes) { return must_fail(n * bytes) ? nullptr : __libc_calloc(n, bytes); }
void* realloc(void* old, size_t bytes) { return must_fail(bytes) ? nullptr : __libc_realloc(old, bytes); }
void* memalign(size_t alignment, size_t bytes) {
  return must_fail(bytes) ? nullptr : __libc_memalign(alignment, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void** out, size_t alignment, size_t bytes) {
  void* memory = memalign(alignment, bytes);
  if (memory == nullptr) return ENOMEM;
  *out = memory;
  return 0;
}

void* mmap(void* address, size_t bytes, int protection, int flags, int fd, off_t offset) {
  static const auto call = reinterpret_cast<decltype(&mmap)>(dlsym(RTLD_NEXT, "mmap"));
  if ((flags & MAP_ANONYMOUS) != 0 && must_fail(bytes)) return MAP_FAILED;
  return call(address, bytes, protection, flags, fd, offset);
}

int __libc_start_main(int (*main)(int, char**, char**), int argc, char** argv, int (*init)(int, char**, char**),
                      void (*fini)(), void (*ended)(), void* stack_end) {
  const auto call = reinterpret_cast<decltype(&__libc_start_main)>(dlsym(RTLD_NEXT, "__libc_start_main"));
  program_main = main;
  return call(counted_main, argc, argv, init, fini, ended, stack_end);
}

}  // extern "C"
