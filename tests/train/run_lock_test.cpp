// One process a run directory: who is refused, what is taken over, what is left behind.
#include "train/run_lock.h"

#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <optional>

#include "base/env.h"
#include "base/error.h"
#include "base/log.h"
#include "support/temporary_folder.h"

namespace gfsa::train {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class RunLockTest : public testing::Test {
 protected:
  std::string host() const {
    char name[256] = {};
    ::gethostname(name, sizeof name - 1);
    return name;
  }
  void write_lock(int64_t pid, const std::string& host) {
    env_.create_directories(run_);
    env_.write(run_ + "/lock", fmt::format(R"({{"pid":{},"host":"{}","started":"2026-01-02T03:04:05Z"}})", pid, host));
  }
  std::string refusal(RunLock::Flock flock = nullptr) {
    try {
      const RunLock lock(run_, flock);
    } catch (const Error& e) {
      EXPECT_EQ(e.exit_code(), kExitBadInput);
      return e.message();
    }
    return "";
  }
  // The id of a process that has ended.
  static pid_t dead_pid() {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(0);
    ::waitpid(pid, nullptr, 0);
    return pid;
  }

  test::TemporaryFolder folder_;
  std::string run_ = folder_ / "runs/a";
  Env& env_ = Env::real();
};

int no_locks(int, int) {
  errno = ENOLCK;
  return -1;
}
int broken(int, int) {
  errno = EIO;
  return -1;
}

TEST_F(RunLockTest, NamesItsHolderAndLeavesNothingBehind) {
  {
    const RunLock lock(run_);
    EXPECT_THAT(env_.read(run_ + "/lock"),
                testing::StartsWith(fmt::format(R"({{"pid":{},"host":"{}","started":"20)", ::getpid(), host())));
    EXPECT_THAT(refusal(), AllOf(HasSubstr(run_ + ": another process is at work on this run"),
                                 HasSubstr(fmt::format("process {} on {}, since 20", ::getpid(), host()))));
    EXPECT_TRUE(env_.exists(run_ + "/lock")) << "who is refused must not remove it";
  }
  EXPECT_FALSE(env_.exists(folder_ / "runs")) << "a run that wrote nothing";
  EXPECT_EQ(refusal(), "") << "free again";
  {
    const RunLock lock(run_);
    env_.write(run_ + "/config.yaml", "x");
  }
  EXPECT_EQ(env_.list(run_), std::vector<std::string>{"config.yaml"});
}

TEST_F(RunLockTest, AnotherProcessIsRefusedUntilTheHolderIsKilled) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const RunLock lock(run_);
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    ::pause();
    ::_exit(0);
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_THAT(refusal(), HasSubstr(fmt::format("process {} on", child)));
  EXPECT_THAT(RunLock::live_holder(run_), HasSubstr(fmt::format("process {} on", child)));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(env_.exists(run_ + "/lock"));
  EXPECT_EQ(RunLock::live_holder(run_), "");
  spdlog::set_level(spdlog::level::info);
  testing::internal::CaptureStderr();
  std::optional<RunLock> lock(std::in_place, run_);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_THAT(said,
              AllOf(HasSubstr(fmt::format("lock: left behind by process {} on", child)), HasSubstr("taken over")));
  EXPECT_THAT(env_.read(run_ + "/lock"), HasSubstr(fmt::format("\"pid\":{}", ::getpid())));
}

TEST_F(RunLockTest, TheTornFileOfAKilledProcessIsTakenOver) {
  env_.create_directories(run_);
  for (const char* content : {"", "{\"pid\":", "[]", "{\"pid\":-1,\"host\":\"x\"}", "{\"pid\":\"x\",\"host\":3}"}) {
    env_.write(run_ + "/lock", content);
    EXPECT_EQ(refusal(), "") << content;
    EXPECT_EQ(RunLock::live_holder(run_), "");
  }
}

TEST_F(RunLockTest, WithoutLocksTheFilesProcessDecides) {
  write_lock(::getppid(), host());
  EXPECT_THAT(refusal(no_locks),
              HasSubstr(fmt::format("process {} on {}, since 2026-01-02T03:04:05Z", ::getppid(), host())));
  write_lock(::getppid(), "elsewhere");
  EXPECT_THAT(refusal(no_locks), HasSubstr("if that process has ended, remove " + run_ + "/lock"));
  EXPECT_TRUE(env_.exists(run_ + "/lock"));
  write_lock(dead_pid(), host());
  EXPECT_EQ(refusal(no_locks), "");
  EXPECT_FALSE(env_.exists(run_ + "/lock"));
  EXPECT_EQ(refusal(no_locks), "") << "no file at all";
}

TEST_F(RunLockTest, WhatCannotBeLockedIsAnErrorThatLeavesNothing) {
  EXPECT_THROW(RunLock(run_, broken), Error);
  env_.write(folder_ / "file", "x");
  run_ = folder_ / "file/run";
  EXPECT_THAT(refusal(), HasSubstr(run_));
  run_ = folder_ / "with_folder";
  env_.create_directories(run_ + "/lock");
  EXPECT_THAT(refusal(), HasSubstr(run_ + "/lock: cannot be written: Is a directory"));
}

TEST_F(RunLockTest, OfManyAtOnceExactlyOneHoldsIt) {
  for (int round = 0; round < 20; ++round) {
    constexpr int kProcesses = 8;
    int go[2];
    ASSERT_EQ(::pipe(go), 0);
    std::vector<pid_t> children;
    for (int i = 0; i < kProcesses; ++i) {
      children.push_back(::fork());
      if (children.back() != 0) continue;
      ::close(go[1]);
      char byte;
      if (::read(go[0], &byte, 1) != 0) ::_exit(3);
      int result = 0;
      try {
        const RunLock lock(run_);
        env_.create_directories(run_ + "/held");
        const std::string mine = run_ + "/held/" + std::to_string(::getpid());
        env_.write(mine, "");
        ::usleep(1000);
        if (env_.list(run_ + "/held").size() != 1) result = 2;
        ::unlink(mine.c_str());
        ::rmdir((run_ + "/held").c_str());
        if (i == round % kProcesses) ::_exit(result);  // leaves a stale one
      } catch (const Error& e) {
        result = e.exit_code() == kExitBadInput ? 1 : 4;
      }
      ::_exit(result);
    }
    ::close(go[0]);
    ::close(go[1]);
    int held = 0;
    for (const pid_t child : children) {
      int status = 0;
      ::waitpid(child, &status, 0);
      ASSERT_TRUE(WIFEXITED(status));
      EXPECT_LE(WEXITSTATUS(status), 1);
      held += WEXITSTATUS(status) == 0;
    }
    EXPECT_GE(held, 1);
  }
}

}  // namespace
}  // namespace gfsa::train
