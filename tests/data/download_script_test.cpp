// scripts/download.sh against a mirror that is a folder: arguments, checksums, resumption.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>

#include "image_files.h"

namespace gfsa::data {
namespace {

using testing::HasSubstr;

struct Ran {
  int code = -1;
  std::string output;
};

Ran run(const std::string& arguments, const std::string& mirror = "") {
  const std::string command = (mirror.empty() ? "" : "GFSA_MIRROR='file://" + mirror + "' ") +
                              GFSA_SOURCE_DIR "/scripts/download.sh " + arguments + " 2>&1";
  Ran ran;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return ran;
  std::array<char, 512> buffer;
  while (size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) ran.output.append(buffer.data(), n);
  const int status = pclose(pipe);
  ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

class Download : public testing::Test {
 protected:
  void SetUp() override {
    if (std::system("command -v curl >/dev/null") != 0) GTEST_SKIP() << "curl is not installed";
    root_ = test_folder();
    write_file(root_ + "/mirror/file.bin", "hello, world\n");
  }
  std::string get(const std::string& name) const { return Env::real().read(root_ + "/to/" + name); }
  bool has(const std::string& name) const { return Env::real().exists(root_ + "/to/" + name); }
  Ran fetch(const std::string& md5) const {
    return run("--to " + root_ + "/to --url file://" + root_ + "/mirror/file.bin " + md5);
  }

  std::string root_;
  const std::string md5_ = "22c3683b094136c3398391ae71b20f04";  // of "hello, world\n"
};

TEST_F(Download, ChecksArguments) {
  EXPECT_EQ(run("").code, 2);
  EXPECT_EQ(run("--help").code, 0);
  const auto unknown = run("cifar");
  EXPECT_EQ(unknown.code, 2);
  EXPECT_THAT(unknown.output, HasSubstr("unknown argument 'cifar', expected cifar10"));
  EXPECT_EQ(run("cifar10 --to").code, 2);
  EXPECT_EQ(run("--url file:///x").code, 2);
  const auto imagenet = run("imagenet");
  EXPECT_EQ(imagenet.code, 0);
  EXPECT_THAT(imagenet.output, HasSubstr("https://image-net.org"));
  const auto text = run("glue running_text pretrained");
  EXPECT_EQ(text.code, 0);
  EXPECT_THAT(text.output, HasSubstr("bert-base-uncased"));
}

TEST_F(Download, FetchesOnceAndChecksWhatIsThere) {
  const auto first = fetch(md5_);
  EXPECT_EQ(first.code, 0) << first.output;
  EXPECT_EQ(get("file.bin"), "hello, world\n");
  EXPECT_FALSE(has("file.bin.part"));
  Env::real().remove_all(root_ + "/mirror");
  const auto again = fetch(md5_);
  EXPECT_EQ(again.code, 0);
  EXPECT_THAT(again.output, HasSubstr("there already"));
  write_file(root_ + "/to/file.bin", "changed");
  const auto changed = fetch(md5_);
  EXPECT_EQ(changed.code, 1);
  EXPECT_THAT(changed.output, HasSubstr("is there, but its checksum is not"));
  EXPECT_EQ(get("file.bin"), "changed");  // never overwritten
}

TEST_F(Download, GoesOnWhereItStoppedAndMendsAWrongStart) {
  for (const char* part : {"hello,", "", "HELLO,", "hello, world\n", "longer than the whole file"}) {
    Env::real().remove_all(root_ + "/to");
    write_file(root_ + "/to/file.bin.part", part);
    const auto ran = fetch(md5_);
    EXPECT_EQ(ran.code, 0) << part << ": " << ran.output;
    EXPECT_EQ(get("file.bin"), "hello, world\n");
    EXPECT_FALSE(has("file.bin.part"));
  }
}

TEST_F(Download, RefusesWrongBytes) {
  const auto wrong = fetch("00000000000000000000000000000000");
  EXPECT_EQ(wrong.code, 1);
  EXPECT_THAT(wrong.output, HasSubstr("checksum is " + md5_ + ", expected 0000"));
  EXPECT_FALSE(has("file.bin"));
  // The named sets check theirs.
  write_file(root_ + "/mirror/cifar-10-binary.tar.gz", "not CIFAR");
  const auto cifar = run("--to " + root_ + "/to cifar10", root_ + "/mirror");
  EXPECT_EQ(cifar.code, 1);
  EXPECT_THAT(cifar.output, HasSubstr("expected c32a1d4ab5d03f1284b67883e8d87530"));
  EXPECT_FALSE(has("cifar-10-binary.tar.gz"));
  const auto mnist = run("--to " + root_ + "/to mnist", root_ + "/mirror");
  EXPECT_EQ(mnist.code, 1);
  EXPECT_THAT(mnist.output, HasSubstr("train-images-idx3-ubyte.gz could not be fetched"));
}

}  // namespace
}  // namespace gfsa::data
