#include "tokenizers/unicode.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/utf16.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"

namespace gfsa::tokenizers {
namespace {

bool assigned_by(char32_t c, int major) {
  UVersionInfo age;
  u_charAge(static_cast<UChar32>(c), age);
  return age[0] > 0 && (age[0] < major || (age[0] == major && age[1] == 0));
}

uint32_t category(char32_t c) { return U_GET_GC_MASK(static_cast<UChar32>(c)); }

const UNormalizer2* normalizer(bool compatible) {
  UErrorCode error = U_ZERO_ERROR;
  const UNormalizer2* n = compatible ? unorm2_getNFKDInstance(&error) : unorm2_getNFDInstance(&error);
  if (U_FAILURE(error)) fail("ICU has no normalizer: {}", u_errorName(error));
  return n;
}

const UNormalizer2* composer() {
  UErrorCode error = U_ZERO_ERROR;
  const UNormalizer2* n = unorm2_getNFCInstance(&error);
  if (U_FAILURE(error)) fail("ICU has no normalizer: {}", u_errorName(error));
  return n;
}

const UNormalizer2* const kNfc = composer();
const UNormalizer2* const kDecompositions[2] = {normalizer(false), normalizer(true)};

}  // namespace

void check_utf8(std::string_view text, std::string_view what) {
  const char* data = text.data();
  int64_t at = 0;
  const int64_t size = static_cast<int64_t>(text.size());
  while (at < size) {
    uint64_t eight;
    if (at + 8 <= size && (std::memcpy(&eight, data + at, 8), (eight & 0x8080808080808080u) == 0)) {
      at += 8;
      continue;
    }
    const int64_t before = at;
    UChar32 c;
    U8_NEXT(data, at, size, c);
    if (c < 0) {
      bad_input("{}: byte {} (0x{:02x}) is not UTF-8", what, before, static_cast<unsigned char>(data[before]));
    }
  }
}

bool is_ascii(std::string_view text) {
  size_t at = 0;
  uint64_t all = 0;
  for (; at + 8 <= text.size(); at += 8) {
    uint64_t eight;
    std::memcpy(&eight, text.data() + at, 8);
    all |= eight;
  }
  for (; at < text.size(); ++at) all |= static_cast<unsigned char>(text[at]);
  return (all & 0x8080808080808080u) == 0;
}

void append_utf8(std::string& text, char32_t c) {
  if (c < 0x80) {
    text.push_back(static_cast<char>(c));
    return;
  }
  char bytes[4];
  int32_t n = 0;
  U8_APPEND_UNSAFE(bytes, n, c);
  text.append(bytes, static_cast<size_t>(n));
}

std::string to_utf8(char32_t c) {
  std::string text;
  append_utf8(text, c);
  return text;
}

size_t count_chars(std::string_view text) {
  return text.size() - static_cast<size_t>(std::count_if(text.begin(), text.end(), is_continuation));
}

bool is_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
  return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_WHITE_SPACE);
}

bool is_letter(char32_t c) { return category(c) & U_GC_L_MASK; }
bool is_number(char32_t c) { return category(c) & U_GC_N_MASK; }

bool is_word(char32_t c) {
  constexpr uint32_t kWord = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  return (category(c) & kWord) || u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_ALPHABETIC) ||
         u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_JOIN_CONTROL);
}

int lowercase(char32_t c, char32_t out[2]) {
  if (c == 0x130) {
    out[0] = 'i';
    out[1] = 0x307;
    return 2;
  }
  out[0] = static_cast<char32_t>(u_tolower(static_cast<UChar32>(c)));
  return 1;
}

bool is_bert_control(char32_t c) {
  if (c == '\t' || c == '\n' || c == '\r') return false;
  if (c < 0x80) return c < 0x20 || c == 0x7F;
  return c == 0xFFFD || ((category(c) & (U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK)) && assigned_by(c, 8));
}

bool is_nonspacing_mark(char32_t c) {
  if (c < 0x300) return false;
  if (c == 0x1734) return true;
  if (c == 0x1885 || c == 0x1886 || c == 0xA9BD || c == 0x111C9) return false;
  return (category(c) & U_GC_MN_MASK) && assigned_by(c, 8);
}

bool is_punctuation(char32_t c) {
  if (c < 0x80) return (c > ' ' && c < '0') || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') || (c > 'z' && c < 0x7F);
  if (c == 0x166D || c == 0x111C9) return true;
  return (category(c) & U_GC_P_MASK) && assigned_by(c, 8);
}

bool is_chinese(char32_t c) {
  return c >= 0x3400 &&
         ((c >= 0x4E00 && c <= 0x9FFF) || c <= 0x4DBF || (c >= 0xF900 && c <= 0xFAFF) ||
          (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) ||
          (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0x2F800 && c <= 0x2FA1F));
}

bool is_combining_mark(char32_t c) {
  if (c < 0x300) return false;
  if (c == 0x1CF2 || c == 0x1CF3) return true;
  if (c == 0x111C9) return false;
  return (category(c) & U_GC_M_MASK) && assigned_by(c, 9);
}

int combining_class(char32_t c) {
  if (c < 0x300) return 0;
  const int value = unorm2_getCombiningClass(kNfc, static_cast<UChar32>(c));
  return value != 0 && assigned_by(c, 9) ? value : 0;
}

int decompose(char32_t c, bool compatible, char32_t out[18]) {
  if (c < 0xA0) return 0;
  UChar units[36];
  UErrorCode error = U_ZERO_ERROR;
  const int32_t n = unorm2_getDecomposition(kDecompositions[compatible], static_cast<UChar32>(c), units, 36, &error);
  if (n <= 0 || U_FAILURE(error) || !assigned_by(c, 9)) return 0;
  int count = 0;
  for (int32_t i = 0; i < n;) {
    UChar32 d;
    U16_NEXT(units, i, n, d);
    out[count++] = static_cast<char32_t>(d);
  }
  return count;
}

char32_t compose(char32_t a, char32_t b) {
  const UChar32 c = unorm2_composePair(kNfc, static_cast<UChar32>(a), static_cast<UChar32>(b));
  return c > 0 && assigned_by(static_cast<char32_t>(c), 9) ? static_cast<char32_t>(c) : 0;
}

namespace {

int break_class(char32_t c) { return u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_GRAPHEME_CLUSTER_BREAK); }
bool is_pictograph(char32_t c) { return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_EXTENDED_PICTOGRAPHIC); }

// GB3 to GB9b, which look at two classes only.
bool joins(int before, int after) {
  const auto ends = [](int k) { return k == U_GCB_CONTROL || k == U_GCB_CR || k == U_GCB_LF; };
  if (before == U_GCB_CR && after == U_GCB_LF) return true;
  if (ends(before) || ends(after)) return false;
  if (before == U_GCB_L) {
    if (after == U_GCB_L || after == U_GCB_V || after == U_GCB_LV || after == U_GCB_LVT) return true;
  }
  if ((before == U_GCB_LV || before == U_GCB_V) && (after == U_GCB_V || after == U_GCB_T)) return true;
  if ((before == U_GCB_LVT || before == U_GCB_T) && after == U_GCB_T) return true;
  return after == U_GCB_EXTEND || after == U_GCB_ZWJ || after == U_GCB_SPACING_MARK || before == U_GCB_PREPEND;
}

}  // namespace

size_t grapheme_end(const char32_t* chars, size_t begin, size_t count) {
  int before = break_class(chars[begin]);
  bool pictograph = is_pictograph(chars[begin]);  // then marks only: what GB11 wants before a joiner
  size_t flags = before == U_GCB_REGIONAL_INDICATOR;
  for (size_t i = begin + 1; i < count; ++i) {
    const int after = break_class(chars[i]);
    bool together = joins(before, after);
    if (!together && before == U_GCB_ZWJ && pictograph && is_pictograph(chars[i])) together = true;  // GB11
    if (!together && after == U_GCB_REGIONAL_INDICATOR && before == U_GCB_REGIONAL_INDICATOR)
      together = flags % 2;  // GB12
    if (!together) return i;
    if (after != U_GCB_EXTEND && after != U_GCB_ZWJ) pictograph = is_pictograph(chars[i]);
    flags = after == U_GCB_REGIONAL_INDICATOR ? flags + 1 : 0;
    before = after;
  }
  return count;
}

namespace {

struct ByteChars {
  std::array<char32_t, 256> chars;
  std::array<int16_t, 0x144> bytes;
  ByteChars() {
    bytes.fill(-1);
    char32_t next = 0x100;
    for (unsigned b = 0; b < 256; ++b) {
      const bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      chars[b] = printable ? static_cast<char32_t>(b) : next++;
      bytes[chars[b]] = static_cast<int16_t>(b);
    }
  }
};
const ByteChars kByteChars;

}  // namespace

char32_t char_of_byte(unsigned char byte) { return kByteChars.chars[byte]; }
int byte_of_char(char32_t c) { return c < kByteChars.bytes.size() ? kByteChars.bytes[c] : -1; }

}  // namespace gfsa::tokenizers
