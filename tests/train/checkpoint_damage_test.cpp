// Every bit of a checkpoint counts: each single flip is refused with the file and the tensor or part that it hit.
// GFSA_SOAK=1 makes 10,000 of them, GFSA_SOAK=N makes N.
#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>

#include "formats/safetensors.h"
#include "train/checkpoint/manifest.h"
#include "train/checkpoint/reader.h"
#include "train/tiny_checkpoint.h"

namespace gfsa::train {
namespace {

using testing::HasSubstr;

int flips_wanted() {
  const char* soak = std::getenv("GFSA_SOAK");
  const int n = soak == nullptr ? 0 : std::atoi(soak);
  return n == 0 ? 1500 : n == 1 ? 10'000 : n;
}

class CheckpointDamageTest : public CheckpointFolder {
 protected:
  CheckpointDamageTest() {
    Snapshot s = tiny_snapshot(3);
    s.ema = s.model;
    path_ = store_.write(s);
    for (const auto& name : env_.list(path_)) contents_.emplace_back(name, env_.read(path_ + "/" + name));
  }
  // Neither synced nor renamed: thousands of these are made.
  void put(const std::string& file, const std::string& content) {
    std::ofstream(path_ + "/" + file, std::ios::binary | std::ios::trunc) << content;
  }
  std::string refusal() {
    const std::string message = message_of([&] { CheckpointStore::load(env_, path_); });
    EXPECT_EQ(message_of([&] { CheckpointReader(env_, path_).verify(); }), message);
    return message;
  }
  // How the message about a change of this byte begins.
  static std::string expected(const std::string& path, const std::string& content, size_t byte) {
    if (!path.ends_with(".safetensors")) return path + ": damaged";
    const auto file = SafetensorsFile::parse(content, path);
    size_t header = content.size();
    for (const auto& name : file.names()) header -= file.at(name).bytes;
    if (byte < header) return path + ": header: damaged: ";
    // The data lie by falling element size, in the header's order.
    size_t end = header;
    for (const size_t size : {8, 4}) {
      for (const auto& name : file.names()) {
        if (safetensors_element_bytes(file.at(name).dtype) != size) continue;
        end += file.at(name).bytes;
        if (byte < end) return fmt::format("{}: tensor '{}': damaged: ", path, name);
      }
    }
    return "no such byte";
  }

  std::string path_;
  std::vector<std::pair<std::string, std::string>> contents_;
};

TEST_F(CheckpointDamageTest, EachFlippedBitIsRefusedByName) {
  ASSERT_EQ(contents_.size(), 6u);
  ASSERT_EQ(CheckpointStore::load(env_, path_).position.step, 3);
  const int files = static_cast<int>(contents_.size()), per_file = (flips_wanted() + files - 1) / files;
  RandomSequence rng(RandomKey(5, "flips"), 0);
  int done = 0;
  for (const auto& [file, content] : contents_) {
    for (int i = 0; i < per_file; ++i, ++done) {
      // Evenly over the file, at random within each stretch.
      const double place = (i + rng.uniform()) / per_file;
      const auto byte = std::min(static_cast<size_t>(place * static_cast<double>(content.size())), content.size() - 1);
      const auto bit = static_cast<int>(8 * rng.uniform());
      std::string bad = content;
      bad[byte] = static_cast<char>(bad[byte] ^ (1 << bit));
      put(file, bad);
      ASSERT_THAT(refusal(), testing::StartsWith(expected(path_ + "/" + file, content, byte))) << byte << "." << bit;
    }
    put(file, content);
  }
  EXPECT_EQ(CheckpointStore::load(env_, path_).position.step, 3);
  std::printf("%d flips, each refused by name\n", done);
}

TEST_F(CheckpointDamageTest, EveryBitOfTheManifestCounts) {
  const std::string file = "manifest.json", content = env_.read(path_ + "/" + file);
  for (size_t byte = 0; byte < content.size(); ++byte) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = content;
      bad[byte] = static_cast<char>(bad[byte] ^ (1 << bit));
      ASSERT_THAT(message_of([&] { parse_manifest(bad, "m"); }), HasSubstr("m: damaged")) << byte << "." << bit;
    }
  }
}

TEST_F(CheckpointDamageTest, CutGrownOrMissingFilesAreRefusedByName) {
  for (const auto& [file, content] : contents_) {
    const std::string name = path_ + "/" + file;
    for (size_t length = 0; length < content.size(); length += 1 + content.size() / 23) {
      put(file, content.substr(0, length));
      ASSERT_THAT(refusal(), testing::StartsWith(name + ": damaged: has ")) << length;
      if (file == "manifest.json") break;  // cut anywhere else, its checksum tells
    }
    for (const char* more : {" ", "\n", "}"}) {
      put(file, content + more);
      ASSERT_THAT(refusal(), testing::StartsWith(name + ": damaged"));
    }
    put(file, content);
  }
  for (const auto& [file, content] : contents_) {
    env_.remove_all(path_ + "/" + file);
    EXPECT_THAT(refusal(), HasSubstr(path_ + "/" + file + ": cannot be read: No such file"));
    put(file, content);
  }
}

TEST_F(CheckpointDamageTest, FilesOfAnotherCheckpointDoNotFit) {
  const auto other = store_.write(tiny_snapshot(4));
  for (const auto& [file, content] : contents_) {
    if (file == "manifest.json" || file == "ema.safetensors" || file == "config.yaml") continue;
    put(file, env_.read(other + "/" + file));
    EXPECT_THAT(refusal(), HasSubstr(path_ + "/" + file)) << file;
    put(file, content);
  }
}

// A manifest whose own checksum fits, written by somebody with bad intentions.
TEST_F(CheckpointDamageTest, AForgedManifestIsBadInputToo) {
  const auto forged = [](const std::string& body) {
    const std::string text = "{\n  \"format\": 2,\n  \"files\": " + body + ",\n";
    return text + "  \"manifest\": \"" + checksum128(text) + "\"\n}\n";
  };
  const auto told = [&](const std::string& body) { return message_of([&] { parse_manifest(forged(body), "m"); }); };
  EXPECT_THAT(told("[]"), HasSubstr("m: lacks model.safetensors"));
  EXPECT_THAT(told("{}"), HasSubstr("m: lacks model.safetensors"));
  EXPECT_THAT(told("3"), HasSubstr("m: "));
  EXPECT_THAT(told("{\"../x\": {\"bytes\": 1, \"xxh3_128\": \"\"}}"),
              HasSubstr("m: file '../x' is none of a checkpoint's"));
  EXPECT_THAT(told("{\"config.yaml\": {\"bytes\": \"1\", \"xxh3_128\": \"\"}}"),
              HasSubstr("m: 'bytes' is \"1\", expected a whole number"));
  EXPECT_THAT(told("{\"config.yaml\": 7}"), HasSubstr("m: damaged"));
  EXPECT_THAT(told("{\"model.safetensors\": {\"bytes\": 1, \"xxh3_128\": \"\", \"header\": 1}}"),
              HasSubstr("m: damaged"));
  EXPECT_THAT(told("{"), HasSubstr("m: damaged"));
}

}  // namespace
}  // namespace gfsa::train
