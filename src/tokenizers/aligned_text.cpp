#include "tokenizers/aligned_text.h"

#include <algorithm>

#include "tokenizers/unicode.h"

namespace gfsa::tokenizers {

void apply_edits(AlignedChars& chars, const std::vector<Edit>& edits, size_t skip) {
  AlignedChars out;
  out.reserve(edits.size());
  size_t at = std::min(skip, chars.size());
  const uint32_t origin = chars.empty() ? 0 : chars.front().span.begin;
  for (const Edit& edit : edits) {
    Span span{origin, origin};
    if (edit.change > 0) {
      if (at > 0) span = chars[at - 1].span;
    } else {
      if (!chars.empty()) span = chars[std::min(at, chars.size() - 1)].span;
      at = std::min(at + 1 + static_cast<size_t>(-edit.change), chars.size());
    }
    out.push_back({edit.c, span});
  }
  chars = std::move(out);
}

Span AlignedText::whole_characters(size_t begin, size_t end) const {
  while (begin > 0 && is_continuation(text[begin])) --begin;
  while (end < text.size() && is_continuation(text[end])) ++end;
  return {base + static_cast<uint32_t>(begin), base + static_cast<uint32_t>(end)};
}

AlignedText AlignedText::slice(size_t begin, size_t end) const {
  AlignedText part;
  part.text = text.substr(begin, end - begin);
  if (spans.empty()) {
    part.base = base + static_cast<uint32_t>(begin);
  } else {
    part.spans.assign(spans.begin() + static_cast<int64_t>(begin), spans.begin() + static_cast<int64_t>(end));
  }
  return part;
}

AlignedChars unpack(const AlignedText& text) {
  AlignedChars chars;
  chars.reserve(text.text.size());
  for (size_t at = 0; at < text.text.size();) {
    const size_t begin = at;
    const char32_t c = next_char(text.text, at);
    if (text.spans.empty()) {
      chars.push_back({c, {text.base + static_cast<uint32_t>(begin), text.base + static_cast<uint32_t>(at)}});
    } else {
      chars.push_back({c, text.spans[begin]});
    }
  }
  return chars;
}

void append(AlignedText& text, char32_t c, Span span) {
  append_utf8(text.text, c);
  text.spans.resize(text.text.size(), span);
}

AlignedText pack(const AlignedChars& chars) {
  AlignedText text;
  text.text.reserve(chars.size() + chars.size() / 4);
  text.spans.reserve(chars.size() + chars.size() / 4);
  for (const AlignedChar& c : chars) append(text, c.c, c.span);
  return text;
}

}  // namespace gfsa::tokenizers
