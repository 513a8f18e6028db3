#include "tokenizers/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/error.h"

namespace gfsa::tokenizers {
namespace {

// Oniguruma's \s is White_Space, PCRE2's has U+180E as well; its \w has marks and connectors.
constexpr std::string_view kSpace = "\\t-\\r\\x{85}\\p{Z}";
constexpr std::string_view kWord = "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}";

std::string with_onigurumas_classes(std::string_view pattern) {
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const char next = pattern[++i];
      if (next == 's' || next == 'w') {
        const std::string_view set = next == 's' ? kSpace : kWord;
        out += in_class ? std::string(set) : fmt::format("[{}]", set);
      } else if ((next == 'S' || next == 'W') && !in_class) {
        out += fmt::format("[^{}]", next == 'S' ? kSpace : kWord);
      } else {
        out += c;
        out += next;
      }
      continue;
    }
    if (c == '[') in_class = true;
    if (c == ']') in_class = false;
    out += c;
  }
  return out;
}

}  // namespace

struct Regex::Compiled {
  pcre2_code* code = nullptr;
  ~Compiled() { pcre2_code_free(code); }
};

Regex::Regex(const std::string& pattern, const std::string& where)
    : compiled_(std::make_unique<Compiled>()), pattern_(pattern) {
  const std::string ours = with_onigurumas_classes(pattern);
  int error = 0;
  PCRE2_SIZE offset = 0;
  compiled_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(ours.data()), ours.size(),
                                  PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  if (compiled_->code == nullptr) {
    PCRE2_UCHAR why[256];
    pcre2_get_error_message(error, why, sizeof why);
    bad_input("{}: the pattern '{}' is not understood: {}", where, pattern, reinterpret_cast<const char*>(why));
  }
  pcre2_jit_compile(compiled_->code, PCRE2_JIT_COMPLETE);  // where there is none, matching interprets
}

Regex::~Regex() = default;

std::vector<Regex::Part> Regex::split(std::string_view text) const {
  std::vector<Part> parts;
  const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> data(
      pcre2_match_data_create_from_pattern(compiled_->code, nullptr), pcre2_match_data_free);
  if (!data) fail("no memory for matching '{}'", pattern_);
  const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data.get());
  size_t done = 0;
  for (size_t from = 0; from <= text.size();) {
    const int found = pcre2_match(compiled_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                                  PCRE2_NO_UTF_CHECK, data.get(), nullptr);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      PCRE2_UCHAR why[256];
      pcre2_get_error_message(found, why, sizeof why);
      bad_input("the pattern '{}' cannot be matched: {}", pattern_, reinterpret_cast<const char*>(why));
    }
    const size_t begin = ends[0], end = ends[1];
    if (end > begin) {
      if (begin > done) parts.push_back({done, begin, false});
      parts.push_back({begin, end, true});
      done = end;
      from = end;
    } else {  // an empty match cuts what lies around it
      if (begin > done) parts.push_back({done, begin, false});
      done = begin;
      from = begin + 1;
      while (from < text.size() && (static_cast<unsigned char>(text[from]) & 0xC0) == 0x80) ++from;
    }
  }
  if (done < text.size()) parts.push_back({done, text.size(), false});
  return parts;
}

}  // namespace gfsa::tokenizers
