#include "config/help.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "base/strings.h"
#include "config/declaration.h"
#include "config/value.h"

namespace gfsa::config {
namespace {

using What = Declaration::What;

std::string default_text(const Declaration& key) {
  if (key.what == What::kVariant)
    return key.chosen_option() != nullptr ? key.chosen_option()->name : "none, must be given";
  return key.field.required ? "none, must be given" : print_value(key.field);
}

std::string expected_text(const Declaration& key) {
  if (key.what == What::kVariant) return one_of(key.option_names());
  return expectation(key.field);
}

// Name, expectation and default on one line, the sentence below.
void append_short(const std::vector<Declaration>& keys, size_t depth, std::string& out) {
  const std::string indent(2 * depth, ' ');
  for (const auto& key : keys) {
    if (key.what == What::kSection) {
      out += fmt::format("{}{}:{}\n", indent, key.name, key.doc.empty() ? "" : "  # " + key.doc);
      append_short(key.keys, depth + 1, out);
      continue;
    }
    out += fmt::format("{}{}: {} (default: {})\n", indent, key.name, expected_text(key), default_text(key));
    if (!key.doc.empty()) out += fmt::format("{}    {}\n", indent, key.doc);
    for (const auto& option : key.options) {
      out += fmt::format("{}  with {}: {}{}\n", indent, key.name, option.name,
                         option.doc.empty() ? "" : "  # " + option.doc);
      append_short(option.keys, depth + 2, out);
    }
  }
}

void append_full(const Declaration& key, const std::string& path, const std::string& condition, std::string& out) {
  out += fmt::format("{}{}\n", path, condition);
  const auto line = [&](const char* label, const std::string& text) {
    if (!text.empty()) out += fmt::format("  {:<9} {}\n", label, text);
  };
  line("what", key.doc);
  line("expected", expected_text(key));
  line("default", default_text(key));
  line("unit", key.field.unit);
  line("source", key.field.source);
  line("on resume", key.field.resume_may_change ? "may change" : "must stay as it is");
  for (const auto& option : key.options) {
    out += fmt::format("  {}: {}{}\n", key.name, option.name, option.doc.empty() ? "" : "  # " + option.doc);
    append_short(option.keys, 2, out);
  }
}

void append_section(const Declaration& section, const std::string& path, const std::string& condition,
                    std::string& out) {
  out += fmt::format("{}{}\n", path, condition);
  if (!section.doc.empty()) out += fmt::format("  what      {}\n", section.doc);
  if (!section.shorthand.empty())
    out += fmt::format("  in short  {0}: X means {0}: {{{1}: X}}\n", section.name, section.shorthand);
  append_short(section.keys, 1, out);
}

// Everything under that path: several hits if several options have the key.
void find_all(const std::vector<Declaration>& keys, const std::string& parent, const std::string& condition,
              const std::string& wanted, std::string& out) {
  for (const auto& key : keys) {
    const std::string path = join_path(parent, key.name);
    if (path == wanted) {
      if (key.what == What::kSection) {
        append_section(key, path, condition, out);
      } else {
        append_full(key, path, condition, out);
      }
    } else if (key.what == What::kSection && wanted.starts_with(path + ".")) {
      find_all(key.keys, path, condition, wanted, out);
    }
    for (const auto& option : key.options) {
      find_all(option.keys, parent, fmt::format("  (with {}: {})", path, option.name), wanted, out);
    }
  }
}

// "; did you mean 'X'?": a slip in the last name, the name without its section, or a slip further up.
std::string nearest_path(const std::string& key, const std::vector<std::string>& paths) {
  const std::string parent = key.substr(0, key.rfind('.') == std::string::npos ? 0 : key.rfind('.') + 1);
  std::vector<std::string> siblings, others;
  for (const auto& path : paths) {
    if (path.ends_with("." + key)) return fmt::format("; did you mean '{}'?", path);
    const bool sibling = path.starts_with(parent) && path.find('.', parent.size()) == std::string::npos;
    if (sibling) siblings.push_back(path.substr(parent.size()));
    if (!sibling) others.push_back(path);
  }
  const std::string near = nearest_name(key.substr(parent.size()), siblings);
  if (!near.empty()) return fmt::format("; did you mean '{}'?", parent + near);
  return siblings.empty() || parent.empty() ? did_you_mean(key, others) : "";
}

std::string cell(std::string text) {
  for (size_t i = 0; (i = text.find('|', i)) != std::string::npos; i += 2) text.replace(i, 1, "\\|");
  return text;
}

void append_table(const std::vector<Declaration>& keys, std::string& out) {
  const bool any = std::any_of(keys.begin(), keys.end(), [](const Declaration& d) { return d.what != What::kSection; });
  if (!any) return;
  out += "| key | expected | default | what |\n|---|---|---|---|\n";
  for (const auto& key : keys) {
    if (key.what == What::kSection) continue;
    std::vector<std::string> words;
    if (!key.doc.empty()) words.push_back(key.doc);
    if (!key.field.unit.empty()) words.push_back("Unit: " + key.field.unit + ".");
    if (!key.field.source.empty()) words.push_back("Source: " + key.field.source + ".");
    if (key.field.resume_may_change) words.emplace_back("May change on resume.");
    const std::string preset = default_text(key);
    out += fmt::format("| `{}` | {} | {} | {} |\n", key.name, cell(expected_text(key)),
                       preset.starts_with("none,") ? preset : "`" + cell(preset) + "`",
                       cell(fmt::format("{}", fmt::join(words, " "))));
  }
  out += "\n";
}

void append_page(const std::vector<Declaration>& keys, const std::string& parent, std::string& out) {
  append_table(keys, out);
  for (const auto& key : keys) {
    const std::string path = join_path(parent, key.name);
    for (const auto& option : key.options) {
      out += fmt::format("### `{}: {}`\n\n{}{}", path, option.name, option.doc, option.doc.empty() ? "" : "\n\n");
      append_page(option.keys, parent, out);
    }
    if (key.what != What::kSection) continue;
    out += fmt::format("## `{}`\n\n{}{}", path, key.doc, key.doc.empty() ? "" : "\n\n");
    if (!key.shorthand.empty())
      out += fmt::format("In short: `{0}: X` means `{0}: {{{1}: X}}`.\n\n", key.name, key.shorthand);
    append_page(key.keys, path, out);
  }
}

}  // namespace

std::string help(Described root) {
  std::string out;
  append_short(declare(root).keys, 0, out);
  return out;
}

std::string help(Described root, const std::string& key) {
  const Declaration tree = declare(root);
  std::string out;
  find_all(tree.keys, "", "", key, out);
  if (!out.empty()) return out;
  bad_input("'{}' is no key{}", shown(key), nearest_path(key, all_paths(tree)));
}

std::string reference_markdown(Described root) {
  std::string out =
      "# Configuration keys\n\n"
      "Every key of the YAML, with what it expects and its default. The program prints the same with "
      "`--help-config`.\n\n";
  append_page(declare(root).keys, "", out);
  while (out.ends_with("\n\n")) out.pop_back();
  return out;
}

}  // namespace gfsa::config
