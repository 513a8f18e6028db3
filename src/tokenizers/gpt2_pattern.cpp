#include "tokenizers/gpt2_pattern.h"

#include <array>

#include "tokenizers/unicode.h"

namespace gfsa::tokenizers {
namespace {

enum Class : uint8_t { kSpace, kLetter, kNumber, kOther, kWide };

constexpr std::array<Class, 256> kClasses = [] {
  std::array<Class, 256> classes{};
  for (int c = 0; c < 256; ++c) {
    classes[static_cast<size_t>(c)] = c >= 0x80                                          ? kWide
                                      : c == ' ' || (c >= 9 && c <= 13)                  ? kSpace
                                      : (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? kLetter
                                      : c >= '0' && c <= '9'                             ? kNumber
                                                                                         : kOther;
  }
  return classes;
}();

// The class of the character at `at`, which moves behind it.
Class next_class(std::string_view text, size_t& at) {
  const Class known = kClasses[static_cast<unsigned char>(text[at])];
  if (known != kWide) return ++at, known;
  const char32_t c = next_char(text, at);
  return is_letter(c) ? kLetter : is_number(c) ? kNumber : is_space(c) ? kSpace : kOther;
}

size_t run_end(std::string_view text, size_t at, Class of) {
  while (at < text.size()) {
    size_t next = at;
    if (next_class(text, next) != of) break;
    at = next;
  }
  return at;
}

// Of the contraction at an apostrophe, 0: none.
size_t contraction(std::string_view text, size_t at) {
  const char first = at + 1 < text.size() ? text[at + 1] : '\0';
  const char second = at + 2 < text.size() ? text[at + 2] : '\0';
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l')) return 3;
  return 0;
}

}  // namespace

void split_like_gpt2(std::string_view whole, size_t begin, size_t end, std::vector<Span>& words) {
  const std::string_view text = whole.substr(0, end);
  for (size_t at = begin; at < end;) {
    const size_t start = at;
    if (text[at] == '\'') {
      if (const size_t length = contraction(text, at)) {
        at += length;
        words.push_back({static_cast<uint32_t>(start), static_cast<uint32_t>(at)});
        continue;
      }
    }
    size_t next = at;
    Class of = next_class(text, next);
    if (text[at] == ' ' && next < end) {
      size_t behind = next;
      const Class second = next_class(text, behind);
      if (second != kSpace) {
        of = second;
        next = behind;
      }
    }
    at = run_end(text, next, of);
    if (of == kSpace && at < end) {  // \s+(?!\S): the last one stays with the word behind it, unless it is alone
      size_t last = at - 1;
      while (is_continuation(text[last])) --last;
      if (last > start) at = last;
    }
    words.push_back({static_cast<uint32_t>(start), static_cast<uint32_t>(at)});
  }
}

}  // namespace gfsa::tokenizers
