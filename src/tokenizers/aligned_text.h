// aligned_text.h -- a text while it is normalized: each of its bytes knows the bytes [begin, end) of the original that
// it comes from. The rules of alignment are those of `tokenizers` (NormalizedString), its oddities included.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gfsa::tokenizers {

struct Span {
  uint32_t begin = 0, end = 0;
  bool operator==(const Span&) const = default;
};

struct AlignedChar {
  char32_t c;
  Span span;
};
using AlignedChars = std::vector<AlignedChar>;

// A character of the new text: 0: in the place of the next old one; n > 0: added, with the old one before it;
// -n: in the place of the next old one, and n more old ones are gone.
struct Edit {
  char32_t c;
  int change;
};
// The new text; `skip` old characters at the beginning are gone.
void apply_edits(AlignedChars& chars, const std::vector<Edit>& edits, size_t skip = 0);

struct AlignedText {
  std::string text;
  std::vector<Span> spans;  // one a byte; empty: text[i] is byte base + i of the original
  uint32_t base = 0;

  // The original bytes of text[begin, end), which is not empty; whole characters.
  Span original(size_t begin, size_t end) const {
    if (!spans.empty()) return {spans[begin].begin, spans[end - 1].end};
    return whole_characters(begin, end);
  }
  // A part with the same alignment.
  AlignedText slice(size_t begin, size_t end) const;

 private:
  Span whole_characters(size_t begin, size_t end) const;
};

AlignedChars unpack(const AlignedText& text);
AlignedText pack(const AlignedChars& chars);
// Appends one character with its alignment to a text that has spans.
void append(AlignedText& text, char32_t c, Span span);

}  // namespace gfsa::tokenizers
