#include "formats/tensorboard.h"

#include <cstring>

#include "formats/format_files.h"

namespace gfsa {
namespace {

template <class T>
T take(std::string_view& bytes) {
  T value{};
  EXPECT_GE(bytes.size(), sizeof value);
  std::memcpy(&value, bytes.data(), std::min(sizeof value, bytes.size()));
  bytes.remove_prefix(std::min(sizeof value, bytes.size()));
  return value;
}

uint32_t masked(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
}

// The events of a TFRecord file; checks both checksums of each.
std::vector<std::string> events_of(std::string_view file) {
  std::vector<std::string> events;
  while (!file.empty()) {
    const std::string_view length_bytes = file.substr(0, 8);
    const auto length = take<uint64_t>(file);
    EXPECT_EQ(take<uint32_t>(file), masked(length_bytes));
    events.emplace_back(file.substr(0, length));
    file.remove_prefix(length);
    EXPECT_EQ(take<uint32_t>(file), masked(events.back()));
  }
  return events;
}

std::string fresh_folder() {
  const std::string folder = test::test_path("run");
  Env::real().remove_all(folder);
  Env::real().create_directories(folder);
  return folder;
}

TEST(TensorBoard, ChecksumIsCastagnolis) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);  // RFC 3720's check value
  EXPECT_EQ(crc32c(""), 0u);
}

TEST(TensorBoard, WritesEventsThatAreThereAtOnce) {
  const std::string folder = fresh_folder();
  TensorBoardWriter writer(Env::real(), folder);
  EXPECT_EQ(writer.path().rfind(folder + "/events.out.tfevents.", 0), 0u);
  writer.scalar("loss", 300, 2.5);
  const auto events = events_of(Env::real().read(writer.path()));
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].substr(9), std::string("\x1A\x0D"
                                             "brain.Event:2"));
  // wall_time; step 300; summary { value { tag "loss" simple_value 2.5 } }
  EXPECT_EQ(events[1][0], '\x09');
  EXPECT_EQ(events[1].substr(9), std::string("\x10\xAC\x02\x2A\x0D\x0A\x0B\x0A\x04"
                                             "loss"
                                             "\x15\0\0\x20\x40",
                                             18));
  writer.scalars(301, {{"loss", 1}, {"lr", 0.5}});
  EXPECT_EQ(events_of(Env::real().read(writer.path())).size(), 3u);
}

TEST(TensorBoard, TwoWritersOfOneSecondHaveTheirOwnFiles) {
  const std::string folder = fresh_folder();
  Env& env = Env::real();
  TensorBoardWriter a(env, folder), b(env, folder), c(env, folder);
  EXPECT_EQ(Env::real().list(folder).size(), 3u);
}

}  // namespace
}  // namespace gfsa
