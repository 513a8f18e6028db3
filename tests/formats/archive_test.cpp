#include "formats/archive.h"

#include <map>

#include "formats/format_files.h"
#include "formats/gzip.h"
#include "support/gzip.h"

namespace gfsa {
namespace {

using test::bad_input_of;

// One ustar member with its padding. type: '0' file, '1' hard link, '2' symbolic link, '5' folder, 'x' pax header.
std::string member(const std::string& name, const std::string& data, char type = '0', const std::string& link = "") {
  std::string header(512, '\0');
  const auto put = [&header](size_t at, const std::string& text) { header.replace(at, text.size(), text); };
  put(0, name);
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", data.size()));
  put(136, "00000000000");
  put(148, "        ");
  header[156] = type;
  put(157, link);
  put(257, std::string("ustar\0"
                       "00",
                       8));
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  std::string out = header + data;
  out.resize((out.size() + 511) / 512 * 512, '\0');
  return out;
}

const std::string kEnd(1024, '\0');

std::string gzip(const std::string& data) { return test::gzip(data, 6); }

std::string sample() {
  std::string noise;
  RandomSequence random(RandomKey(1, "noise"));
  for (int i = 0; i < 1500; ++i) noise += static_cast<char>(random.below(256));
  return member("./", "", '5') + member("./train/", "", '5') + member("./train/a.jpg", "first") +
         member("train/b.jpg", noise) + member("test/empty.jpg", "") + kEnd;
}

std::string read_all(const std::string& content) {
  std::string listing;
  const ArchiveIndex index = read_archive(test::write_test_file("x.tar", content));
  for (const auto& m : index.members) listing += fmt::format("{}:{} ", m.name, m.bytes.size());
  return listing;
}

// The message without the folder of the test.
std::string error_of(const std::string& content) {
  const std::string message = bad_input_of([&] { read_all(content); });
  const size_t at = message.find("x.tar");
  return at == std::string::npos ? message : message.substr(at);
}

TEST(Archive, ReadsPlainAndGzip) {
  const std::string expected = "train/a.jpg:5 train/b.jpg:1500 test/empty.jpg:0 ";
  EXPECT_EQ(read_all(sample()), expected);
  EXPECT_EQ(read_all(gzip(sample())), expected);
  const std::string whole = sample();
  EXPECT_EQ(read_all(gzip(whole.substr(0, 700)) + gzip(whole.substr(700)) + std::string(100, '\0')), expected);
  EXPECT_EQ(read_all(kEnd), "");
}

TEST(Archive, GoesThroughMembersAndSkips) {
  ArchiveReader reader(test::write_test_file("x.tar.gz", gzip(sample())));
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.name(), "train/a.jpg");
  EXPECT_EQ(reader.size(), 5u);
  EXPECT_EQ(reader.read(), "first");
  EXPECT_THROW(reader.read(), Error);
  ASSERT_TRUE(reader.next());
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.name(), "test/empty.jpg");
  EXPECT_EQ(reader.read(), "");
  EXPECT_FALSE(reader.next());
}

TEST(Archive, IndexKeepsWhatPassesTheFilter) {
  const std::string path = test::write_test_file("x.tar", sample());
  const auto keep = [](std::string_view name) { return name.starts_with("train/"); };
  const ArchiveIndex index = read_archive(path, keep);
  ASSERT_EQ(index.members.size(), 2u);
  EXPECT_EQ(index.total_bytes, 1505u);
  EXPECT_EQ(index.at("train/a.jpg").bytes, "first");
  EXPECT_EQ(index.find("test/empty.jpg"), nullptr);
  EXPECT_EQ(bad_input_of([&] { index.at("train/c.jpg"); }),
            path + ": no entry 'train/c.jpg' among 2; did you mean 'train/a.jpg'?");
  EXPECT_NE(
      bad_input_of([&] { read_archive(path, keep, 1504); }).find("entry 'train/b.jpg': the files to keep in memory"),
      std::string::npos);
}

TEST(Archive, KeepsNamesBeyondAscii) {
  const std::string pax = "19 path=d/\xC3\xA9\xC3\xBC.jpg\n";
  ASSERT_EQ(pax.size(), 19u);
  EXPECT_EQ(read_all(member("PaxHeader", pax, 'x') + member("d/plain", "123") + kEnd), "d/\xC3\xA9\xC3\xBC.jpg:3 ");
  EXPECT_EQ(read_all(member("d/\xC3\xA9.jpg", "1") + kEnd), "d/\xC3\xA9.jpg:1 ");
}

TEST(Archive, NamesTheEntryInErrors) {
  const std::map<std::string, std::string> table = {
      {member("a/../../b", "1") + kEnd, "x.tar: entry 'a/../../b': expected a relative name without '..'"},
      {member("..", "1") + kEnd, "x.tar: entry '..': expected a relative name without '..'"},
      {member("/etc/b", "1") + kEnd, "x.tar: entry '/etc/b': expected a relative name without '..'"},
      {member("a", "1") + member("./a", "2") + kEnd, "x.tar: entry 'a': the name is there twice"},
      {member("a", "", '2', "b") + kEnd, "x.tar: entry 'a': is a symbolic link, expected plain files"},
      {member("b", "1") + member("a", "", '1', "b") + kEnd,
       "x.tar: entry 'a': is a hard link to 'b', expected plain files"},
      {member("a", "1"), "x.tar: truncated: no end-of-archive marker after entry 'a'"},
      {member("a", "1") + member("b", std::string(600, 'b')).substr(0, 700), "x.tar: entry 'b': Truncated tar archive"},
  };
  for (const auto& [content, message] : table) EXPECT_EQ(error_of(content), message);
  EXPECT_EQ(read_all(member("a..b/..c", "1") + kEnd), "a..b/..c:1 ");
  EXPECT_NE(error_of("this is no archive"), "");
  EXPECT_NE(error_of(""), "");
  EXPECT_NE(bad_input_of([] { read_archive("/no/such.tar"); }).find("/no/such.tar: cannot be read: "),
            std::string::npos);
}

TEST(Archive, VerifiesGzipChecksums) {
  std::string packed = gzip(sample());
  packed[packed.size() - 6] ^= 1;
  EXPECT_EQ(error_of(packed), "x.tar: corrupt gzip data: incorrect data check");
}

TEST(Archive, RefusesEveryTruncation) {
  // The last block of zeros may be missing: one is enough.
  test::expect_truncations_refused(
      sample().substr(0, sample().size() - 512), [](const std::string& c) { read_all(c); }, 37);
  test::expect_truncations_refused(
      gzip(sample()), [](const std::string& c) { read_all(c); }, 7);
}

TEST(Archive, SurvivesDamage) {
  EXPECT_GT(test::try_damaged(gzip(sample()), 500, [](const std::string& c) { read_all(c); }), 450);
  test::try_damaged(sample(), 500, [](const std::string& c) { read_all(c); });
}

TEST(Gzip, UnpacksWithinALimit) {
  const std::string text(100'000, 'x');
  EXPECT_EQ(gunzip(gzip(text), "g"), text);
  EXPECT_EQ(gunzip(gzip(""), "g"), "");
  EXPECT_EQ(gunzip(gzip(text) + gzip("y"), "g"), text + "y");
  EXPECT_EQ(bad_input_of([&] { gunzip(gzip(text), "g", 99'999); }), "g: unpacks to more than the 99999 bytes expected");
  EXPECT_EQ(bad_input_of([&] { gunzip(gzip(text) + "junk", "g"); }), "g: corrupt gzip data: bytes after the end");
  EXPECT_EQ(bad_input_of([&] { gunzip(gzip(text).substr(0, 50), "g"); }), "g: truncated gzip data");
}

}  // namespace
}  // namespace gfsa
