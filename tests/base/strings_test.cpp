#include "base/strings.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace gfsa {
namespace {

TEST(NearestName, FindsSlipsOnly) {
  const std::vector<std::string> names{"softmax", "gfsa", "lr", "weight_decay"};
  EXPECT_EQ(nearest_name("sofmax", names), "softmax");    // deletion
  EXPECT_EQ(nearest_name("softmaxx", names), "softmax");  // insertion
  EXPECT_EQ(nearest_name("gfas", names), "gfsa");         // swap of neighbours is one slip
  EXPECT_EQ(nearest_name("GFSA", names), "gfsa");         // case
  EXPECT_EQ(nearest_name("weight_dekay", names), "weight_decay");
  EXPECT_EQ(nearest_name("ls", names), "lr");  // at least one slip is allowed
  EXPECT_EQ(nearest_name("momentum", names), "");
  EXPECT_EQ(nearest_name("", names), "");
  EXPECT_EQ(nearest_name("x", {}), "");
  EXPECT_EQ(nearest_name(std::string(1000, 'a'), {std::string(1000, 'a')}), "");  // too long to be a slip
}

TEST(NearestName, FirstOfEquallyNear) { EXPECT_EQ(nearest_name("ab", {"ac", "ad"}), "ac"); }

TEST(Messages, DidYouMeanAndOneOf) {
  EXPECT_EQ(did_you_mean("gfas", {"gfsa"}), "; did you mean 'gfsa'?");
  EXPECT_EQ(did_you_mean("zzzz", {"gfsa"}), "");
  EXPECT_EQ(one_of({}), "");
  EXPECT_EQ(one_of({"a"}), "a");
  EXPECT_EQ(one_of({"a", "b"}), "a or b");
  EXPECT_EQ(one_of({"a", "b", "c"}), "a, b or c");
}

TEST(Human, Bytes) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1024), "1.0 KiB");
  EXPECT_EQ(human_bytes(1.5 * (1 << 30)), "1.5 GiB");
  EXPECT_EQ(human_bytes(5e15), "4547.5 TiB");
}

TEST(Human, Counts) {
  EXPECT_EQ(human_count(0), "0");
  EXPECT_EQ(human_count(999), "999");
  EXPECT_EQ(human_count(1000), "1,000");
  EXPECT_EQ(human_count(22050736), "22,050,736");
  EXPECT_EQ(human_count(-123456), "-123,456");
}

TEST(Human, Seconds) {
  EXPECT_EQ(human_seconds(4.2), "4.2 s");
  EXPECT_EQ(human_seconds(192), "3 min 12 s");
  EXPECT_EQ(human_seconds(3599.7), "1 h 00 min");
  EXPECT_EQ(human_seconds(7500), "2 h 05 min");
}

TEST(Glob, StarsAndQuestionMarks) {
  EXPECT_TRUE(matches_glob("*.bias", "blocks.0.attn.qkv.bias"));
  EXPECT_FALSE(matches_glob("*.bias", "blocks.0.attn.qkv.weight"));
  EXPECT_TRUE(matches_glob("blocks.?.norm*.weight", "blocks.3.norm1.weight"));
  EXPECT_FALSE(matches_glob("blocks.?.norm*", "blocks.10.norm1.weight"));
  EXPECT_TRUE(matches_glob("*a*b*c", "xxayybzzabc"));  // the last c, not the first
  EXPECT_TRUE(matches_glob("*", ""));
  EXPECT_TRUE(matches_glob("", ""));
  EXPECT_FALSE(matches_glob("", "a"));
  EXPECT_FALSE(matches_glob("?", ""));
  EXPECT_FALSE(matches_glob("abc", "abcd"));
  EXPECT_FALSE(matches_glob(std::string(50, '*') + "b", std::string(5000, 'a')));  // and quickly so
}

TEST(Utf8, ValidAndInvalid) {
  for (const char* good :
       {"", "abc", "\xc3\xa9", "\xe6\xbc\xa2", "\xf0\x9f\x98\x80", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_valid_utf8(good)) << good;
  }
  for (const char* bad :
       {"\xff", "\x80", "\xc3", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe6\xbc", "a\xc3(", "\xe6\x28\xa2"}) {
    EXPECT_FALSE(is_valid_utf8(bad));
  }
  EXPECT_TRUE(is_valid_utf8(std::string_view("a\0b", 3)));
}

TEST(HashName, IsFnv1a) {
  EXPECT_EQ(hash_name("a"), 0xaf63dc4c8601ec8cull);  // the authors' published test vectors
  EXPECT_EQ(hash_name("foobar"), 0x85944171f73967e8ull);
  EXPECT_EQ(hash_name(""), 0xcbf29ce484222325ull);
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(hash_name("stream" + std::to_string(i)));
  EXPECT_EQ(seen.size(), 1000u);
}

}  // namespace
}  // namespace gfsa
