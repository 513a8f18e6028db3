// process.h -- a program run as a child, for tests from end to end.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "support/temporary_folder.h"

namespace gfsa::test {

struct ProcessResult {
  int exit_code = -1;  // 128 + signal if a signal ended it
  std::string out, err;
};

struct ProcessOptions {
  std::string folder;                                            // working directory; "": this process's
  std::vector<std::pair<std::string, std::string>> environment;  // added to this process's
};

class Process {
 public:
  // command[0] is looked up in PATH unless it holds a slash.
  explicit Process(const std::vector<std::string>& command, const ProcessOptions& options = {});
  // Kills it if it still runs.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t id() const { return pid_; }
  bool running();
  void send(int signal);
  // Kills it, and throws, after timeout_seconds.
  ProcessResult wait(double timeout_seconds = 120);

 private:
  TemporaryFolder folder_;  // of its output
  pid_t pid_ = -1;
  bool ended_ = false;
  int status_ = 0;
};

// Start and wait.
ProcessResult run_process(const std::vector<std::string>& command, const ProcessOptions& options = {});

// LD_PRELOAD for a child built as this program was: `library`, behind the runtime of its sanitizer, which must come
// first and hands calls on to it.
std::string preload(const std::string& library);

}  // namespace gfsa::test
