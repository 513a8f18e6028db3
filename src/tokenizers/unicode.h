// unicode.h -- UTF-8 and the character classes of the ecosystem's tokenizers.
//
// Hugging Face's `tokenizers` asks several Rust crates about characters, each with the tables of its own Unicode
// version. ICU knows when each character was assigned, so the older tables are its own, cut off at that version, but
// for the nine characters whose class changed later (unicode.cpp). Compared for every code point with tokenizers
// 0.23.3: scripts/golden/tokenizers.py --classes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace gfsa::tokenizers {

// Throws bad input with the offset of the first byte that is not UTF-8; `what` begins the message.
void check_utf8(std::string_view text, std::string_view what);

inline bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }
bool is_ascii(std::string_view text);

// The character at text[at] of valid UTF-8; `at` moves behind it.
inline char32_t next_char(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[i])); };
  const char32_t first = byte(at);
  if (first < 0x80) return at += 1, first;
  if (first < 0xE0) return at += 2, (first & 0x1F) << 6 | (byte(at - 1) & 0x3F);
  if (first < 0xF0) return at += 3, (first & 0x0F) << 12 | (byte(at - 2) & 0x3F) << 6 | (byte(at - 1) & 0x3F);
  at += 4;
  return (first & 0x07) << 18 | (byte(at - 3) & 0x3F) << 12 | (byte(at - 2) & 0x3F) << 6 | (byte(at - 1) & 0x3F);
}
void append_utf8(std::string& text, char32_t c);
std::string to_utf8(char32_t c);
size_t count_chars(std::string_view text);

// The current tables (Rust's char, regex, Oniguruma): White_Space, L, N, and regex's \w.
bool is_space(char32_t c);
bool is_letter(char32_t c);
bool is_number(char32_t c);
bool is_word(char32_t c);
// Of one character, without its neighbours; at most two characters (U+0130). Returns how many.
int lowercase(char32_t c, char32_t out[2]);

// Unicode 8 (crate unicode_categories).
bool is_bert_control(char32_t c);  // Cc, Cf, Co, but not tab, line feed, carriage return; U+FFFD too
bool is_nonspacing_mark(char32_t c);
bool is_punctuation(char32_t c);  // P, and ASCII's symbols
// CJK ideographs as BERT's code lists them.
bool is_chinese(char32_t c);

// Unicode 9 (crate unicode-normalization-alignments).
bool is_combining_mark(char32_t c);
int combining_class(char32_t c);
// The full decomposition, canonical or compatible: at most 18 characters. Returns how many, 0: none.
int decompose(char32_t c, bool compatible, char32_t out[18]);
// The primary composite of two characters, 0: none.
char32_t compose(char32_t a, char32_t b);

// Whether a grapheme cluster ends between text[at - 1] and text[at] (UAX 29), given where the cluster begins.
size_t grapheme_end(const char32_t* chars, size_t begin, size_t count);

// GPT-2's bytes as printable characters (https://github.com/openai/gpt-2, encoder.py): U+0021 .. U+0143.
char32_t char_of_byte(unsigned char byte);
// The byte of such a character, -1: none.
int byte_of_char(char32_t c);

}  // namespace gfsa::tokenizers
