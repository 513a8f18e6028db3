#include "config/yaml_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <new>
#include <optional>
#include <sstream>
#include <tuple>

#include "base/error.h"
#include "base/strings.h"
#include "config/value.h"

namespace gfsa::config {
namespace {

constexpr size_t kDeepest = 32;
constexpr size_t kMostNodes = 20000;

struct Stop {  // ends the parsing of one text
  Place place;
  std::string message;
};

size_t count_nodes(const YamlNode& node) {
  size_t n = 1;
  for (const auto& item : node.items) n += count_nodes(item);
  for (const auto& entry : node.entries) n += count_nodes(entry.value);
  return n;
}

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const Place& place, const std::string& path, Problems& problems)
      : base_(place), path_(path), problems_(problems) {}

  Place at(const YAML::Mark& mark) const {
    if (base_.file.empty() || mark.is_null()) return base_;
    return Place{base_.file, mark.line + 1, mark.column + 1};
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ == 2) throw Stop{at(mark), "a second document begins here, expected one"};
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    YamlNode node;
    node.place = at(mark);
    finish(std::move(node), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto it = anchors_.find(anchor);
    if (it == anchors_.end()) throw Stop{at(mark), "the alias stands inside its own anchor"};
    const size_t size = count_nodes(it->second);
    if (nodes_ + size > kMostNodes)
      throw Stop{at(mark), fmt::format("aliases expand to more than {} values", kMostNodes)};
    nodes_ += size - 1;
    YamlNode copy = it->second;
    copy.place = at(mark);
    finish(std::move(copy), 0);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (tag != "?" && tag != "!" && !tag.empty())
      throw Stop{at(mark), fmt::format("the tag '{}' is not supported", shown(tag))};
    YamlNode node;
    node.type = YamlNode::Type::kScalar;
    node.place = at(mark);
    node.text = value;
    node.quoted = tag == "!";
    finish(std::move(node), anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(YamlNode::Type::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(YamlNode::Type::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

  YamlNode take() { return std::move(root_); }

 private:
  struct Open {
    YamlNode node;
    YAML::anchor_t anchor;
    std::optional<YamlNode> key;  // of a map, read, its value still to come
  };

  void open(YamlNode::Type type, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (tag != "?" && tag != "!" && !tag.empty())
      throw Stop{at(mark), fmt::format("the tag '{}' is not supported", shown(tag))};
    if (stack_.size() >= kDeepest) throw Stop{at(mark), fmt::format("nested deeper than {} levels", kDeepest)};
    Open o{{}, anchor, std::nullopt};
    o.node.type = type;
    o.node.place = at(mark);
    stack_.push_back(std::move(o));
  }
  void close() {
    Open done = std::move(stack_.back());
    stack_.pop_back();
    finish(std::move(done.node), done.anchor);
  }

  // A value is complete: remember its anchor and hand it to what it stands in.
  void finish(YamlNode node, YAML::anchor_t anchor) {
    if (++nodes_ > kMostNodes) throw Stop{node.place, fmt::format("more than {} values", kMostNodes)};
    if (anchor != 0) anchors_[anchor] = node;
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& top = stack_.back();
    if (top.node.type == YamlNode::Type::kList) {
      top.node.items.push_back(std::move(node));
    } else if (!top.key) {
      if (node.type != YamlNode::Type::kScalar) {
        throw Stop{node.place, fmt::format("{} stands where a key is expected", node.describe())};
      }
      top.key = std::move(node);
    } else {
      add_entry(top, std::move(node));
    }
  }

  void add_entry(Open& map, YamlNode value) {
    const YamlNode key = std::move(*map.key);
    map.key.reset();
    // yaml-cpp puts a value that is not there at the next token, which may be lines away.
    if (value.type == YamlNode::Type::kNull && value.place.line != key.place.line) value.place = key.place;
    if (const YamlEntry* first = map.node.find(key.text)) {
      std::string path = path_;
      for (const auto& open : stack_) {
        if (open.key) path += (path.empty() ? "" : ".") + shown(open.key->text);
      }
      path += (path.empty() ? "" : ".") + shown(key.text);
      const std::string where = base_.file.empty() ? "" : fmt::format(", first in line {}", first->place.line);
      problems_.add(key.place, path, "the key is given twice" + where);
      return;
    }
    map.node.entries.push_back({key.text, key.place, std::move(value)});
  }

  Place base_;
  std::string path_;
  Problems& problems_;
  int documents_ = 0;
  size_t nodes_ = 0;
  std::vector<Open> stack_;
  std::map<YAML::anchor_t, YamlNode> anchors_;
  YamlNode root_;
};

Place place_of_byte(std::string_view text, size_t offset, const Place& base) {
  if (base.file.empty()) return base;
  const std::string_view before = text.substr(0, offset);
  const size_t line_start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return Place{base.file, static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
               static_cast<int>(offset - line_start) + 1};
}

// NUL and control characters: yaml-cpp would take 0x04 for the end of the file.
void check_bytes(std::string_view text, const Place& base) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F) {
      throw Stop{place_of_byte(text, i, base), fmt::format("has the byte 0x{:02x}, expected YAML text", c)};
    }
  }
  if (is_valid_utf8(text)) return;
  size_t good = 0;
  for (size_t i = 0; i < text.size();) {  // the first byte that starts no character
    size_t length = 1;
    while (i + length < text.size() && (static_cast<unsigned char>(text[i + length]) & 0xC0) == 0x80) ++length;
    if (!is_valid_utf8(text.substr(i, length))) break;
    i += length;
    good = i;
  }
  throw Stop{place_of_byte(text, good, base),
             fmt::format("the byte 0x{:02x} is not UTF-8, expected YAML text", static_cast<unsigned char>(text[good]))};
}

}  // namespace

std::string Place::text() const {
  if (file.empty()) return "command line";
  return line == 0 ? file : fmt::format("{}:{}:{}", file, line, column);
}

std::string Place::origin() const {
  if (file.empty()) return "command line";
  return line == 0 ? file : fmt::format("{}:{}", file, line);
}

void Problems::add(const Place& place, const std::string& path, const std::string& message) {
  items_.push_back({place, place.text() + ": " + (path.empty() ? "" : path + ": ") + message});
}

void Problems::throw_if_any() const {
  constexpr size_t kMostLines = 50;
  std::vector<Item> sorted = items_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Item& a, const Item& b) {
    return std::make_tuple(a.place.file.empty(), std::cref(a.place.file), a.place.line, a.place.column) <
           std::make_tuple(b.place.file.empty(), std::cref(b.place.file), b.place.line, b.place.column);
  });
  ErrorList list;
  for (size_t i = 0; i < std::min(sorted.size(), kMostLines); ++i) list.add(sorted[i].line);
  if (sorted.size() > kMostLines) list.add(fmt::format("and {} more problems", sorted.size() - kMostLines));
  list.throw_if_any();
}

const YamlEntry* YamlNode::find(std::string_view key) const {
  for (const auto& entry : entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}
YamlEntry* YamlNode::find(std::string_view key) {
  return const_cast<YamlEntry*>(static_cast<const YamlNode*>(this)->find(key));
}

std::string YamlNode::describe() const {
  switch (type) {
    case Type::kNull:
      return "null";
    case Type::kScalar:
      return fmt::format("'{}'", shown(text));
    case Type::kList:
      return "a list";
    case Type::kMap:
      return "a map";
  }
  return "";
}

YamlNode parse_yaml(std::string_view text, const Place& place, const std::string& path, Problems& problems) {
  TreeBuilder builder(place, path, problems);
  try {
    check_bytes(text, place);
    // With the end of the document in sight yaml-cpp refuses a quote that is never closed; without, it takes all to the
    // end.
    std::istringstream stream(std::string(text) + (text.ends_with('\n') ? "...\n" : "\n...\n"));
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
    return builder.take();
  } catch (const Stop& stop) {
    problems.add(stop.place, path, stop.message);
  } catch (const YAML::Exception& error) {
    const bool open_quote = error.msg == YAML::ErrorMsg::DOC_IN_SCALAR;
    problems.add(builder.at(error.mark), path,
                 "YAML syntax: " + (open_quote ? "a quote is not closed before here" : error.msg));
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {  // yaml-cpp lets a few of the standard library's through
    problems.add(place, path, std::string("YAML syntax: ") + error.what());
  }
  return {};
}

}  // namespace gfsa::config
