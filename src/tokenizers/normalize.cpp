#include "tokenizers/normalize.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tokenizers/json_reader.h"
#include "tokenizers/regex.h"
#include "tokenizers/unicode.h"

namespace gfsa::tokenizers {
namespace {

using nlohmann::ordered_json;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

class Bert : public NormalizerStep {
 public:
  Bert(bool clean_text, bool chinese, std::optional<bool> strip_accents, bool lowercase)
      : clean_text_(clean_text), chinese_(chinese), strip_accents_(strip_accents), lowercase_(lowercase) {}

  bool in_place(std::string& text) const override {
    if (clean_text_) {
      for (const char c : text) {
        if (is_bert_control(static_cast<unsigned char>(c))) return false;
      }
    }
    for (char& c : text) {
      if (clean_text_ && (c == '\t' || c == '\n' || c == '\r')) c = ' ';
      if (lowercase_) c = lower(c);
    }
    return true;
  }

  void normalize(AlignedChars& chars) const override {
    if (clean_text_) {
      filter(chars, [](char32_t c) { return !is_bert_control(c); });
      for (AlignedChar& c : chars) {
        if (is_space(c.c)) c.c = ' ';
      }
    }
    if (chinese_ && std::any_of(chars.begin(), chars.end(), [](const AlignedChar& c) { return is_chinese(c.c); })) {
      AlignedChars apart;
      apart.reserve(chars.size() + 16);
      for (const AlignedChar& c : chars) {
        const bool chinese = is_chinese(c.c);
        if (chinese) apart.push_back({' ', c.span});
        apart.push_back(c);
        if (chinese) apart.push_back({' ', c.span});
      }
      chars = std::move(apart);
    }
    if (strip_accents_.value_or(lowercase_)) {
      to_form(chars, Form::kNfd);
      filter(chars, [](char32_t c) { return !is_nonspacing_mark(c); });
    }
    if (lowercase_) lowercase(chars);
  }

  ordered_json describe() const override {
    ordered_json j = {{"type", "BertNormalizer"},
                      {"clean_text", clean_text_},
                      {"handle_chinese_chars", chinese_},
                      {"strip_accents", nullptr},
                      {"lowercase", lowercase_}};
    if (strip_accents_) j["strip_accents"] = *strip_accents_;
    return j;
  }

 private:
  bool clean_text_, chinese_;
  std::optional<bool> strip_accents_;
  bool lowercase_;
};

class Unicode : public NormalizerStep {
 public:
  explicit Unicode(Form form) : form_(form) {}
  bool in_place(std::string&) const override { return true; }
  void normalize(AlignedChars& chars) const override { to_form(chars, form_); }
  ordered_json describe() const override {
    constexpr const char* kNames[] = {"NFC", "NFD", "NFKC", "NFKD"};
    return {{"type", kNames[static_cast<int>(form_)]}};
  }

 private:
  Form form_;
};

class Lowercase : public NormalizerStep {
 public:
  bool in_place(std::string& text) const override {
    std::transform(text.begin(), text.end(), text.begin(), lower);
    return true;
  }
  void normalize(AlignedChars& chars) const override { lowercase(chars); }
  ordered_json describe() const override { return {{"type", "Lowercase"}}; }
};

class StripAccents : public NormalizerStep {
 public:
  bool in_place(std::string&) const override { return true; }
  void normalize(AlignedChars& chars) const override {
    filter(chars, [](char32_t c) { return !is_combining_mark(c); });
  }
  ordered_json describe() const override { return {{"type", "StripAccents"}}; }
};

class Strip : public NormalizerStep {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}
  bool in_place(std::string& text) const override {
    const auto space = [](char c) { return is_space(static_cast<unsigned char>(c)); };
    return text.empty() || !((left_ && space(text.front())) || (right_ && space(text.back())));
  }
  void normalize(AlignedChars& chars) const override {
    const auto stays = [](const AlignedChar& c) { return !is_space(c.c); };
    const auto begin = left_ ? std::find_if(chars.begin(), chars.end(), stays) : chars.begin();
    const auto end =
        right_ ? std::find_if(chars.rbegin(), std::make_reverse_iterator(begin), stays).base() : chars.end();
    chars = AlignedChars(begin, end);
  }
  ordered_json describe() const override { return {{"type", "Strip"}, {"strip_left", left_}, {"strip_right", right_}}; }

 private:
  bool left_, right_;
};

// Of the NMT rules of SentencePiece.
class Nmt : public NormalizerStep {
 public:
  bool in_place(std::string& text) const override {
    if (std::any_of(text.begin(), text.end(), [](char c) { return gone(static_cast<unsigned char>(c)); })) return false;
    for (char& c : text) c = static_cast<char>(mapped(static_cast<unsigned char>(c)));
    return true;
  }
  void normalize(AlignedChars& chars) const override {
    filter(chars, [](char32_t c) { return !gone(c); });
    for (AlignedChar& c : chars) c.c = mapped(c.c);
  }
  ordered_json describe() const override { return {{"type", "Nmt"}}; }

 private:
  static bool gone(char32_t c) {
    return (c >= 0x1 && c <= 0x8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
  }
  static char32_t mapped(char32_t c) {
    const bool space = c == 0x9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
                       c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
    return space ? U' ' : c;
  }
};

void check_size(size_t size, size_t before) {
  if (size <= std::max(kMostCharacters, 8 * before)) return;
  bad_input("the normalizer makes {} characters of {}, which is no use", size, before);
}

AlignedChars chars_of(const std::string& text, Span span) {
  AlignedChars chars;
  for (size_t at = 0; at < text.size();) chars.push_back({next_char(text, at), span});
  return chars;
}

// The replacement stands where the last character of what it replaces stood.
class Replace : public NormalizerStep {
 public:
  Replace(const std::string& pattern, bool is_regex, const std::string& with, const std::string& where)
      : pattern_(pattern), with_(with) {
    if (is_regex) regex_ = std::make_unique<Regex>(pattern, where);
  }
  bool in_place(std::string& text) const override {
    if (!regex_) return pattern_.empty() || text.find(pattern_) == std::string::npos;
    return text.empty() || !has_match(regex_->split(text));
  }
  void normalize(AlignedChars& chars) const override {
    std::string text;
    std::vector<size_t> ends;  // of each character's bytes
    for (const AlignedChar& c : chars) {
      append_utf8(text, c.c);
      ends.push_back(text.size());
    }
    const auto parts = matches(text);
    if (!has_match(parts)) return;
    const size_t found =
        static_cast<size_t>(std::count_if(parts.begin(), parts.end(), [](const auto& p) { return p.match; }));
    check_size(found * with_.size(), chars.size());
    AlignedChars out;
    size_t i = 0;
    for (const Regex::Part& part : parts) {
      const size_t first = i;
      while (i < ends.size() && ends[i] <= part.end) ++i;
      if (!part.match) {
        out.insert(out.end(), chars.begin() + static_cast<int64_t>(first), chars.begin() + static_cast<int64_t>(i));
      } else {
        const AlignedChars with = chars_of(with_, chars[i - 1].span);
        out.insert(out.end(), with.begin(), with.end());
      }
    }
    chars = std::move(out);
  }
  ordered_json describe() const override {
    return {{"type", "Replace"}, {"pattern", {{regex_ ? "Regex" : "String", pattern_}}}, {"content", with_}};
  }

 private:
  static bool has_match(const std::vector<Regex::Part>& parts) {
    return std::any_of(parts.begin(), parts.end(), [](const Regex::Part& p) { return p.match; });
  }
  std::vector<Regex::Part> matches(const std::string& text) const {
    if (text.empty()) return {};
    if (regex_) return regex_->split(text);
    std::vector<Regex::Part> parts;
    size_t done = 0;
    for (size_t at = pattern_.empty() ? std::string::npos : text.find(pattern_); at != std::string::npos;
         at = text.find(pattern_, done)) {
      if (at > done) parts.push_back({done, at, false});
      done = at + pattern_.size();
      parts.push_back({at, done, true});
    }
    if (done < text.size()) parts.push_back({done, text.size(), false});
    return parts;
  }

  std::string pattern_, with_;
  std::unique_ptr<Regex> regex_;
};

class Prepend : public NormalizerStep {
 public:
  explicit Prepend(const std::string& text) : text_(text) {}
  bool in_place(std::string& text) const override { return text.empty() || text_.empty(); }
  void normalize(AlignedChars& chars) const override {
    if (chars.empty()) return;
    const AlignedChars before = chars_of(text_, chars.front().span);
    chars.insert(chars.begin(), before.begin(), before.end());
  }
  ordered_json describe() const override { return {{"type", "Prepend"}, {"prepend", text_}}; }

 private:
  std::string text_;
};

class Bytes : public NormalizerStep {
 public:
  bool in_place(std::string& text) const override {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
  }
  void normalize(AlignedChars& chars) const override {
    AlignedChars out;
    for (const AlignedChar& c : chars) {
      for (const char byte : to_utf8(c.c)) out.push_back({char_of_byte(static_cast<unsigned char>(byte)), c.span});
    }
    chars = std::move(out);
  }
  ordered_json describe() const override { return {{"type", "ByteLevel"}}; }
};

std::shared_ptr<const NormalizerStep> read_replace(const JsonReader& json) {
  const JsonReader pattern = json.at("pattern");
  const bool regex = pattern.has("Regex");
  return std::make_shared<Replace>(pattern.text(regex ? "Regex" : "String"), regex, json.text("content"), json.place());
}

std::string from_base64(const JsonReader& json, const char* key) {
  const std::string text = json.text(key);
  std::string out;
  uint32_t bits = 0;
  int have = 0;
  for (const char c : text.substr(0, text.find('='))) {
    constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) json.at(key).expected("base64");
    bits = bits << 6 | static_cast<uint32_t>(digit);
    have += 6;
    if (have >= 8) {
      have -= 8;
      out.push_back(static_cast<char>(bits >> have & 0xFF));
    }
  }
  return out;
}

void read_steps(const JsonReader& json, std::vector<std::shared_ptr<const NormalizerStep>>& steps, int depth) {
  const std::string type =
      json.name("type", {"BertNormalizer", "Strip", "StripAccents", "NFC", "NFD", "NFKC", "NFKD", "Sequence",
                         "Lowercase", "Nmt", "Precompiled", "Replace", "Prepend", "ByteLevel"});
  if (type == "Sequence") {
    if (depth > 8) json.expected("sequences at most 8 deep");
    for (const JsonReader& item : json.items("normalizers")) read_steps(item, steps, depth + 1);
  } else if (type == "BertNormalizer") {
    std::optional<bool> accents;
    if (json.has("strip_accents")) accents = json.flag("strip_accents");
    steps.push_back(
        bert_normalizer(json.flag("clean_text"), json.flag("handle_chinese_chars"), accents, json.flag("lowercase")));
  } else if (type == "Strip") {
    steps.push_back(std::make_shared<Strip>(json.flag("strip_left"), json.flag("strip_right")));
  } else if (type == "StripAccents") {
    steps.push_back(strip_accents_normalizer());
  } else if (type == "Lowercase") {
    steps.push_back(lowercase_normalizer());
  } else if (type == "Nmt") {
    steps.push_back(std::make_shared<Nmt>());
  } else if (type == "Precompiled") {
    steps.push_back(
        precompiled_normalizer(from_base64(json, "precompiled_charsmap"), json.at("precompiled_charsmap").place()));
  } else if (type == "Replace") {
    steps.push_back(read_replace(json));
  } else if (type == "Prepend") {
    steps.push_back(std::make_shared<Prepend>(json.text("prepend")));
  } else if (type == "ByteLevel") {
    steps.push_back(std::make_shared<Bytes>());
  } else {
    steps.push_back(unicode_normalizer(type == "NFC"    ? Form::kNfc
                                       : type == "NFD"  ? Form::kNfd
                                       : type == "NFKC" ? Form::kNfkc
                                                        : Form::kNfkd));
  }
}

}  // namespace

std::shared_ptr<const NormalizerStep> bert_normalizer(bool clean_text, bool chinese, std::optional<bool> strip_accents,
                                                      bool lowercase) {
  return std::make_shared<Bert>(clean_text, chinese, strip_accents, lowercase);
}
std::shared_ptr<const NormalizerStep> unicode_normalizer(Form form) { return std::make_shared<Unicode>(form); }
std::shared_ptr<const NormalizerStep> lowercase_normalizer() { return std::make_shared<Lowercase>(); }
std::shared_ptr<const NormalizerStep> strip_accents_normalizer() { return std::make_shared<StripAccents>(); }
std::shared_ptr<const NormalizerStep> replace_normalizer(const std::string& text, const std::string& with) {
  return std::make_shared<Replace>(text, false, with, "");
}

Normalizer::Normalizer(std::vector<std::shared_ptr<const NormalizerStep>> steps, bool sequence)
    : steps_(std::move(steps)), sequence_(sequence) {}

AlignedText Normalizer::apply(std::string_view text, uint32_t base) const {
  AlignedText out;
  out.text = text;
  out.base = base;
  size_t i = 0;
  if (!steps_.empty() && is_ascii(text)) {
    while (i < steps_.size() && steps_[i]->in_place(out.text)) ++i;
  }
  if (i == steps_.size()) return out;
  AlignedChars chars = unpack(out);
  for (; i < steps_.size(); ++i) {
    steps_[i]->normalize(chars);
    check_size(chars.size(), text.size());
  }
  return pack(chars);
}

ordered_json Normalizer::describe() const {
  if (!sequence_) return steps_.empty() ? ordered_json() : steps_.front()->describe();
  ordered_json steps = ordered_json::array();
  for (const auto& step : steps_) steps.push_back(step->describe());
  return {{"type", "Sequence"}, {"normalizers", steps}};
}

Normalizer read_normalizer(const JsonReader& json) {
  if (json.value().is_null()) return {};
  std::vector<std::shared_ptr<const NormalizerStep>> steps;
  read_steps(json, steps, 0);
  return {std::move(steps), json.text("type") == "Sequence"};
}

}  // namespace gfsa::tokenizers
