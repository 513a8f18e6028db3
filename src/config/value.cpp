#include "config/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <system_error>

#include "base/strings.h"

namespace gfsa::config {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// [-+] digits [. digits] [e [-+] digits], with a digit before or after the point.
bool looks_like_number(std::string_view s) {
  size_t i = 0;
  const auto digits = [&] {
    const size_t start = i;
    while (i < s.size() && is_digit(s[i])) ++i;
    return i - start;
  };
  if (i < s.size() && (s[i] == '-' || s[i] == '+')) ++i;
  size_t mantissa = digits();
  if (i < s.size() && s[i] == '.') ++i, mantissa += digits();
  if (mantissa == 0) return false;
  if (i < s.size() && (s[i] == 'e' || s[i] == 'E')) {
    ++i;
    if (i < s.size() && (s[i] == '-' || s[i] == '+')) ++i;
    if (digits() == 0) return false;
  }
  return i == s.size();
}

std::string lower_case(std::string_view s) {
  std::string out(s);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool is_one_of(const std::string& text, std::initializer_list<const char*> words) {
  for (const char* word : words) {
    if (text == word) return true;
  }
  return false;
}

bool names_a_bool(std::string_view s) {
  return is_one_of(lower_case(s), {"true", "false", "yes", "no", "on", "off", "y", "n"});
}
bool names_infinity_or_nan(std::string_view s) {
  std::string t = lower_case(s);
  if (!t.empty() && (t[0] == '-' || t[0] == '+')) t.erase(0, 1);
  return is_one_of(t, {".inf", ".nan", "inf", "nan", "infinity"});
}

std::string range_text(const FieldInfo& f) {
  const bool has_lower = std::isfinite(f.lower), has_upper = std::isfinite(f.upper);
  if (has_lower && has_upper) {
    return fmt::format(" in {}{}, {}{}", f.lower_open ? "(" : "[", f.lower, f.upper, f.upper_open ? ")" : "]");
  }
  if (has_lower) return fmt::format(" {} {}", f.lower_open ? ">" : ">=", f.lower);
  if (has_upper) return fmt::format(" {} {}", f.upper_open ? "<" : "<=", f.upper);
  return "";
}

std::string element_text(const FieldInfo& f, bool plural) {
  switch (f.binding.kind) {
    case Kind::kBool:
      return plural ? "true and false" : "true or false";
    case Kind::kInteger:
      return (plural ? "integers" : "an integer") + range_text(f);
    case Kind::kNumber:
      return (plural ? "numbers" : "a number") + range_text(f);
    case Kind::kText:
      if (!f.choices.empty()) return one_of(f.choices);
      if (f.is_path) return plural ? "paths" : "a path";
      return plural ? "texts" : "a text";
  }
  return "";
}

bool in_range(const FieldInfo& f, double v) {
  const bool low = f.lower_open ? v > f.lower : v >= f.lower;
  const bool high = f.upper_open ? v < f.upper : v <= f.upper;
  return low && high;
}

// Problem in words, or "".
std::string parse_double(std::string_view text, double& value) {
  if (names_infinity_or_nan(text)) return "is not finite";
  if (!looks_like_number(text)) {
    std::string bare(text);
    std::erase(bare, '_');
    if (bare.size() < text.size() && looks_like_number(bare)) return "is not a number (write it without underscores)";
    return "is not a number";
  }
  if (text[0] == '+') text.remove_prefix(1);
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status == std::errc::result_out_of_range) return "is beyond the range of a double";
  return end == text.data() + text.size() && status == std::errc() ? "" : "is not a number";
}

std::string parse_integer(std::string_view text, int64_t& value) {
  std::string_view digits = text;
  if (!digits.empty() && digits[0] == '+') digits.remove_prefix(1);
  const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (end == digits.data() + digits.size() && looks_like_number(text)) {
    if (status == std::errc::result_out_of_range) return "is too large for an integer";
    const size_t first = digits.find_first_not_of('-');
    if (digits.size() - first > 1 && digits[first] == '0') return "has a leading zero";
    return "";
  }
  double number = 0;
  const std::string problem = parse_double(text, number);
  if (!problem.empty()) return problem;
  constexpr double kExact = 9007199254740992.0;  // 2^53: above it a double no longer holds every integer
  if (number != std::floor(number)) return "is not a whole number";
  if (std::abs(number) > kExact) return "is too large for an integer written as a decimal";
  value = static_cast<int64_t>(number);
  return "";
}

std::string print_element(const FieldInfo& field, const Scalar& value) {
  if (const auto* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
  if (const auto* i = std::get_if<int64_t>(&value)) return std::to_string(*i);
  if (const auto* d = std::get_if<double>(&value)) {
    if (std::isnan(*d)) return ".nan";
    if (std::isinf(*d)) return *d > 0 ? ".inf" : "-.inf";
    return fmt::format("{}", *d);
  }
  const auto& text = std::get<std::string>(value);
  // A list that is written like [0, 3, 5] or `all` keeps that look.
  if (field.scalar_or_list && !text.empty() && text.find_first_not_of("0123456789") == std::string::npos) return text;
  return yaml_text(text);
}

}  // namespace

std::string expectation(const FieldInfo& f) {
  switch (f.binding.form) {
    case Form::kScalar:
      return element_text(f, false) + (f.not_empty ? " that is not empty" : "");
    case Form::kOptional:
      return element_text(f, false) + (f.not_empty ? " that is not empty" : "") + " or null";
    case Form::kList:
      if (f.scalar_or_list) return element_text(f, false) + " or a list of them";
      return (f.not_empty ? "a non-empty list of " : "a list of ") + element_text(f, true);
    case Form::kArray:
      return fmt::format("a list of {} {}", f.binding.length, element_text(f, true));
  }
  return "";
}

std::string shown(std::string_view text) {
  constexpr size_t kLongest = 60;
  std::string out;
  size_t end = std::min(text.size(), kLongest);
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
    --end;                                               // whole characters
  const bool utf8 = is_valid_utf8(text.substr(0, end));  // a command line need not be
  for (char c : text.substr(0, end)) {
    if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F || (!utf8 && static_cast<unsigned char>(c) >= 0x80)) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return end < text.size() ? out + "..." : out;
}

std::string parse_element(const FieldInfo& f, std::string_view text, bool quoted, Scalar& value) {
  const auto wrong = [&](const std::string& problem) {
    return fmt::format("'{}' {}, expected {}", shown(text), problem, expectation(f));
  };
  if (quoted && f.binding.kind != Kind::kText) return wrong("is a text in quotes");
  switch (f.binding.kind) {
    case Kind::kBool:
      if (text != "true" && text != "false") {
        return wrong(names_a_bool(text) ? "is a text in YAML 1.2" : "is neither true nor false");
      }
      value = text == "true";
      return "";
    case Kind::kInteger: {
      int64_t integer = 0;
      const std::string problem = parse_integer(text, integer);
      if (!problem.empty()) return wrong(problem);
      const auto v = static_cast<double>(integer);
      if (!in_range(f, v) || v < f.binding.lowest || v > f.binding.highest) return wrong("is out of range");
      value = integer;
      return "";
    }
    case Kind::kNumber: {
      double number = 0;
      const std::string problem = parse_double(text, number);
      if (!problem.empty()) return wrong(problem);
      if (!in_range(f, number)) return wrong("is out of range");
      value = number;
      return "";
    }
    case Kind::kText: {
      std::string word(text);
      if (word.empty() && (f.not_empty || f.is_path)) return "is empty, expected " + expectation(f);
      if (!f.choices.empty() && std::find(f.choices.begin(), f.choices.end(), word) == f.choices.end()) {
        return wrong("is unknown") + did_you_mean(word, f.choices);
      }
      value = std::move(word);
      return "";
    }
  }
  return "";
}

std::string yaml_text(std::string_view text) {
  bool plain = !text.empty() && !looks_like_number(text) && !names_a_bool(text) && !names_infinity_or_nan(text) &&
               lower_case(text) != "null";
  if (plain) {
    const char first = text[0];
    const bool relative = text.starts_with("./") || text.starts_with("../");
    plain = std::isalnum(static_cast<unsigned char>(first)) || first == '/' || first == '_' || relative;
  }
  for (const char c : text) {
    plain = plain && (std::isalnum(static_cast<unsigned char>(c)) ||
                      std::string_view("_./+-").find(c) != std::string_view::npos);
  }
  if (plain) return std::string(text);
  std::string out = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"' || c == '\\') {
      out += '\\', out += c;
    } else if (c == '$' && i + 1 < text.size() && text[i + 1] == '{') {
      out += "$$";  // the reader takes $${ for a literal ${
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string print_value(const FieldInfo& f) {
  const Scalars values = f.binding.get();
  if (f.binding.form == Form::kOptional && values.empty()) return "null";
  if (f.binding.form == Form::kScalar || f.binding.form == Form::kOptional ||
      (f.binding.form == Form::kList && f.scalar_or_list && values.size() == 1)) {
    return print_element(f, values[0]);
  }
  std::string out = "[";
  for (size_t i = 0; i < values.size(); ++i) out += (i > 0 ? ", " : "") + print_element(f, values[i]);
  return out + "]";
}

}  // namespace gfsa::config
