#include "tokenizers/unicode.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace gfsa::tokenizers {
namespace {

std::string why(std::string_view text) {
  try {
    check_utf8(text, "text");
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), kExitBadInput);
    return error.message();
  }
  return "";
}

TEST(Unicode, TextThatIsNotUtf8IsToldByItsByte) {
  EXPECT_EQ(why("plain ascii text of some length, é, 日本語, 👍"), "");
  EXPECT_EQ(why("abc\xFFgh"), "text: byte 3 (0xff) is not UTF-8");
  EXPECT_EQ(why("eight by\xC3"), "text: byte 8 (0xc3) is not UTF-8");
  EXPECT_EQ(why("\xED\xA0\x80"), "text: byte 0 (0xed) is not UTF-8");      // a surrogate
  EXPECT_EQ(why("a\xC0\x80"), "text: byte 1 (0xc0) is not UTF-8");         // longer than needed
  EXPECT_EQ(why("\xF4\x90\x80\x80"), "text: byte 0 (0xf4) is not UTF-8");  // beyond U+10FFFF
}

TEST(Unicode, OlderTablesAreCutOff) {
  EXPECT_TRUE(is_nonspacing_mark(0x301));
  EXPECT_TRUE(is_nonspacing_mark(0x1734));   // Mc since Unicode 14
  EXPECT_FALSE(is_nonspacing_mark(0x8CA));   // of Unicode 14
  EXPECT_TRUE(is_combining_mark(0x903));     // a spacing one
  EXPECT_FALSE(is_combining_mark(0x111C9));  // Po in Unicode 9
  EXPECT_TRUE(is_punctuation(0x111C9));
  EXPECT_TRUE(is_punctuation('$'));
  EXPECT_FALSE(is_punctuation(0x20AC));  // a symbol that is not ASCII
  EXPECT_FALSE(is_punctuation(0x2E43));  // of Unicode 9
  EXPECT_TRUE(is_bert_control(0xAD));
  EXPECT_FALSE(is_bert_control('\n'));
  EXPECT_FALSE(is_bert_control(0x110CD));  // of Unicode 11
  char32_t parts[18];
  EXPECT_EQ(decompose(0x32FF, true, parts), 0);  // of Unicode 12.1
  EXPECT_EQ(decompose(0xFDFA, true, parts), 18);
  EXPECT_EQ(compose('e', 0x301), char32_t{0xE9});
  EXPECT_EQ(compose(0x11935, 0x11930), char32_t{0});  // of Unicode 13
  EXPECT_EQ(compose(0x915, 0x93C), char32_t{0});      // excluded from composition
}

TEST(Unicode, LowercaseKnowsNoNeighbours) {
  char32_t out[2];
  EXPECT_EQ(lowercase(0x130, out), 2);
  EXPECT_EQ(out[0], char32_t{'i'});
  EXPECT_EQ(out[1], char32_t{0x307});
  EXPECT_EQ(lowercase(0x3A3, out), 1);
  EXPECT_EQ(out[0], char32_t{0x3C3});  // never the final one
}

std::vector<size_t> clusters(std::u32string_view text) {
  std::vector<size_t> ends;
  for (size_t at = 0; at < text.size();) ends.push_back(at = grapheme_end(text.data(), at, text.size()));
  return ends;
}

TEST(Unicode, GraphemeClusters) {
  using Ends = std::vector<size_t>;
  EXPECT_EQ(clusters(U"ab"), (Ends{1, 2}));
  EXPECT_EQ(clusters(U"\r\n\n"), (Ends{2, 3}));
  EXPECT_EQ(clusters(U"e\u0301\u0323x"), (Ends{3, 4}));
  EXPECT_EQ(clusters(U"\n\u0301"), (Ends{1, 2}));
  EXPECT_EQ(clusters(U"\u1100\u1161\u11A8\uAC00\u11A8"), (Ends{3, 5}));
  EXPECT_EQ(clusters(U"\U0001F1E9\U0001F1EA\U0001F1EB\U0001F1F7\U0001F1E9"), (Ends{2, 4, 5}));
  EXPECT_EQ(clusters(U"\U0001F469\u200D\U0001F467a\u200D\U0001F467"), (Ends{3, 5, 6}));
  EXPECT_EQ(clusters(U"\u00A9\uFE0F\u200D\u00A9"), (Ends{4}));
  EXPECT_EQ(clusters(U"\u0600\u0661"), (Ends{2}));
}

TEST(Unicode, BytesHaveCharactersOfTheirOwn) {
  EXPECT_EQ(char_of_byte('a'), char32_t{'a'});
  EXPECT_EQ(char_of_byte(' '), char32_t{0x120});
  EXPECT_EQ(char_of_byte('\n'), char32_t{0x10A});
  EXPECT_EQ(char_of_byte(0xAD), char32_t{0x143});
  for (int b = 0; b < 256; ++b) EXPECT_EQ(byte_of_char(char_of_byte(static_cast<unsigned char>(b))), b);
  EXPECT_EQ(byte_of_char(' '), -1);
  EXPECT_EQ(byte_of_char(0x144), -1);
}

}  // namespace
}  // namespace gfsa::tokenizers
