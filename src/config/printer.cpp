#include "config/printer.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "config/declaration.h"
#include "config/value.h"

namespace gfsa::config {
namespace {

struct Line {
  std::string text, path;  // path: "" for a section's heading
};

void add_lines(const std::vector<Declaration>& keys, const std::string& parent, size_t depth,
               std::vector<Line>& lines) {
  const std::string indent(2 * depth, ' ');
  for (const auto& key : keys) {
    const std::string path = join_path(parent, key.name);
    if (key.what == Declaration::What::kField) {
      lines.push_back({indent + key.name + ": " + print_value(key.field), path});
    } else if (key.what == Declaration::What::kSection) {
      const size_t heading = lines.size();
      lines.push_back({indent + key.name + ":", ""});
      add_lines(key.keys, path, depth + 1, lines);
      if (lines.size() == heading + 1) lines[heading].text += " {}";
    } else if (const auto* option = key.chosen_option()) {
      lines.push_back({indent + key.name + ": " + yaml_text(option->name), path});
      add_lines(option->keys, parent, depth, lines);
    } else {
      lines.push_back({indent + key.name + ": null", path});
    }
  }
}

void add_values(const std::vector<Declaration>& keys, const std::string& parent, std::vector<ConfigValue>& values) {
  for (const auto& key : keys) {
    const std::string path = join_path(parent, key.name);
    if (key.what == Declaration::What::kField) {
      values.push_back({path, print_value(key.field), key.field.resume_may_change});
    } else if (key.what == Declaration::What::kSection) {
      add_values(key.keys, path, values);
    } else {
      const auto* option = key.chosen_option();
      values.push_back({path, option != nullptr ? option->name : "null", false});
      if (option != nullptr) add_values(option->keys, parent, values);
    }
  }
}

}  // namespace

std::string print_config(Described root) {
  const Declaration tree = declare(root);
  std::vector<Line> lines;
  add_lines(tree.keys, "", 0, lines);
  std::string out;
  for (const auto& line : lines) out += line.text + "\n";
  return out;
}

std::string print_config_with_origins(Described root, const Resolved& resolved) {
  const Declaration tree = declare(root);
  std::vector<Line> lines;
  add_lines(tree.keys, "", 0, lines);
  constexpr size_t kWidest = 48;  // longer lines stick out rather than push all comments away
  size_t width = 0;
  for (const auto& line : lines) {
    if (!line.path.empty() && line.text.size() <= kWidest) width = std::max(width, line.text.size());
  }
  std::string out;
  for (const auto& line : lines) {
    const auto origin = resolved.origins.find(line.path);
    if (line.path.empty()) {
      out += line.text + "\n";
    } else {
      out += fmt::format("{:<{}}  # {}\n", line.text, width,
                         origin == resolved.origins.end() ? "default" : origin->second);
    }
  }
  return out;
}

std::vector<ConfigValue> config_values(Described root) {
  std::vector<ConfigValue> values;
  add_values(declare(root).keys, "", values);
  return values;
}

std::vector<std::string> resume_diff(Described before, Described now) {
  std::map<std::string, std::string> old_texts;
  for (const auto& value : config_values(before)) old_texts[value.path] = value.text;
  std::vector<std::string> out;
  for (const auto& value : config_values(now)) {
    const auto old = old_texts.find(value.path);
    if (value.may_change || old == old_texts.end() || old->second == value.text) continue;
    out.push_back(fmt::format("{}: {} -> {}", value.path, old->second, value.text));
  }
  return out;
}

}  // namespace gfsa::config
