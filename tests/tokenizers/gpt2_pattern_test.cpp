// The scanner against the pattern itself, matched by PCRE2. Only characters of the BMP: PCRE2 does not know the letters
// of Unicode 15, all of which lie beyond.
#include "tokenizers/gpt2_pattern.h"

#include <gtest/gtest.h>

#include "core/philox.h"
#include "tokenizers/regex.h"
#include "tokenizers/unicode.h"

namespace gfsa::tokenizers {
namespace {

constexpr const char* kPattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

TEST(Gpt2Pattern, SplitsLikePcre2) {
  const Regex pattern(kPattern, "the pattern");
  const std::vector<std::string> parts = {
      " ",   "  ", "\n",     "\t",     "'",      "'s",     "'t",     "'re",    "'r",     "'ve", "'v",     "'m",
      "'ll", "'l", "'d",     "a",      "Zz",     "7",      "42",     "!",      "_",      ".",   "é",      "日",
      "²",   "٣",  "\u0301", "\u3000", "\u0085", "\u00a0", "\u200b", "\u180e", "\u2028", "👍",   "\u01c5", "\U0001D7D8"};
  for (uint32_t n = 0; n < 20000; ++n) {
    RandomSequence random(RandomKey(5, "gpt2 pattern"), n);
    std::string text;
    for (uint64_t k = 1 + random.below(12); k > 0; --k) {
      if (random.below(8) > 0) {
        text += parts[random.below(parts.size())];
      } else {
        const auto c = static_cast<char32_t>(1 + random.below(0xFFFE));
        if (c < 0xD800 || c > 0xDFFF) append_utf8(text, c);
      }
    }
    if (text.empty()) continue;
    std::vector<Span> expected, words;
    for (const Regex::Part& part : pattern.split(text)) {
      EXPECT_TRUE(part.match) << text;
      expected.push_back({static_cast<uint32_t>(part.begin), static_cast<uint32_t>(part.end)});
    }
    split_like_gpt2(text, 0, text.size(), words);
    ASSERT_EQ(words, expected) << text;
  }
}

TEST(Gpt2Pattern, StaysWithinItsPart) {
  std::vector<Span> words;
  split_like_gpt2("ab'll  x", 1, 4, words);  // b'l: the rest of the contraction is not there
  EXPECT_EQ(words, (std::vector<Span>{{1, 2}, {2, 3}, {3, 4}}));
}

}  // namespace
}  // namespace gfsa::tokenizers
