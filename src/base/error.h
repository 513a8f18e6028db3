// error.h -- the project's one exception type and the exit codes it maps to.
//
// An Error says what is wrong, where (file:line:column, config key, tensor, sample), what was expected and the nearest
// valid choice. main() prints message() once and returns exit_code(); nobody else prints errors or calls exit.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace gfsa {

// Exit codes of both programs. 130 (SIGINT) and 143 (SIGTERM): interrupted, with a checkpoint written.
enum ExitCode : int {
  kExitDone = 0,
  kExitFailed = 1,
  kExitBadInput = 2,
  kExitInterrupted = 130,
  kExitTerminated = 143
};

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode exit_code() const { return code_; }
  std::string message() const { return what(); }

 private:
  ExitCode code_;
};

// The user can mend this: config, data, checkpoint, environment, arguments. Exit code 2.
template <class... Args>
[[noreturn]] void bad_input(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kExitBadInput, fmt::format(format, std::forward<Args>(args)...));
}

// Something failed while running: disk, memory, a broken invariant. Exit code 1.
template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kExitFailed, fmt::format(format, std::forward<Args>(args)...));
}

// Collects every problem of one kind of input, so that the user sees all of them at once.
class ErrorList {
 public:
  void add(std::string line) { lines_.push_back(std::move(line)); }
  bool empty() const { return lines_.empty(); }
  const std::vector<std::string>& lines() const { return lines_; }
  // Throws one bad-input Error with one line a problem, if there are any.
  void throw_if_any() const;

 private:
  std::vector<std::string> lines_;
};

}  // namespace gfsa
