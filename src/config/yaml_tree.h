// yaml_tree.h -- YAML text as a tree that remembers where everything stood. yaml-cpp reads it; nobody else sees
// yaml-cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gfsa::config {

struct Place {
  std::string file;          // as the user named it; "" is the command line
  int line = 0, column = 0;  // from 1; 0: the file as a whole

  std::string text() const;    // file:line:column, file or "command line"
  std::string origin() const;  // file:line or "command line"
};

// Everything wrong with one configuration; thrown as one Error, in the order file, line, column.
class Problems {
 public:
  void add(const Place& place, const std::string& path, const std::string& message);
  bool empty() const { return items_.empty(); }
  size_t size() const { return items_.size(); }
  // A whole text could not be read, so that what is missing from the tree means nothing.
  void mark_incomplete() { incomplete_ = true; }
  bool incomplete() const { return incomplete_; }
  // Exit code 2; one line a problem, "place: path: message"; after 50 lines only their number.
  void throw_if_any() const;

 private:
  struct Item {
    Place place;
    std::string line;
  };
  std::vector<Item> items_;
  bool incomplete_ = false;
};

struct YamlEntry;

struct YamlNode {
  enum class Type { kNull, kScalar, kList, kMap };
  Type type = Type::kNull;
  Place place;
  std::string text;     // kScalar
  bool quoted = false;  // kScalar
  bool broken = false;  // its problem is reported already, its content means nothing
  std::vector<YamlNode> items;
  std::vector<YamlEntry> entries;  // in the order of the text, no key twice

  const YamlEntry* find(std::string_view key) const;
  YamlEntry* find(std::string_view key);
  // "a list", "a map", "null", "'text'"
  std::string describe() const;
};

struct YamlEntry {
  std::string key;
  Place place;
  YamlNode value;
};

// One document. Problems: not UTF-8, NUL and other control characters, syntax, undefined anchors, several documents,
// tags, keys that are not scalars, keys given twice, nesting beyond 32 levels, more than 20,000 values after expanding
// aliases. place.file names the text; with place.line 0 every node gets its own line and column, and on the command
// line (file "") none. Returns a null node for a text without a value.
YamlNode parse_yaml(std::string_view text, const Place& place, const std::string& path, Problems& problems);

}  // namespace gfsa::config
