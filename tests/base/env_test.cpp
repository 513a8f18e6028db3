#include "base/env.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include "base/error.h"

namespace gfsa {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class EnvTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "gfsa_env_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string at(const std::string& name) const { return folder_ + "/" + name; }
  static Error error_in(const std::function<void()>& f) {
    try {
      f();
    } catch (const Error& error) {
      return error;
    }
    return Error(kExitDone, "no error");
  }

  std::string folder_;
  Env& env_ = Env::real();
};

TEST_F(EnvTest, WritesAndReadsBytes) {
  const std::string content("a\0b\nc\xff", 6);
  env_.write(at("f"), content);
  EXPECT_EQ(env_.read(at("f")), content);
  env_.write(at("f"), "");  // replaces
  EXPECT_EQ(env_.read(at("f")), "");
}

TEST_F(EnvTest, ReadsPiecesOfAFile) {
  env_.write(at("f"), "0123456789");
  const auto file = env_.open(at("f"));
  ASSERT_EQ(file->size(), 10u);
  std::string piece(4, ' ');
  file->read(3, piece.data(), piece.size());
  EXPECT_EQ(piece, "3456");
  file->read(10, piece.data(), 0);
  const auto beyond = error_in([&] { file->read(8, piece.data(), 4); });
  EXPECT_EQ(beyond.exit_code(), kExitBadInput);
  EXPECT_EQ(beyond.message(), at("f") + ": ends at byte 10, expected 2 more");
  EXPECT_EQ(error_in([&] { env_.open(folder_); }).message(), folder_ + ": is a folder, expected a file");
  EXPECT_EQ(error_in([&] { env_.open(at("no")); }).message(), at("no") + ": cannot be read: No such file or directory");
}

// The system's limit of a file's size stands for a full disk: it lets a part of the write through.
TEST_F(EnvTest, AppendThatFailsLeavesTheFileAsItWas) {
  env_.append(at("log"), "first\n");
  env_.append(at("log"), "second\n");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit tight{16, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  const auto error = error_in([&] { env_.append(at("log"), "third\n"); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, handler);
  EXPECT_EQ(error.exit_code(), kExitFailed);
  EXPECT_EQ(error.message(), at("log") + ": append failed: not all of it was written");
  EXPECT_EQ(env_.read(at("log")), "first\nsecond\n");
}

TEST_F(EnvTest, LargeFile) {
  std::string content(3 << 20, 'x');
  content[1 << 20] = 'y';
  auto file = env_.create(at("large"));
  file->append(std::string_view(content).substr(0, 1 << 20));
  file->append(std::string_view(content).substr(1 << 20));
  file->commit();
  EXPECT_EQ(env_.read(at("large")), content);
}

TEST_F(EnvTest, NothingAppearsBeforeCommit) {
  {
    auto file = env_.create(at("f"));
    file->append("half");
    EXPECT_FALSE(env_.exists(at("f")));
  }
  EXPECT_THAT(env_.list(folder_), ElementsAre());  // no commit: not even the file under construction stays
}

TEST_F(EnvTest, AbandonedFileLeavesTheOldOne) {
  env_.write(at("f"), "old");
  { env_.create(at("f"))->append("new"); }
  EXPECT_EQ(env_.read(at("f")), "old");
}

TEST_F(EnvTest, ReadErrors) {
  const Error missing = error_in([&] { env_.read(at("none")); });
  EXPECT_EQ(missing.exit_code(), kExitBadInput);
  EXPECT_EQ(missing.message(), at("none") + ": cannot be read: No such file or directory");
  EXPECT_EQ(error_in([&] { env_.read(folder_); }).message(), folder_ + ": is a folder, expected a file");
  env_.write(at("f"), "12345");
  EXPECT_EQ(env_.read(at("f"), 5), "12345");
  EXPECT_EQ(error_in([&] { env_.read(at("f"), 4); }).message(), at("f") + ": has 5 bytes, expected at most 4");
  EXPECT_THAT(error_in([&] { env_.read("/dev/zero", 1000); }).message(),
              HasSubstr("more than the 1000 bytes expected"));
}

TEST_F(EnvTest, WriteErrorsAreFailures) {
  const Error error = error_in([&] { env_.write(at("no/such/folder/f"), "x"); });
  EXPECT_EQ(error.exit_code(), kExitFailed);
  EXPECT_THAT(error.message(), HasSubstr(at("no/such/folder/f") + ": cannot be written: No such file"));
}

TEST_F(EnvTest, FullDiskIsAFailure) {
  if (::access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full here";
  ASSERT_EQ(::symlink("/dev/full", at("f.tmp").c_str()), 0);  // where create() writes before the rename
  const Error error = error_in([&] { env_.write(at("f"), std::string(100, 'x')); });
  EXPECT_EQ(error.exit_code(), kExitFailed);
  EXPECT_THAT(error.message(), HasSubstr("write failed: No space left on device"));
  EXPECT_FALSE(env_.exists(at("f")));
}

TEST_F(EnvTest, Folders) {
  env_.create_directories(at("a/b/c"));
  env_.create_directories(at("a/b/c"));  // again is fine
  EXPECT_TRUE(env_.is_directory(at("a/b")));
  env_.write(at("a/z"), "");
  env_.write(at("a/Y"), "");
  EXPECT_THAT(env_.list(at("a")), ElementsAre("Y", "b", "z"));
  EXPECT_FALSE(env_.is_directory(at("a/z")));
  EXPECT_EQ(error_in([&] { env_.list(at("none")); }).exit_code(), kExitBadInput);
  EXPECT_EQ(error_in([&] { env_.create_directories(at("a/z/q")); }).exit_code(), kExitBadInput);
  env_.remove_all(at("a"));
  EXPECT_FALSE(env_.exists(at("a")));
  env_.remove_all(at("a"));  // already gone is fine
}

TEST_F(EnvTest, RenameReplaces) {
  env_.write(at("a"), "1");
  env_.write(at("b"), "2");
  env_.rename(at("a"), at("b"));
  EXPECT_EQ(env_.read(at("b")), "1");
  EXPECT_FALSE(env_.exists(at("a")));
  EXPECT_EQ(error_in([&] { env_.rename(at("a"), at("c")); }).exit_code(), kExitFailed);
}

TEST_F(EnvTest, FreeBytes) {
  EXPECT_GT(env_.free_bytes(folder_), 0u);
  EXPECT_EQ(error_in([&] { env_.free_bytes(at("none")); }).exit_code(), kExitFailed);
}

TEST(Clock, Formats) {
  const double before = monotonic_seconds();
  EXPECT_GE(monotonic_seconds(), before);
  const std::string now = utc_time_now();
  ASSERT_EQ(now.size(), 20u);
  EXPECT_EQ(now[10], 'T');
  EXPECT_EQ(now[19], 'Z');
}

}  // namespace
}  // namespace gfsa
