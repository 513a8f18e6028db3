#include "tokenizers/decode.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tokenizers/json_reader.h"
#include "tokenizers/normalize.h"
#include "tokenizers/regex.h"
#include "tokenizers/unicode.h"

namespace gfsa::tokenizers {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// As for normalizers (kMostCharacters): rules that make tokens longer may be chained.
void check_size(size_t bytes) {
  if (bytes > kMostCharacters) bad_input("the decoder makes a token of {} bytes, which is no use", bytes);
}

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  size_t at = what.empty() ? std::string::npos : text.find(what);
  if (at == std::string::npos) return;
  std::string out;
  size_t done = 0;
  for (; at != std::string::npos; at = text.find(what, done)) {
    out.append(text, done, at - done).append(with);
    done = at + what.size();
    if (with.size() > what.size()) check_size(out.size());
  }
  text = out.append(text, done);
}

std::string joined(const std::vector<std::string>& tokens) {
  std::string text;
  for (const std::string& token : tokens) text += token;
  return text;
}

// How long the valid UTF-8 character at `at` is, 0: none; then `bad` is how many bytes one U+FFFD stands for: the
// longest beginning of a character (Unicode 3.9, "substitution of maximal subparts").
size_t valid_char(std::string_view bytes, size_t at, size_t& bad) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(i < bytes.size() ? bytes[i] : 0); };
  const unsigned char first = byte(at);
  bad = 1;
  if (first < 0x80) return 1;
  const size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4) return 0;
  const unsigned char second = byte(at + 1);
  const unsigned char least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned char most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (second < least || second > most) return 0;
  for (size_t i = 2; i < size; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) {
      bad = i;
      return 0;
    }
  }
  return size;
}

std::string to_valid_utf8(std::string_view bytes) {
  std::string text;
  for (size_t at = 0; at < bytes.size();) {
    size_t bad = 0;
    if (const size_t size = valid_char(bytes, at, bad)) {
      text += bytes.substr(at, size);
      at += size;
    } else {
      text += kReplacement;
      at += bad;
    }
  }
  return text;
}

class ByteLevel : public Decoder {
 public:
  ByteLevel(bool add_prefix_space, bool trim_offsets, bool use_regex)
      : add_prefix_space_(add_prefix_space), trim_offsets_(trim_offsets), use_regex_(use_regex) {}
  void decode(std::vector<std::string>& tokens) const override {
    std::string bytes;
    for (const std::string& token : tokens) {
      const size_t before = bytes.size();
      for (size_t at = 0; at < token.size();) {
        const int byte = byte_of_char(next_char(token, at));
        if (byte < 0) {  // not of this alphabet: as it stands
          bytes.resize(before);
          bytes += token;
          break;
        }
        bytes.push_back(static_cast<char>(byte));
      }
    }
    tokens = {to_valid_utf8(bytes)};
  }
  ordered_json describe() const override {
    return {{"type", "ByteLevel"},
            {"add_prefix_space", add_prefix_space_},
            {"trim_offsets", trim_offsets_},
            {"use_regex", use_regex_}};
  }

 private:
  bool add_prefix_space_, trim_offsets_, use_regex_;
};

class WordPiece : public Decoder {
 public:
  WordPiece(const std::string& prefix, bool cleanup) : prefix_(prefix), cleanup_(cleanup) {}
  void decode(std::vector<std::string>& tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      std::string& token = tokens[i];
      if (i > 0) {
        if (token.starts_with(prefix_)) {
          token.erase(0, prefix_.size());
        } else {
          token.insert(0, " ");
        }
      }
      if (!cleanup_) continue;
      constexpr std::pair<const char*, const char*> kTidy[] = {
          {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
          {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
      for (const auto& [from, to] : kTidy) replace_all(token, from, to);
    }
  }
  ordered_json describe() const override { return {{"type", "WordPiece"}, {"prefix", prefix_}, {"cleanup", cleanup_}}; }

 private:
  std::string prefix_;
  bool cleanup_;
};

class Metaspace : public Decoder {
 public:
  Metaspace(const std::string& replacement, const std::string& scheme, bool split)
      : replacement_(replacement), scheme_(scheme), split_(split) {}
  void decode(std::vector<std::string>& tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      replace_all(tokens[i], replacement_, i == 0 && scheme_ != "never" ? "" : " ");
    }
  }
  ordered_json describe() const override {
    return {{"type", "Metaspace"}, {"replacement", replacement_}, {"prepend_scheme", scheme_}, {"split", split_}};
  }

 private:
  std::string replacement_, scheme_;
  bool split_;
};

class Suffix : public Decoder {
 public:
  explicit Suffix(const std::string& suffix) : suffix_(suffix) {}
  void decode(std::vector<std::string>& tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i) replace_all(tokens[i], suffix_, i + 1 == tokens.size() ? "" : " ");
  }
  ordered_json describe() const override { return {{"type", "BPEDecoder"}, {"suffix", suffix_}}; }

 private:
  std::string suffix_;
};

class Replace : public Decoder {
 public:
  Replace(const std::string& pattern, bool is_regex, const std::string& with, const std::string& where)
      : pattern_(pattern), with_(with) {
    if (is_regex) regex_ = std::make_unique<Regex>(pattern, where);
  }
  void decode(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) {
      if (!regex_) {
        replace_all(token, pattern_, with_);
        continue;
      }
      if (token.empty()) continue;
      std::string text;
      for (const Regex::Part& part : regex_->split(token)) {
        text += part.match ? with_ : token.substr(part.begin, part.end - part.begin);
        if (part.match && with_.size() > part.end - part.begin) check_size(text.size());
      }
      token = std::move(text);
    }
  }
  ordered_json describe() const override {
    return {{"type", "Replace"}, {"pattern", {{regex_ ? "Regex" : "String", pattern_}}}, {"content", with_}};
  }

 private:
  std::string pattern_, with_;
  std::unique_ptr<Regex> regex_;
};

class Fuse : public Decoder {
 public:
  void decode(std::vector<std::string>& tokens) const override { tokens = {joined(tokens)}; }
  ordered_json describe() const override { return {{"type", "Fuse"}}; }
};

class Strip : public Decoder {
 public:
  Strip(char32_t content, int64_t start, int64_t stop) : content_(to_utf8(content)), start_(start), stop_(stop) {}
  void decode(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) {
      for (int64_t n = 0; n < start_ && token.starts_with(content_); ++n) token.erase(0, content_.size());
      for (int64_t n = 0; n < stop_ && token.ends_with(content_); ++n) token.resize(token.size() - content_.size());
    }
  }
  ordered_json describe() const override {
    return {{"type", "Strip"}, {"content", content_}, {"start", start_}, {"stop", stop_}};
  }

 private:
  std::string content_;
  int64_t start_, stop_;
};

// <0x61> is a byte. Neighbouring bytes that are no text together are one U+FFFD each.
class ByteFallback : public Decoder {
 public:
  void decode(std::vector<std::string>& tokens) const override {
    std::vector<std::string> out;
    std::string bytes;
    const auto flush = [&] {
      if (bytes.empty()) return;
      size_t bad = 0, at = 0;
      while (at < bytes.size()) {
        const size_t size = valid_char(bytes, at, bad);
        if (size == 0) break;
        at += size;
      }
      if (at == bytes.size()) {
        out.push_back(bytes);
      } else {
        out.insert(out.end(), bytes.size(), std::string(kReplacement));
      }
      bytes.clear();
    };
    for (std::string& token : tokens) {
      const int byte = byte_of(token);
      if (byte >= 0) {
        bytes.push_back(static_cast<char>(byte));
        continue;
      }
      flush();
      out.push_back(std::move(token));
    }
    flush();
    tokens = std::move(out);
  }
  ordered_json describe() const override { return {{"type", "ByteFallback"}}; }

 private:
  static int byte_of(const std::string& token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
    int value = 0;
    for (const char c : token.substr(3, 2)) {
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                               : -1;
      if (digit < 0) return -1;
      value = 16 * value + digit;
    }
    return value;
  }
};

class Sequence : public Decoder {
 public:
  explicit Sequence(std::vector<std::shared_ptr<const Decoder>> steps) : steps_(std::move(steps)) {}
  void decode(std::vector<std::string>& tokens) const override {
    for (const auto& step : steps_) step->decode(tokens);
  }
  ordered_json describe() const override {
    ordered_json steps = ordered_json::array();
    for (const auto& step : steps_) steps.push_back(step->describe());
    return {{"type", "Sequence"}, {"decoders", steps}};
  }

 private:
  std::vector<std::shared_ptr<const Decoder>> steps_;
};

std::shared_ptr<const Decoder> read_metaspace(const JsonReader& json) {
  std::string scheme = json.name("prepend_scheme", {"first", "never", "always"}, "always");
  if (!json.flag("add_prefix_space", true)) {
    if (json.has("prepend_scheme") && scheme != "never")
      json.at("add_prefix_space").expected("what prepend_scheme says");
    scheme = "never";
  }
  return std::make_shared<Metaspace>(to_utf8(json.character("replacement")), scheme, json.flag("split", true));
}

std::shared_ptr<const Decoder> read_one(const JsonReader& json, int depth) {
  const std::string type = json.name("type", {"BPEDecoder", "ByteLevel", "WordPiece", "Metaspace", "Sequence",
                                              "Replace", "Fuse", "Strip", "ByteFallback"});
  if (type == "Sequence") {
    if (depth > 8) json.expected("sequences at most 8 deep");
    std::vector<std::shared_ptr<const Decoder>> steps;
    for (const JsonReader& item : json.items("decoders")) steps.push_back(read_one(item, depth + 1));
    return std::make_shared<Sequence>(std::move(steps));
  }
  if (type == "ByteLevel") {
    return byte_level_decoder(json.flag("add_prefix_space", true), json.flag("trim_offsets", true),
                              json.flag("use_regex", true));
  }
  if (type == "WordPiece") return wordpiece_decoder(json.text("prefix"), json.flag("cleanup"));
  if (type == "Metaspace") return read_metaspace(json);
  if (type == "BPEDecoder") return std::make_shared<Suffix>(json.text("suffix"));
  if (type == "Fuse") return fuse_decoder();
  if (type == "ByteFallback") return std::make_shared<ByteFallback>();
  if (type == "Strip") {
    return std::make_shared<Strip>(json.character("content"), json.whole("start", 0, INT32_MAX),
                                   json.whole("stop", 0, INT32_MAX));
  }
  const JsonReader pattern = json.at("pattern");
  const bool regex = pattern.has("Regex");
  return std::make_shared<Replace>(pattern.text(regex ? "Regex" : "String"), regex, json.text("content"), json.place());
}

}  // namespace

std::shared_ptr<const Decoder> byte_level_decoder(bool add_prefix_space, bool trim_offsets, bool use_regex) {
  return std::make_shared<ByteLevel>(add_prefix_space, trim_offsets, use_regex);
}
std::shared_ptr<const Decoder> wordpiece_decoder(const std::string& prefix, bool cleanup) {
  return std::make_shared<WordPiece>(prefix, cleanup);
}
std::shared_ptr<const Decoder> metaspace_decoder(bool prepend) {
  return std::make_shared<Metaspace>(to_utf8(U'\u2581'), prepend ? "always" : "never", true);
}
std::shared_ptr<const Decoder> fuse_decoder() { return std::make_shared<Fuse>(); }

std::shared_ptr<const Decoder> read_decoder(const JsonReader& json) {
  return json.value().is_null() ? nullptr : read_one(json, 0);
}

}  // namespace gfsa::tokenizers
