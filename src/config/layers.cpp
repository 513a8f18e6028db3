#include "config/layers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "config/value.h"

namespace gfsa::config {
namespace {

namespace fs = std::filesystem;
using Type = YamlNode::Type;

constexpr uint64_t kLargestFile = 1 << 20;
constexpr size_t kMostFiles = 100;  // two includes of two includes of ... grow exponentially without being a cycle

void expand_scalar(YamlNode& node, const std::string& path, Problems& problems) {
  std::string out;
  const std::string_view text = node.text;
  for (size_t i = 0; i < text.size();) {
    if (text.substr(i).starts_with("$${")) {
      out += "${";
      i += 3;
      continue;
    }
    if (!text.substr(i).starts_with("${")) {
      out += text[i++];
      continue;
    }
    const size_t end = text.find('}', i);
    const std::string_view inside = text.substr(i + 2, end == std::string_view::npos ? end : end - i - 2);
    if (end == std::string_view::npos || !inside.starts_with("env:")) {
      problems.add(
          node.place, path,
          fmt::format("'{}' is not understood, expected ${{env:NAME}} or ${{env:NAME:-default}}; a literal ${{ is "
                      "written $${{",
                      shown(text.substr(i, end == std::string_view::npos ? end : end + 1 - i))));
      return;
    }
    const size_t dash = inside.find(":-");
    const std::string name(inside.substr(4, dash == std::string_view::npos ? dash : dash - 4));
    const char* value = name.empty() ? nullptr : std::getenv(name.c_str());
    if (value != nullptr) {
      if (!is_valid_utf8(value)) {
        problems.add(node.place, path, fmt::format("the environment variable {} is not UTF-8 text", shown(name)));
        return;
      }
      out += value;
    } else if (dash != std::string_view::npos && !name.empty()) {
      out += inside.substr(dash + 2);
    } else {
      problems.add(node.place, path,
                   name.empty()
                       ? std::string("${env:} names no variable")
                       : fmt::format("the environment variable {0} is not set; set it or write ${{env:{0}:-default}}",
                                     shown(name)));
      return;
    }
    i = end + 1;
  }
  node.text = std::move(out);
  if (node.text.empty() && !node.quoted) node.type = Type::kNull;  // as if nothing stood there
}

// Replaces ${env:...} in every scalar below `node`.
void expand_environment(YamlNode& node, const std::string& path, Problems& problems) {
  for (auto& item : node.items) expand_environment(item, path, problems);
  for (auto& entry : node.entries) expand_environment(entry.value, join_path(path, shown(entry.key)), problems);
  if (node.type != Type::kScalar || node.text.find("${") == std::string::npos) return;
  const size_t before = problems.size();
  expand_scalar(node, path, problems);
  node.broken = problems.size() > before;
}

// Expands shorthands, so that merging sees maps only.
void expand_shorthands(YamlNode& node, const Declaration& section) {
  if (node.type == Type::kScalar && !section.shorthand.empty() && !node.broken) {
    YamlNode map;
    map.type = Type::kMap;
    map.place = node.place;
    map.entries.push_back({section.shorthand, node.place, std::move(node)});
    node = std::move(map);
  }
  for (auto& entry : node.entries) {
    const Declaration* key = find_key(section, entry.key);
    if (key != nullptr && key->what == Declaration::What::kSection) expand_shorthands(entry.value, *key);
  }
}

bool has_key(const std::vector<Declaration>& keys, const std::string& name) {
  return std::any_of(keys.begin(), keys.end(), [&](const Declaration& d) { return d.name == name; });
}

// `over` chooses another option of `variant` than `base` does: what only the old choice knew does not outlive it.
void drop_stale_keys(YamlNode& base, const YamlNode& over, const Declaration& section, const Declaration& variant) {
  const YamlEntry* now = over.find(variant.name);
  if (now == nullptr || now->value.type != Type::kScalar) return;
  const YamlEntry* before = base.find(variant.name);
  const auto* by_default = variant.chosen_option();
  const std::string old_name = before != nullptr ? before->value.text : by_default != nullptr ? by_default->name : "";
  if (old_name == now->value.text) return;
  const auto option = std::find_if(variant.options.begin(), variant.options.end(),
                                   [&](const auto& o) { return o.name == now->value.text; });
  if (option == variant.options.end()) return;
  std::erase_if(base.entries, [&](const YamlEntry& entry) {
    if (has_key(section.keys, entry.key) || has_key(option->keys, entry.key)) return false;
    return std::any_of(variant.options.begin(), variant.options.end(),
                       [&](const auto& o) { return has_key(o.keys, entry.key); });
  });
}

void merge(YamlNode& base, YamlNode over, const Declaration* section) {
  if (base.type != Type::kMap || over.type != Type::kMap) {
    if (over.type == Type::kNull && base.type == Type::kMap) return;  // `section:` with nothing below it
    base = std::move(over);
    return;
  }
  if (section != nullptr) {
    for (const auto& key : section->keys) {
      if (key.what == Declaration::What::kVariant) drop_stale_keys(base, over, *section, key);
    }
  }
  const bool from_file = !over.place.file.empty();  // one override does not make the section the command line's
  if (from_file) base.place = over.place;
  for (auto& entry : over.entries) {
    const Declaration* key = section != nullptr ? find_key(*section, entry.key) : nullptr;
    YamlEntry* old = base.find(entry.key);
    if (old == nullptr) {
      base.entries.push_back(std::move(entry));
    } else {
      if (from_file || entry.value.type != Type::kMap) old->place = entry.place;
      merge(old->value, std::move(entry.value),
            key != nullptr && key->what == Declaration::What::kSection ? key : nullptr);
    }
  }
}

class Loader {
 public:
  Loader(const Declaration& schema, Env& env, Problems& problems, std::vector<std::string>& files)
      : schema_(schema), env_(env), problems_(problems), files_(files) {}

  YamlNode file(const std::string& path) {
    const std::string content = env_.read(path, kLargestFile);
    files_.push_back(path);
    return text(content, path, fs::path(path).parent_path());
  }

  YamlNode text(const std::string& content, const std::string& name, const fs::path& folder) {
    const size_t before = problems_.size();
    YamlNode tree = parse_yaml(content, Place{name, 0, 0}, "", problems_);
    if (tree.type != Type::kMap) problems_.mark_incomplete();
    if (problems_.size() > before && tree.type == Type::kNull) return empty_map(name);
    if (tree.type == Type::kNull) {
      const bool blank = content.find_first_not_of(" \t\r\n") == std::string::npos;
      problems_.add(Place{name, 0, 0}, "", blank ? "the file is empty, expected keys" : "the file holds no keys");
      return empty_map(name);
    }
    if (tree.type != Type::kMap) {
      problems_.add(tree.place, "", tree.describe() + " stands at the top, expected a map of keys");
      return empty_map(name);
    }
    expand_environment(tree, "", problems_);
    expand_shorthands(tree, schema_);
    YamlNode merged = empty_map(name);
    open_.push_back(fs::path(name).lexically_normal().string());
    if (const YamlEntry* entry = tree.find("defaults")) {
      for (const auto& include : names_in(entry->value)) merge(merged, included(include, folder), &schema_);
      std::erase_if(tree.entries, [](const YamlEntry& e) { return e.key == "defaults"; });
    }
    open_.pop_back();
    merge(merged, std::move(tree), &schema_);
    return merged;
  }

 private:
  static YamlNode empty_map(const std::string& name) {
    YamlNode map;
    map.type = Type::kMap;
    map.place = Place{name, 0, 0};
    return map;
  }

  std::vector<YamlNode> names_in(const YamlNode& value) {
    std::vector<YamlNode> names = value.type == Type::kList ? value.items : std::vector<YamlNode>{value};
    std::erase_if(names, [&](const YamlNode& n) {
      if (n.broken) return true;
      if (n.type == Type::kScalar && !n.text.empty()) return false;
      problems_.mark_incomplete();
      problems_.add(n.place, "defaults", n.describe() + " is no file name, expected a file or a list of files");
      return true;
    });
    return names;
  }

  YamlNode included(const YamlNode& include, const fs::path& folder) {
    const std::string path = (folder / include.text).lexically_normal().string();
    const auto problem = [&](const std::string& message) {
      problems_.mark_incomplete();
      problems_.add(include.place, "defaults", message);
      return empty_map(path);
    };
    const auto again = std::find(open_.begin(), open_.end(), path);
    if (again != open_.end()) {
      std::vector<std::string> cycle(again, open_.end());
      cycle.push_back(path);
      return problem(fmt::format("the files include each other: {}", fmt::join(cycle, " -> ")));
    }
    if (files_.size() >= kMostFiles) {
      if (std::exchange(too_many_, true)) return empty_map(path);  // said already
      return problem(fmt::format("more than {} files are included", kMostFiles));
    }
    if (!env_.exists(path)) {
      std::string hint;
      const std::string parent = fs::path(path).parent_path().string();
      if (env_.is_directory(parent.empty() ? "." : parent)) {
        hint = did_you_mean(fs::path(path).filename().string(), env_.list(parent.empty() ? "." : parent));
      }
      return problem(fmt::format("{} does not exist{}", shown(path), hint));
    }
    try {
      return file(path);
    } catch (const Error& error) {
      return problem(error.message());
    }
  }

  const Declaration& schema_;
  Env& env_;
  Problems& problems_;
  std::vector<std::string>& files_;
  std::vector<std::string> open_;
  bool too_many_ = false;
};

}  // namespace

std::string find_file(const std::string& name, const std::vector<std::string>& folders, Env& env) {
  if (name.empty()) bad_input("the name of the configuration file is empty");
  if (name.find('\0') != std::string::npos) bad_input("the name of the configuration file has a NUL byte");
  std::vector<std::string> tried{name};
  if (fs::path(name).is_relative()) {
    for (const auto& folder : folders) tried.push_back((fs::path(folder) / name).string());
  }
  for (const auto& path : tried) {
    if (env.exists(path)) return path;
  }
  std::error_code ignored;
  for (const auto& path : tried) {
    if (fs::is_symlink(path, ignored)) {
      bad_input("{}: is a link to {}, which cannot be read", shown(path),
                shown(fs::read_symlink(path, ignored).string()));
    }
  }
  std::string hint;
  for (const auto& path : tried) {
    const fs::path parent = fs::path(path).has_parent_path() ? fs::path(path).parent_path() : fs::path(".");
    if (!hint.empty() || !env.is_directory(parent.string())) continue;
    const std::string near = nearest_name(fs::path(path).filename().string(), env.list(parent.string()));
    if (!near.empty()) hint = fmt::format("; did you mean '{}'?", (parent / near).lexically_normal().string());
  }
  bad_input("{}: no such file, looked for {}{}", shown(name), fmt::join(tried, ", "), hint);
}

YamlNode load_layers(const std::string& file, const Declaration& schema, Env& env, Problems& problems,
                     std::vector<std::string>& files) {
  return Loader(schema, env, problems, files).file(file);
}

YamlNode load_text_layers(const std::string& text, const std::string& name, const Declaration& schema, Env& env,
                          Problems& problems, std::vector<std::string>& files) {
  return Loader(schema, env, problems, files).text(text, name, "");
}

void apply_override(YamlNode& tree, const std::string& assignment, const Declaration& schema, Problems& problems) {
  const Place place;  // the command line
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    problems.add(place, "", fmt::format("'{}' is not understood, expected key.path=value", shown(assignment)));
    return;
  }
  const std::string path = assignment.substr(0, equals);
  std::vector<std::string> names;
  for (size_t start = 0; start <= path.size();) {
    const size_t dot = std::min(path.find('.', start), path.size());
    names.push_back(path.substr(start, dot - start));
    start = dot + 1;
  }
  if (names.size() > 32 || std::any_of(names.begin(), names.end(), [](const auto& n) { return n.empty(); })) {
    problems.add(place, "", fmt::format("'{}' is no key, expected names with single dots between", shown(path)));
    return;
  }
  if (names[0] == "defaults") {
    problems.add(place, "defaults", "files are included from a file only");
    return;
  }
  const size_t before = problems.size();
  YamlNode value = parse_yaml(assignment.substr(equals + 1), place, shown(path), problems);
  if (problems.size() == before) expand_environment(value, shown(path), problems);
  value.broken = problems.size() > before;
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    YamlNode map;
    map.type = Type::kMap;
    map.entries.push_back({*name, place, std::move(value)});
    value = std::move(map);
  }
  expand_shorthands(value, schema);
  merge(tree, std::move(value), &schema);
}

}  // namespace gfsa::config
