#include "formats/append_log.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "base/log.h"
#include "support/temporary_folder.h"

namespace gfsa {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class AppendLogTest : public testing::Test {
 protected:
  AppendLogTest() { spdlog::set_level(spdlog::level::info); }
  // A folder under the file's name: nothing can be written to it. The file is kept beside.
  void break_file() {
    if (env_.exists(path_)) env_.rename(path_, path_ + ".kept");
    env_.create_directories(path_);
  }
  void mend_file(const std::string& torn = "") {
    env_.remove_all(path_);
    if (env_.exists(path_ + ".kept")) env_.rename(path_ + ".kept", path_);
    if (!torn.empty()) env_.append(path_, torn);
  }
  template <class F>
  static std::string said_by(const F& f) {
    testing::internal::CaptureStderr();
    f();
    return testing::internal::GetCapturedStderr();
  }
  static size_t lines(const std::string& text) {
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }

  test::TemporaryFolder folder_;
  Env& env_ = Env::real();
  std::string path_ = folder_ / "a/b/log";
};

TEST_F(AppendLogTest, MakesItsFolderAndGoesOnAtTheEnd) {
  AppendLog log(env_, path_);
  EXPECT_TRUE(log.flush());
  EXPECT_FALSE(env_.exists(folder_ / "a"));
  log.append("one\n");
  log.add("two\n");
  EXPECT_EQ(env_.read(path_), "one\n");
  EXPECT_FALSE(log.written());
  EXPECT_TRUE(log.flush());
  EXPECT_TRUE(log.written());
  AppendLog(env_, path_).append("three\n");
  EXPECT_EQ(env_.read(path_), "one\ntwo\nthree\n");
}

TEST_F(AppendLogTest, WhatCannotBeWrittenWaitsAndIsWrittenWithTheNext) {
  AppendLog log(env_, path_);
  log.append("1");
  for (int streak = 0; streak < 2; ++streak) {
    break_file();
    const std::string trouble = said_by([&] {
      for (const char* text : {"2", "3", "4"}) log.append(text);
    });
    EXPECT_EQ(lines(trouble), 1u) << "one warning a streak: " << trouble;
    EXPECT_THAT(trouble, HasSubstr(path_ + ": cannot be appended to: Is a directory"));
    EXPECT_FALSE(log.written());
    EXPECT_THAT(log.trouble(), StartsWith(path_));
    mend_file();
    EXPECT_THAT(said_by([&] { log.append("5"); }), HasSubstr(path_ + ": can be written again"));
    EXPECT_EQ(log.trouble(), "");
  }
  EXPECT_EQ(env_.read(path_), "123452345");
}

TEST_F(AppendLogTest, APieceThatAFailedWriteLeftIsCutOff) {
  AppendLog log(env_, path_);
  log.append("whole\n");
  break_file();
  log.append("second line\n");
  mend_file("secon");
  EXPECT_TRUE(log.flush());
  EXPECT_EQ(env_.read(path_), "whole\nsecond line\n");
  log.append("third\n");
  EXPECT_EQ(env_.read(path_), "whole\nsecond line\nthird\n");
}

TEST_F(AppendLogTest, AnEarlierFileThatCannotBeOpenedIsGoneOnWithLater) {
  AppendLog(env_, path_).append("old\n");
  break_file();
  AppendLog log(env_, path_);
  log.append("new\n");
  EXPECT_FALSE(log.flush());
  mend_file();
  EXPECT_TRUE(log.flush());
  EXPECT_EQ(env_.read(path_), "old\nnew\n");
}

TEST_F(AppendLogTest, TheFirstTextMayWaitToo) {
  env_.write(folder_ / "a", "a file where the folder should be");
  AppendLog log(env_, path_);
  log.append("x");
  EXPECT_FALSE(log.flush());
  EXPECT_THAT(log.trouble(), StartsWith(folder_ / "a"));
  env_.remove_all(folder_ / "a");
  EXPECT_TRUE(log.flush());
  EXPECT_EQ(env_.read(path_), "x");
}

}  // namespace
}  // namespace gfsa
