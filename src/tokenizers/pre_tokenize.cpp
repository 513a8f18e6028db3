#include "tokenizers/pre_tokenize.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tokenizers/gpt2_pattern.h"
#include "tokenizers/json_reader.h"
#include "tokenizers/regex.h"
#include "tokenizers/unicode.h"

namespace gfsa::tokenizers {
namespace {

using nlohmann::ordered_json;

Span part(size_t begin, size_t end) { return {static_cast<uint32_t>(begin), static_cast<uint32_t>(end)}; }

// What becomes of delimiters.
enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };
const std::vector<std::string> kBehaviors = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext",
                                             "Contiguous"};

using Match = Regex::Part;

// The parts of one piece that `matches` (which cover it, from 0 on) leave, appended to `out`.
void keep(const std::vector<Match>& matches, Behavior behavior, size_t origin, std::vector<Span>& out) {
  const size_t first = out.size();
  const auto push = [&](const Match& m) { out.push_back(part(origin + m.begin, origin + m.end)); };
  bool previous = false;
  switch (behavior) {
    case Behavior::kIsolated:
      for (const Match& m : matches) push(m);
      break;
    case Behavior::kRemoved:
      for (const Match& m : matches) {
        if (!m.match) push(m);
      }
      break;
    case Behavior::kContiguous:
      for (const Match& m : matches) {
        if (m.match == previous && out.size() > first) {
          out.back().end = static_cast<uint32_t>(origin + m.end);
        } else {
          push(m);
        }
        previous = m.match;
      }
      break;
    case Behavior::kMergedWithPrevious:
      for (const Match& m : matches) {
        if (m.match && !previous && out.size() > first) {
          out.back().end = static_cast<uint32_t>(origin + m.end);
        } else {
          push(m);
        }
        previous = m.match;
      }
      break;
    case Behavior::kMergedWithNext:
      for (auto m = matches.rbegin(); m != matches.rend(); ++m) {
        if (m->match && !previous && out.size() > first) {
          out.back().begin = static_cast<uint32_t>(origin + m->begin);
        } else {
          push(*m);
        }
        previous = m->match;
      }
      std::reverse(out.begin() + static_cast<int64_t>(first), out.end());
      break;
  }
}

// `find` appends the matches in a piece.
template <class Find>
void split_by(Pieces& pieces, Behavior behavior, const Find& find) {
  std::vector<Span> out;
  out.reserve(pieces.parts.size() + 8);
  std::vector<Match> matches;
  for (const Span& p : pieces.parts) {
    matches.clear();
    find(std::string_view(pieces.text.text).substr(p.begin, p.end - p.begin), matches);
    keep(matches, behavior, p.begin, out);
  }
  pieces.parts = std::move(out);
}

// Each character that `is_match` names is a match of its own.
template <class IsMatch>
void find_characters(std::string_view piece, std::vector<Match>& out, const IsMatch& is_match) {
  size_t done = 0;
  for (size_t at = 0; at < piece.size();) {
    const size_t begin = at;
    if (!is_match(next_char(piece, at))) continue;
    if (begin > done) out.push_back({done, begin, false});
    out.push_back({begin, at, true});
    done = at;
  }
  if (done < piece.size()) out.push_back({done, piece.size(), false});
}

template <class IsMatch>
void split_at_characters(Pieces& pieces, Behavior behavior, const IsMatch& is_match) {
  split_by(pieces, behavior,
           [&](std::string_view piece, std::vector<Match>& out) { find_characters(piece, out, is_match); });
}

// Spaces go, punctuation stands alone.
class Bert : public PreTokenizer {
 public:
  void split(Pieces& pieces) const override {
    const std::string_view text = pieces.text.text;
    std::vector<Span> out;
    out.reserve(text.size() / 4);
    for (const Span& p : pieces.parts) {
      size_t start = p.begin;
      for (size_t at = p.begin; at < p.end;) {
        const size_t begin = at;
        const auto byte = static_cast<unsigned char>(text[at]);
        if (byte < 0x80 ? kPlain[byte] : false) {
          ++at;
          continue;
        }
        const char32_t c = next_char(text, at);
        const bool space = is_space(c);
        if (!space && !is_punctuation(c)) continue;
        if (begin > start) out.push_back(part(start, begin));
        if (!space) out.push_back(part(begin, at));
        start = at;
      }
      if (p.end > start) out.push_back(part(start, p.end));
    }
    pieces.parts = std::move(out);
  }
  ordered_json describe() const override { return {{"type", "BertPreTokenizer"}}; }

 private:
  // ASCII that is part of a word.
  static constexpr std::array<bool, 128> kPlain = [] {
    std::array<bool, 128> plain{};
    for (size_t c = 0; c < 128; ++c) {
      plain[c] = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c < 9 ||
                 (c > 13 && c < ' ') || c == 127;
    }
    return plain;
  }();
};

class ByteLevel : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, bool trim_offsets, bool use_regex)
      : add_prefix_space_(add_prefix_space), trim_offsets_(trim_offsets), use_regex_(use_regex) {}

  void split(Pieces& pieces) const override {
    if (add_prefix_space_) add_spaces(pieces);
    if (use_regex_) {
      std::vector<Span> words;
      words.reserve(pieces.text.text.size() / 3);
      for (const Span& p : pieces.parts) split_like_gpt2(pieces.text.text, p.begin, p.end, words);
      pieces.parts = std::move(words);
    }
    if (!keep_bytes_) to_characters(pieces);
  }
  bool ends_in_bytes() const override { return true; }
  void keep_bytes(bool keep) override { keep_bytes_ = keep; }
  ordered_json describe() const override {
    return {{"type", "ByteLevel"},
            {"add_prefix_space", add_prefix_space_},
            {"trim_offsets", trim_offsets_},
            {"use_regex", use_regex_}};
  }

 private:
  static void add_spaces(Pieces& pieces) {
    const AlignedText& text = pieces.text;
    const auto begins_with_space = [&](const Span& p) { return text.text[p.begin] == ' '; };
    if (std::all_of(pieces.parts.begin(), pieces.parts.end(), begins_with_space)) return;
    AlignedText out;
    out.text.reserve(text.text.size() + pieces.parts.size());
    out.spans.reserve(text.text.size() + pieces.parts.size());
    for (Span& p : pieces.parts) {
      const size_t begin = out.text.size();
      if (!begins_with_space(p)) append(out, ' ', text.original(p.begin, p.begin + 1));
      for (size_t at = p.begin; at < p.end; ++at) out.spans.push_back(text.original(at, at + 1));
      out.text.append(text.text, p.begin, p.end - p.begin);
      p = part(begin, out.text.size());
    }
    pieces.text = std::move(out);
  }

  static void to_characters(Pieces& pieces) {
    const AlignedText& text = pieces.text;
    AlignedText out;
    out.text.reserve(text.text.size() * 2);
    out.spans.reserve(text.text.size() * 2);
    for (Span& p : pieces.parts) {
      const size_t begin = out.text.size();
      for (size_t at = p.begin; at < p.end; ++at) {
        append(out, char_of_byte(static_cast<unsigned char>(text.text[at])), text.original(at, at + 1));
      }
      p = part(begin, out.text.size());
    }
    pieces.text = std::move(out);
  }

  bool add_prefix_space_, trim_offsets_, use_regex_;
  bool keep_bytes_ = false;
};

class Whitespace : public PreTokenizer {
 public:
  // \w+|[^\w\s]+
  void split(Pieces& pieces) const override {
    const std::string_view text = pieces.text.text;
    std::vector<Span> out;
    for (const Span& p : pieces.parts) {
      int before = 0;  // 0: space, 1: word, 2: other
      for (size_t at = p.begin; at < p.end;) {
        const size_t begin = at;
        const char32_t c = next_char(text, at);
        const int kind = is_word(c) ? 1 : is_space(c) ? 0 : 2;
        if (kind != 0 && kind == before) {
          out.back().end = static_cast<uint32_t>(at);
        } else if (kind != 0) {
          out.push_back(part(begin, at));
        }
        before = kind;
      }
    }
    pieces.parts = std::move(out);
  }
  ordered_json describe() const override { return {{"type", "Whitespace"}}; }
};

class WhitespaceSplit : public PreTokenizer {
 public:
  void split(Pieces& pieces) const override { split_at_characters(pieces, Behavior::kRemoved, is_space); }
  ordered_json describe() const override { return {{"type", "WhitespaceSplit"}}; }
};

class Metaspace : public PreTokenizer {
 public:
  enum class Prepend { kFirst, kNever, kAlways };
  Metaspace(char32_t replacement, Prepend prepend, bool split)
      : replacement_(replacement), prepend_(prepend), split_(split) {}

  void split(Pieces& pieces) const override {
    const AlignedText& text = pieces.text;
    AlignedText out;
    out.text.reserve(text.text.size() * 2);
    out.spans.reserve(text.text.size() * 2);
    std::vector<Span> parts;
    for (const Span& p : pieces.parts) {
      const size_t begin = out.text.size();
      size_t at = p.begin;
      char32_t c = next_char(text.text, at);
      const Span first = text.original(p.begin, at);
      const bool prepend = prepend_ == Prepend::kAlways || (prepend_ == Prepend::kFirst && first.begin == 0);
      if (prepend && c != ' ' && c != replacement_) append(out, replacement_, first);
      std::vector<size_t> cuts;
      for (size_t from = p.begin;;) {
        if (c == ' ' || c == replacement_) cuts.push_back(out.text.size());
        append(out, c == ' ' ? replacement_ : c, text.original(from, at));
        from = at;
        if (at >= p.end) break;
        c = next_char(text.text, at);
      }
      size_t start = begin;
      for (const size_t cut : cuts) {
        if (!split_ || cut == start) continue;
        parts.push_back(part(start, cut));
        start = cut;
      }
      parts.push_back(part(start, out.text.size()));
    }
    pieces.text = std::move(out);
    pieces.parts = std::move(parts);
  }
  ordered_json describe() const override {
    constexpr const char* kSchemes[] = {"first", "never", "always"};
    return {{"type", "Metaspace"},
            {"replacement", to_utf8(replacement_)},
            {"prepend_scheme", kSchemes[static_cast<int>(prepend_)]},
            {"split", split_}};
  }

 private:
  char32_t replacement_;
  Prepend prepend_;
  bool split_;
};

class Punctuation : public PreTokenizer {
 public:
  explicit Punctuation(Behavior behavior) : behavior_(behavior) {}
  void split(Pieces& pieces) const override { split_at_characters(pieces, behavior_, is_punctuation); }
  ordered_json describe() const override {
    return {{"type", "Punctuation"}, {"behavior", kBehaviors[static_cast<size_t>(behavior_)]}};
  }

 private:
  Behavior behavior_;
};

class Digits : public PreTokenizer {
 public:
  explicit Digits(bool individual) : individual_(individual) {}
  void split(Pieces& pieces) const override {
    split_at_characters(pieces, individual_ ? Behavior::kIsolated : Behavior::kContiguous, is_number);
  }
  ordered_json describe() const override { return {{"type", "Digits"}, {"individual_digits", individual_}}; }

 private:
  bool individual_;
};

class Delimiter : public PreTokenizer {
 public:
  explicit Delimiter(char32_t delimiter) : delimiter_(delimiter) {}
  void split(Pieces& pieces) const override {
    split_at_characters(pieces, Behavior::kRemoved, [&](char32_t c) { return c == delimiter_; });
  }
  ordered_json describe() const override {
    return {{"type", "CharDelimiterSplit"}, {"delimiter", to_utf8(delimiter_)}};
  }

 private:
  char32_t delimiter_;
};

class FixedLength : public PreTokenizer {
 public:
  explicit FixedLength(int64_t length) : length_(length) {}
  void split(Pieces& pieces) const override {
    std::vector<Span> out;
    for (const Span& p : pieces.parts) {
      for (size_t at = p.begin; at < p.end;) {
        const size_t begin = at;
        for (int64_t n = 0; n < length_ && at < p.end; ++n) next_char(pieces.text.text, at);
        out.push_back(part(begin, at));
      }
    }
    pieces.parts = std::move(out);
  }
  ordered_json describe() const override { return {{"type", "FixedLength"}, {"length", length_}}; }

 private:
  int64_t length_;
};

class Split : public PreTokenizer {
 public:
  Split(const std::string& pattern, bool is_regex, Behavior behavior, bool invert, const std::string& where)
      : pattern_(pattern), behavior_(behavior), invert_(invert) {
    if (is_regex) regex_ = std::make_unique<Regex>(pattern, where);
  }
  void split(Pieces& pieces) const override {
    split_by(pieces, behavior_, [&](std::string_view piece, std::vector<Match>& out) {
      out = regex_ ? regex_->split(piece) : occurrences(piece);
      if (invert_) {
        for (Match& m : out) m.match = !m.match;
      }
    });
  }
  ordered_json describe() const override {
    return {{"type", "Split"},
            {"pattern", {{regex_ ? "Regex" : "String", pattern_}}},
            {"behavior", kBehaviors[static_cast<size_t>(behavior_)]},
            {"invert", invert_}};
  }

 private:
  std::vector<Match> occurrences(std::string_view piece) const {
    std::vector<Match> out;
    size_t done = 0;
    while (!pattern_.empty()) {
      const size_t at = piece.find(pattern_, done);
      if (at == std::string_view::npos) break;
      if (at > done) out.push_back({done, at, false});
      done = at + pattern_.size();
      out.push_back({at, done, true});
    }
    if (done < piece.size()) out.push_back({done, piece.size(), false});
    return out;
  }

  std::string pattern_;
  std::unique_ptr<Regex> regex_;
  Behavior behavior_;
  bool invert_;
};

class Sequence : public PreTokenizer {
 public:
  explicit Sequence(std::vector<std::shared_ptr<PreTokenizer>> steps) : steps_(std::move(steps)) {}
  void split(Pieces& pieces) const override {
    for (const auto& step : steps_) step->split(pieces);
  }
  bool ends_in_bytes() const override { return !steps_.empty() && steps_.back()->ends_in_bytes(); }
  void keep_bytes(bool keep) override {
    if (!steps_.empty()) steps_.back()->keep_bytes(keep);
  }
  ordered_json describe() const override {
    ordered_json steps = ordered_json::array();
    for (const auto& step : steps_) steps.push_back(step->describe());
    return {{"type", "Sequence"}, {"pretokenizers", steps}};
  }

 private:
  std::vector<std::shared_ptr<PreTokenizer>> steps_;
};

Behavior behavior_of(const JsonReader& json, const char* otherwise) {
  const std::string name = otherwise ? json.name("behavior", kBehaviors, otherwise) : json.name("behavior", kBehaviors);
  return static_cast<Behavior>(std::find(kBehaviors.begin(), kBehaviors.end(), name) - kBehaviors.begin());
}

std::shared_ptr<PreTokenizer> read_metaspace(const JsonReader& json) {
  const std::string scheme = json.name("prepend_scheme", {"first", "never", "always"}, "always");
  auto prepend = scheme == "first"   ? Metaspace::Prepend::kFirst
                 : scheme == "never" ? Metaspace::Prepend::kNever
                                     : Metaspace::Prepend::kAlways;
  if (!json.flag("add_prefix_space", true)) {  // the older way to say it
    if (json.has("prepend_scheme") && scheme != "never")
      json.at("add_prefix_space").expected("what prepend_scheme says");
    prepend = Metaspace::Prepend::kNever;
  }
  return std::make_shared<Metaspace>(json.character("replacement"), prepend, json.flag("split", true));
}

std::shared_ptr<PreTokenizer> read_one(const JsonReader& json, int depth) {
  const std::string type =
      json.name("type", {"BertPreTokenizer", "ByteLevel", "CharDelimiterSplit", "Metaspace", "Whitespace", "Sequence",
                         "Split", "Punctuation", "WhitespaceSplit", "Digits", "FixedLength"});
  if (type == "Sequence") {
    if (depth > 8) json.expected("sequences at most 8 deep");
    std::vector<std::shared_ptr<PreTokenizer>> steps;
    for (const JsonReader& item : json.items("pretokenizers")) steps.push_back(read_one(item, depth + 1));
    return sequence_pre_tokenizer(std::move(steps));
  }
  if (type == "BertPreTokenizer") return bert_pre_tokenizer();
  if (type == "ByteLevel") {
    return byte_level_pre_tokenizer(json.flag("add_prefix_space"), json.flag("trim_offsets"),
                                    json.flag("use_regex", true));
  }
  if (type == "CharDelimiterSplit") return std::make_shared<Delimiter>(json.character("delimiter"));
  if (type == "Metaspace") return read_metaspace(json);
  if (type == "Whitespace") return std::make_shared<Whitespace>();
  if (type == "WhitespaceSplit") return whitespace_split();
  if (type == "Digits") return std::make_shared<Digits>(json.flag("individual_digits"));
  if (type == "FixedLength") return std::make_shared<FixedLength>(json.whole("length", 5, 1, INT32_MAX));
  if (type == "Punctuation") return std::make_shared<Punctuation>(behavior_of(json, "Isolated"));
  const JsonReader pattern = json.at("pattern");
  const bool regex = pattern.has("Regex");
  return std::make_shared<Split>(pattern.text(regex ? "Regex" : "String"), regex, behavior_of(json, nullptr),
                                 json.flag("invert"), json.place());
}

}  // namespace

std::shared_ptr<PreTokenizer> bert_pre_tokenizer() { return std::make_shared<Bert>(); }
std::shared_ptr<PreTokenizer> byte_level_pre_tokenizer(bool add_prefix_space, bool trim_offsets, bool use_regex) {
  return std::make_shared<ByteLevel>(add_prefix_space, trim_offsets, use_regex);
}
std::shared_ptr<PreTokenizer> whitespace_split() { return std::make_shared<WhitespaceSplit>(); }
std::shared_ptr<PreTokenizer> metaspace_pre_tokenizer(bool prepend) {
  return std::make_shared<Metaspace>(U'\u2581', prepend ? Metaspace::Prepend::kAlways : Metaspace::Prepend::kNever,
                                     true);
}
std::shared_ptr<PreTokenizer> sequence_pre_tokenizer(std::vector<std::shared_ptr<PreTokenizer>> steps) {
  return std::make_shared<Sequence>(std::move(steps));
}
std::shared_ptr<PreTokenizer> split_characters() { return std::make_shared<FixedLength>(1); }

std::shared_ptr<PreTokenizer> read_pre_tokenizer(const JsonReader& json) {
  return json.value().is_null() ? nullptr : read_one(json, 0);
}

}  // namespace gfsa::tokenizers
