// gpt2_pattern.h -- GPT-2's split of text into words, without a regular expression:
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// Every character is of one of the classes \s, \p{L}, \p{N} or none, so that the first character (behind one optional
// space) decides which alternative matches, and how far is a run of one class. tests/tokenizers/gpt2_pattern_test.cpp
// compares it with PCRE2.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizers/aligned_text.h"

namespace gfsa::tokenizers {

// Appends the words' bytes [begin, end) in text[begin, end).
void split_like_gpt2(std::string_view text, size_t begin, size_t end, std::vector<Span>& words);

}  // namespace gfsa::tokenizers
