#include "tokenizers/post_process.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tokenizers/json_reader.h"
#include "tokenizers/unicode.h"

namespace gfsa::tokenizers {
namespace {

using nlohmann::ordered_json;

constexpr int64_t kLargestId = INT32_MAX - 1;

void join(std::vector<Sequence>& sequences) {
  for (size_t i = 1; i < sequences.size(); ++i) append(sequences[0].encoding, sequences[i].encoding);
  sequences.resize(1);
}

void add_special(Encoding& encoding, int32_t id, int32_t type) {
  encoding.ids.push_back(id);
  encoding.types.push_back(type);
  encoding.offsets.emplace_back(0, 0);
  encoding.special.push_back(true);
}

bool is_any_space(char32_t c) { return c == char_of_byte(' ') || is_space(c); }

// How many spaces (also GPT-2's for one) a token begins and ends with.
std::pair<int, int> spaces_around(std::string_view token) {
  int leading = 0, trailing = 0;
  for (size_t at = 0; at < token.size() && is_any_space(next_char(token, at));) ++leading;
  for (size_t end = token.size(); end > 0; ++trailing) {
    size_t at = end - 1;
    while (is_continuation(token[at])) --at;
    end = at;
    if (!is_any_space(next_char(token, at))) break;
  }
  return {leading, trailing};
}

// Moves over n characters, not beyond the text's ends; returns how many bytes.
int32_t forward(std::string_view text, int32_t from, int n) {
  auto at = static_cast<size_t>(from);
  for (; n > 0 && at < text.size(); --n) {
    ++at;
    while (at < text.size() && is_continuation(text[at])) ++at;
  }
  return static_cast<int32_t>(at);
}
// -1: there are fewer than n.
int32_t back(std::string_view text, int32_t from, int n) {
  auto at = from;
  for (; n > 0; --n) {
    if (at == 0) return -1;
    --at;
    while (at > 0 && is_continuation(text[static_cast<size_t>(at)])) --at;
  }
  return at;
}

void trim_offsets(Sequence& sequence, bool add_prefix_space, const TokenText& token) {
  Encoding& encoding = sequence.encoding;
  size_t next_text = 0;
  for (size_t i = 0; i < encoding.ids.size(); ++i) {
    const std::string* text = nullptr;
    if (next_text < sequence.texts.size() && sequence.texts[next_text].first == i) {
      text = &sequence.texts[next_text++].second;
    } else {
      text = &token(encoding.ids[i]);
    }
    auto [leading, trailing] = spaces_around(*text);
    auto& [begin, end] = encoding.offsets[i];
    if (leading > 0) {
      // The space that was put before the first word has no place in the text.
      if ((i == 0 || begin == 0) && add_prefix_space && leading == 1) leading = 0;
      begin = std::min(forward(sequence.text, begin, leading), end);
    }
    if (trailing > 0) {
      const int32_t trimmed = back(sequence.text, end, trailing);
      if (trimmed >= 0) end = std::max(trimmed, begin);
    }
  }
}

class ByteLevel : public PostProcessor {
 public:
  ByteLevel(bool add_prefix_space, bool trim, bool use_regex)
      : add_prefix_space_(add_prefix_space), trim_(trim), use_regex_(use_regex) {}
  void process(std::vector<Sequence>& sequences, bool, const TokenText& token) const override {
    if (!trim_) return;
    for (Sequence& s : sequences) trim_offsets(s, add_prefix_space_, token);
  }
  int64_t added(bool) const override { return 0; }
  std::vector<int32_t> ids() const override { return {}; }
  ordered_json describe() const override {
    return {{"type", "ByteLevel"},
            {"add_prefix_space", add_prefix_space_},
            {"trim_offsets", trim_},
            {"use_regex", use_regex_}};
  }

 private:
  bool add_prefix_space_, trim_, use_regex_;
};

struct NamedId {
  std::string token;
  int32_t id;
  ordered_json describe() const { return ordered_json::array({token, id}); }
};

// BertProcessing, and RobertaProcessing with another separator before the second text and no types.
class ClsSep : public PostProcessor {
 public:
  ClsSep(NamedId cls, NamedId sep) : cls_(std::move(cls)), sep_(std::move(sep)) {}
  ClsSep(NamedId cls, NamedId sep, bool trim, bool add_prefix_space)
      : cls_(std::move(cls)), sep_(std::move(sep)), roberta_(true), trim_(trim), add_prefix_space_(add_prefix_space) {}

  void process(std::vector<Sequence>& sequences, bool special, const TokenText& token) const override {
    for (Sequence& s : sequences) {
      if (trim_) trim_offsets(s, add_prefix_space_, token);
      if (roberta_) std::fill(s.encoding.types.begin(), s.encoding.types.end(), 0);
    }
    if (!special) return join(sequences);
    Encoding all;
    add_special(all, cls_.id, 0);
    append(all, sequences[0].encoding);
    add_special(all, sep_.id, 0);
    if (sequences.size() == 2) {
      if (roberta_) add_special(all, sep_.id, 0);
      append(all, sequences[1].encoding);
      add_special(all, sep_.id, roberta_ ? 0 : 1);
    }
    sequences.resize(1);
    sequences[0].encoding = std::move(all);
  }
  int64_t added(bool pair) const override { return !pair ? 2 : roberta_ ? 4 : 3; }
  std::vector<int32_t> ids() const override { return {cls_.id, sep_.id}; }
  ordered_json describe() const override {
    ordered_json j = {{"type", roberta_ ? "RobertaProcessing" : "BertProcessing"},
                      {"sep", sep_.describe()},
                      {"cls", cls_.describe()}};
    if (roberta_) {
      j["trim_offsets"] = trim_;
      j["add_prefix_space"] = add_prefix_space_;
    }
    return j;
  }

 private:
  NamedId cls_, sep_;
  bool roberta_ = false, trim_ = false, add_prefix_space_ = false;
};

struct Piece {
  std::string special;  // empty: a text
  size_t sequence = 0;
  int32_t type = 0;
};
struct SpecialIds {
  std::vector<int32_t> ids;
  std::vector<std::string> tokens;
};

class Template : public PostProcessor {
 public:
  Template(std::vector<Piece> single, std::vector<Piece> pair, std::map<std::string, SpecialIds> specials)
      : single_(std::move(single)), pair_(std::move(pair)), specials_(std::move(specials)) {}

  void process(std::vector<Sequence>& sequences, bool special, const TokenText&) const override {
    Encoding all;
    for (const Piece& piece : pieces(sequences.size() == 2)) {
      if (!piece.special.empty()) {
        if (!special) continue;
        for (const int32_t id : specials_.at(piece.special).ids) add_special(all, id, piece.type);
        continue;
      }
      Encoding& encoding = sequences[piece.sequence].encoding;
      std::fill(encoding.types.begin(), encoding.types.end(), piece.type);
      append(all, encoding);
    }
    sequences.resize(1);
    sequences[0].encoding = std::move(all);
  }
  int64_t added(bool pair) const override {
    int64_t n = 0;
    for (const Piece& piece : pieces(pair)) {
      if (!piece.special.empty()) n += static_cast<int64_t>(specials_.at(piece.special).ids.size());
    }
    return n;
  }
  std::vector<int32_t> ids() const override {
    std::vector<int32_t> all;
    for (const auto& [name, special] : specials_) all.insert(all.end(), special.ids.begin(), special.ids.end());
    return all;
  }
  ordered_json describe() const override {
    const auto list = [](const std::vector<Piece>& pieces) {
      ordered_json out = ordered_json::array();
      for (const Piece& p : pieces) {
        const bool special = !p.special.empty();
        out.push_back({{special ? "SpecialToken" : "Sequence",
                        {{"id", special           ? p.special
                                : p.sequence == 0 ? "A"
                                                  : "B"},
                         {"type_id", p.type}}}});
      }
      return out;
    };
    ordered_json specials = ordered_json::object();
    for (const auto& [id, s] : specials_) specials[id] = {{"id", id}, {"ids", s.ids}, {"tokens", s.tokens}};
    return {
        {"type", "TemplateProcessing"}, {"single", list(single_)}, {"pair", list(pair_)}, {"special_tokens", specials}};
  }

 private:
  const std::vector<Piece>& pieces(bool pair) const { return pair ? pair_ : single_; }
  std::vector<Piece> single_, pair_;
  std::map<std::string, SpecialIds> specials_;
};

class Chain : public PostProcessor {
 public:
  explicit Chain(std::vector<std::shared_ptr<const PostProcessor>> steps) : steps_(std::move(steps)) {}
  void process(std::vector<Sequence>& sequences, bool special, const TokenText& token) const override {
    for (const auto& step : steps_) step->process(sequences, special, token);
  }
  int64_t added(bool pair) const override {
    int64_t n = 0;
    for (const auto& step : steps_) n += step->added(pair);
    return n;
  }
  std::vector<int32_t> ids() const override {
    std::vector<int32_t> all;
    for (const auto& step : steps_) {
      const auto some = step->ids();
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  }
  ordered_json describe() const override {
    ordered_json steps = ordered_json::array();
    for (const auto& step : steps_) steps.push_back(step->describe());
    return {{"type", "Sequence"}, {"processors", steps}};
  }

 private:
  std::vector<std::shared_ptr<const PostProcessor>> steps_;
};

NamedId read_named_id(const JsonReader& json, const char* key) {
  const auto pair = json.items(key);
  if (pair.size() != 2) json.at(key).expected("[token, id]");
  return {pair[0].text(), static_cast<int32_t>(pair[1].whole(0, kLargestId))};
}

std::vector<Piece> read_pieces(const JsonReader& json, const char* key, bool pair,
                               const std::map<std::string, SpecialIds>& specials) {
  std::vector<Piece> pieces;
  size_t texts[2] = {0, 0};
  for (const JsonReader& item : json.items(key)) {
    const bool special = item.has("SpecialToken");
    const JsonReader inner = item.at(special ? "SpecialToken" : "Sequence");
    Piece piece;
    piece.type = static_cast<int32_t>(inner.whole("type_id", 0, kLargestId));
    if (special) {
      piece.special = inner.text("id");
      if (!specials.contains(piece.special)) inner.at("id").expected("one of special_tokens");
    } else {
      piece.sequence = inner.name("id", {"A", "B"}) == "B";
      ++texts[piece.sequence];
    }
    pieces.push_back(std::move(piece));
  }
  if (texts[0] != 1 || texts[1] != (pair ? 1 : 0)) json.at(key).expected(pair ? "A and B, once each" : "A, once");
  return pieces;
}

std::shared_ptr<const PostProcessor> read_template(const JsonReader& json) {
  std::map<std::string, SpecialIds> specials;
  const JsonReader all = json.at("special_tokens");
  if (!all.value().is_object()) all.expected("an object");
  for (const auto& [name, value] : all.value().items()) {
    if (name.empty()) all.expected("names that are not empty");
    const JsonReader one(value, json.file(), all.place().substr(json.file().size() + 2) + "." + name);
    SpecialIds ids;
    for (const JsonReader& id : one.items("ids")) ids.ids.push_back(static_cast<int32_t>(id.whole(0, kLargestId)));
    for (const JsonReader& token : one.items("tokens")) ids.tokens.push_back(token.text());
    if (ids.ids.size() != ids.tokens.size()) one.expected("as many ids as tokens");
    specials[name] = std::move(ids);
  }
  auto single = read_pieces(json, "single", false, specials);
  auto pair = read_pieces(json, "pair", true, specials);
  return std::make_shared<Template>(std::move(single), std::move(pair), std::move(specials));
}

// The processors before the last may not join the texts.
std::shared_ptr<const PostProcessor> read_one(const JsonReader& json, bool last, int depth) {
  const std::string type =
      json.name("type", last ? std::vector<std::string>{"TemplateProcessing", "BertProcessing", "RobertaProcessing",
                                                        "ByteLevel", "Sequence"}
                             : std::vector<std::string>{"ByteLevel", "Sequence"});
  if (type == "Sequence") {
    if (depth > 8) json.expected("sequences at most 8 deep");
    std::vector<std::shared_ptr<const PostProcessor>> steps;
    const auto items = json.items("processors");
    for (size_t i = 0; i < items.size(); ++i) {
      steps.push_back(read_one(items[i], last && i + 1 == items.size(), depth + 1));
    }
    return std::make_shared<Chain>(std::move(steps));
  }
  if (type == "ByteLevel") {
    return byte_level_processor(json.flag("add_prefix_space"), json.flag("trim_offsets"), json.flag("use_regex", true));
  }
  if (type == "TemplateProcessing") return read_template(json);
  const NamedId sep = read_named_id(json, "sep"), cls = read_named_id(json, "cls");
  if (type == "BertProcessing") return std::make_shared<ClsSep>(cls, sep);
  return std::make_shared<ClsSep>(cls, sep, json.flag("trim_offsets"), json.flag("add_prefix_space"));
}

}  // namespace

std::shared_ptr<const PostProcessor> bert_template(const std::string& cls, int32_t cls_id, const std::string& sep,
                                                   int32_t sep_id) {
  const std::vector<Piece> single = {{cls, 0, 0}, {"", 0, 0}, {sep, 0, 0}};
  std::vector<Piece> pair = single;
  pair.push_back({"", 1, 1});
  pair.push_back({sep, 0, 1});
  return std::make_shared<Template>(
      single, pair, std::map<std::string, SpecialIds>{{cls, {{cls_id}, {cls}}}, {sep, {{sep_id}, {sep}}}});
}

std::shared_ptr<const PostProcessor> roberta_processor(const std::string& cls, int32_t cls_id, const std::string& sep,
                                                       int32_t sep_id, bool trim_offsets, bool add_prefix_space) {
  return std::make_shared<ClsSep>(NamedId{cls, cls_id}, NamedId{sep, sep_id}, trim_offsets, add_prefix_space);
}

std::shared_ptr<const PostProcessor> byte_level_processor(bool add_prefix_space, bool trim_offsets, bool use_regex) {
  return std::make_shared<ByteLevel>(add_prefix_space, trim_offsets, use_regex);
}

std::shared_ptr<const PostProcessor> read_post_processor(const JsonReader& json) {
  return json.value().is_null() ? nullptr : read_one(json, true, 0);
}

std::pair<size_t, size_t> longest_first(size_t n1, size_t n2, size_t most) {
  if (n1 + n2 <= most) return {n1, n2};
  const bool swap = n1 > n2;
  if (swap) std::swap(n1, n2);
  n2 = n1 > most ? n1 : std::max(n1, most - n1);
  if (n1 + n2 > most) {
    n1 = most / 2;
    n2 = n1 + most % 2;
  }
  if (swap) std::swap(n1, n2);
  return {n1, n2};
}

void truncate(Encoding& encoding, size_t most) {
  if (encoding.ids.size() <= most) return;
  encoding.ids.resize(most);
  encoding.types.resize(most);
  encoding.offsets.resize(most);
  encoding.special.resize(most);
}

void append(Encoding& to, const Encoding& from) {
  to.ids.insert(to.ids.end(), from.ids.begin(), from.ids.end());
  to.types.insert(to.types.end(), from.types.begin(), from.types.end());
  to.offsets.insert(to.offsets.end(), from.offsets.begin(), from.offsets.end());
  to.special.insert(to.special.end(), from.special.begin(), from.special.end());
}

}  // namespace gfsa::tokenizers
