#include "support/process.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "base/env.h"
#include "base/error.h"

extern char** environ;

namespace gfsa::test {

Process::Process(const std::vector<std::string>& command, const ProcessOptions& options) {
  // Everything that allocates comes before fork: the child of a process with threads may only make system calls.
  std::vector<char*> arguments;
  for (const auto& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::vector<std::string> variables;
  for (const auto& [name, value] : options.environment) variables.push_back(name + "=" + value);
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    bool replaced = false;
    for (const auto& entry : options.environment) replaced |= text.starts_with(entry.first + "=");
    if (!replaced) variables.push_back(text);
  }
  std::vector<char*> environment;
  for (auto& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  const std::string out = folder_ / "out", err = folder_ / "err";

  pid_ = ::fork();
  if (pid_ < 0) fail("fork failed");
  if (pid_ > 0) return;
  const int in_fd = ::open("/dev/null", O_RDONLY);
  const int out_fd = ::open(out.c_str(), O_WRONLY | O_CREAT, 0600),
            err_fd = ::open(err.c_str(), O_WRONLY | O_CREAT, 0600);
  ::dup2(in_fd, 0);
  ::dup2(out_fd, 1);
  ::dup2(err_fd, 2);
  if (options.folder.empty() || ::chdir(options.folder.c_str()) == 0) {
    ::execvpe(arguments[0], arguments.data(), environment.data());
  }
  ::_exit(127);
}

Process::~Process() {
  if (!running()) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, &status_, 0);
}

bool Process::running() {
  if (!ended_) ended_ = ::waitpid(pid_, &status_, WNOHANG) != 0;
  return !ended_;
}

void Process::send(int signal) {
  if (running()) ::kill(pid_, signal);
}

ProcessResult Process::wait(double timeout_seconds) {
  const double start = monotonic_seconds();
  while (running()) {
    if (monotonic_seconds() - start > timeout_seconds) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, &status_, 0);
      ended_ = true;
      fail("the child did not end within {} s; it said: {}", timeout_seconds, Env::real().read(folder_ / "err"));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ProcessResult result;
  result.exit_code = WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
  result.out = Env::real().read(folder_ / "out");
  result.err = Env::real().read(folder_ / "err");
  return result;
}

ProcessResult run_process(const std::vector<std::string>& command, const ProcessOptions& options) {
  return Process(command, options).wait();
}

std::string preload(const std::string& library) {
  for (const char* symbol : {"__asan_init", "__tsan_init"}) {
    const void* found = ::dlsym(RTLD_DEFAULT, symbol);
    Dl_info where{};
    if (found == nullptr || ::dladdr(found, &where) == 0) continue;
    // A runtime that is part of the program comes first by itself.
    if (std::filesystem::path(where.dli_fname).filename().string().find("san.so") == std::string::npos) continue;
    return std::string(where.dli_fname) + ":" + library;
  }
  return library;
}

}  // namespace gfsa::test
