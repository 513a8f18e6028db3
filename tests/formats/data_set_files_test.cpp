// IDX and CIFAR: the two data set formats that are plain arrays.
#include <cstring>

#include "formats/cifar_binary.h"
#include "formats/format_files.h"
#include "formats/idx.h"

namespace gfsa {
namespace {

using test::bad_input_of;

std::string idx(uint8_t type, const std::vector<uint32_t>& shape, const std::string& data) {
  std::string out{'\0', '\0', static_cast<char>(type), static_cast<char>(shape.size())};
  for (const uint32_t n : shape) {
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(n >> shift);
  }
  return out + data;
}

std::string idx_error(const std::string& content) {
  return bad_input_of([&] { parse_idx(content, "f"); });
}

TEST(Idx, ReadsEveryElementType) {
  const IdxArray images = parse_idx(idx(0x08, {2, 1, 3}, "abcdef"), "f");
  EXPECT_EQ(images.dtype, "U8");
  EXPECT_EQ(images.shape, (std::vector<int64_t>{2, 1, 3}));
  EXPECT_EQ(images.elements(), 6);
  EXPECT_EQ(images.bytes, "abcdef");
  EXPECT_EQ(parse_idx(idx(0x09, {1}, "a"), "f").dtype, "I8");

  const auto first = [](const IdxArray& array, auto value) {
    std::memcpy(&value, array.bytes.data(), sizeof value);
    return value;
  };
  EXPECT_EQ(first(parse_idx(idx(0x0B, {1}, "\x01\x02"), "f"), int16_t{}), 0x0102);
  EXPECT_EQ(first(parse_idx(idx(0x0C, {1}, std::string("\xFF\xFF\xFF\xFE", 4)), "f"), int32_t{}), -2);
  EXPECT_EQ(first(parse_idx(idx(0x0D, {1}, std::string("\x3F\xC0\0\0", 4)), "f"), float{}), 1.5f);
  EXPECT_EQ(first(parse_idx(idx(0x0E, {1}, std::string("\x3F\xF8\0\0\0\0\0\0", 8)), "f"), double{}), 1.5);
  EXPECT_EQ(read_idx(test::write_test_file("labels", idx(0x08, {3}, "xyz"))).bytes, "xyz");
}

TEST(Idx, ReadsGzip) {
  // gzip -n of idx(0x08, {3}, "xyz").
  const unsigned char packed[] = {0x1F, 0x8B, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x01, 0x0B,
                                  0x00, 0xF4, 0xFF, 0x00, 0x00, 0x08, 0x01, 0x00, 0x00, 0x00, 0x03, 0x78,
                                  0x79, 0x7A, 0xAC, 0xAC, 0xAC, 0xAC, 0x0B, 0x00, 0x00, 0x00};
  std::string content(reinterpret_cast<const char*>(packed), sizeof packed);
  EXPECT_EQ(idx_error(content), "f: corrupt gzip data: incorrect data check");
  content.replace(26, 4, std::string("\xF1\xDF\x8F\x1A", 4));
  EXPECT_EQ(parse_idx(content, "f").bytes, "xyz");
}

TEST(Idx, SaysWhatIsWrong) {
  EXPECT_EQ(idx_error("abc"), "f: has 3 bytes, expected an IDX file (at least 4)");
  EXPECT_EQ(idx_error("abcd"),
            "f: not an IDX file: magic 61 62 63 64, expected 00 00, a type of 08 to 0e, a rank from 01");
  EXPECT_EQ(idx_error(idx(0x0A, {1}, "a")),
            "f: not an IDX file: magic 00 00 0a 01, expected 00 00, a type of 08 to 0e, a rank from 01");
  EXPECT_EQ(idx_error(idx(0x08, {}, "")),
            "f: not an IDX file: magic 00 00 08 00, expected 00 00, a type of 08 to 0e, a rank from 01");
  EXPECT_EQ(idx_error(idx(0x08, {2, 3}, "").substr(0, 8)), "f: truncated: 8 bytes, but the header takes 12");
  EXPECT_EQ(idx_error(idx(0x0B, {2, 3}, "abc")), "f: truncated: I16 of shape [2, 3] takes 12 bytes, the file has 3");
  EXPECT_EQ(idx_error(idx(0x08, {2}, "abc")), "f: trailing bytes: U8 of shape [2] takes 2 bytes, the file has 3");
  EXPECT_EQ(idx_error(idx(0x0E, {~0u, ~0u, 9}, "abc")),
            "f: F64 of shape [4294967295, 4294967295, 9] is too large, expected at most 8.0 GiB");
}

TEST(Idx, SurvivesDamageAndTruncation) {
  const std::string content = idx(0x0D, {2, 2}, std::string(16, 'x'));
  test::expect_truncations_refused(content, [](const std::string& c) { parse_idx(c, "f"); });
  EXPECT_GT(test::try_damaged(content, 500, [](const std::string& c) { parse_idx(c, "f"); }), 100);
}

std::string cifar_record(const std::string& labels, uint8_t seed) {
  std::string record = labels;
  for (int i = 0; i < kCifarPixelBytes; ++i) record += static_cast<char>(i * 7 + seed);
  return record;
}

TEST(CifarBinary, ReadsBothKinds) {
  const std::string ten = cifar_record("\x03", 1) + cifar_record("\x09", 2);
  const CifarRecords a = parse_cifar_binary(ten, CifarKind::kCifar10, "f");
  EXPECT_EQ(a.size(), 2);
  EXPECT_EQ(a.labels, (std::vector<uint8_t>{3, 9}));
  EXPECT_TRUE(a.coarse_labels.empty());
  ASSERT_EQ(a.images.size(), 2u * kCifarPixelBytes);
  EXPECT_EQ(a.images[kCifarPixelBytes + 5], 37);

  const std::string hundred = cifar_record("\x13\x63", 1);
  const CifarRecords b = read_cifar_binary(test::write_test_file("train.bin", hundred), CifarKind::kCifar100);
  EXPECT_EQ(b.labels, std::vector<uint8_t>{99});
  EXPECT_EQ(b.coarse_labels, std::vector<uint8_t>{19});
  EXPECT_EQ(b.images[0], 1);
}

TEST(CifarBinary, SaysWhatIsWrong) {
  const auto error_of = [](const std::string& content, CifarKind kind) {
    return bad_input_of([&] { parse_cifar_binary(content, kind, "f"); });
  };
  EXPECT_EQ(error_of("", CifarKind::kCifar10),
            "f: has 0 bytes, expected a whole number of CIFAR-10 records of 3073 bytes");
  EXPECT_EQ(
      error_of(cifar_record("\x01", 1), CifarKind::kCifar100),
      "f: has 3073 bytes, expected a whole number of CIFAR-100 records of 3074 bytes: truncated, or another data set");
  EXPECT_EQ(error_of(cifar_record("\x01", 1) + cifar_record("\x0A", 1), CifarKind::kCifar10),
            "f: record 1: label 10 is not below 10");
  EXPECT_EQ(error_of(cifar_record("\x14\x01", 1), CifarKind::kCifar100),
            "f: record 0: coarse label 20 is not below 20");
  EXPECT_EQ(error_of(cifar_record("\x01\x64", 1), CifarKind::kCifar100), "f: record 0: label 100 is not below 100");
}

TEST(CifarBinary, KnowsItsFilesAndNames) {
  EXPECT_EQ(cifar_files(CifarKind::kCifar10, true).size(), 5u);
  EXPECT_EQ(cifar_files(CifarKind::kCifar10, false), std::vector<std::string>{"test_batch.bin"});
  EXPECT_EQ(cifar_files(CifarKind::kCifar100, true), std::vector<std::string>{"train.bin"});
  const auto names = parse_cifar_names("a\nb\r\nc\nd\ne\nf\ng\nh\ni\nj\n\n", CifarKind::kCifar10, "n");
  EXPECT_EQ(names[1], "b");
  EXPECT_EQ(bad_input_of([] { parse_cifar_names("a\nb", CifarKind::kCifar100, "n"); }),
            "n: holds 2 class names, expected 100");
}

}  // namespace
}  // namespace gfsa
