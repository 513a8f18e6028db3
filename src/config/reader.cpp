#include "config/reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "config/declaration.h"
#include "config/layers.h"
#include "config/value.h"
#include "config/yaml_tree.h"

namespace gfsa::config {
namespace {

using Type = YamlNode::Type;

class Reader : public Schema {
 public:
  Reader(const YamlNode& tree, const Declaration& schema, Problems& problems, Resolved& resolved)
      : paths_(all_paths(schema)), problems_(problems), resolved_(resolved) {
    stack_.push_back({&tree, tree.place, "", &schema, {}, false, false});
  }
  void finish() {
    rethrow_if_failed();
    report_unknown_keys();
  }

  void shorthand(const std::string&) override {}  // expanded before the files were merged

  void check(bool holds, const std::string& key, const std::string& message) override {
    if (holds || stack_.back().failed) return;
    const Section& here = stack_.back();
    Place place = here.place;
    const YamlNode* node = here.node;
    for (size_t start = 0; node != nullptr && start <= key.size();) {
      const size_t dot = std::min(key.find('.', start), key.size());
      const YamlEntry* entry = node->find(key.substr(start, dot - start));
      node = entry != nullptr ? &entry->value : nullptr;
      if (entry != nullptr) place = entry->value.place;
      start = dot + 1;
    }
    problem(place, join_path(here.path, key), message);
  }

 protected:
  void visit_field(FieldInfo& info) override {
    stack_.back().known.push_back(info.name);
    const std::string path = join_path(stack_.back().path, info.name);
    const YamlEntry* entry = given(info.name);
    if (entry == nullptr) {
      if (info.required) problem(stack_.back().place, path, "is missing, expected " + expectation(info));
      return;
    }
    if (is_broken(entry)) return;
    resolved_.origins[path] = entry->value.place.origin();
    Scalars values;
    if (read_values(info, entry->value, path, values)) info.binding.set(values);
  }

  void visit_section(const std::string& name, const std::string&, Described section) override {
    stack_.back().known.push_back(name);
    const std::string path = join_path(stack_.back().path, name);
    const Declaration* declared = stack_.back().declared != nullptr ? find_key(*stack_.back().declared, name) : nullptr;
    const YamlEntry* entry = given(name);
    const YamlNode* node = entry != nullptr && entry->value.type == Type::kMap ? &entry->value : nullptr;
    if (is_broken(entry)) return;
    if (entry != nullptr && node == nullptr && entry->value.type != Type::kNull) {
      problem(entry->value.place, path,
              entry->value.describe() + " stands where a map of keys is expected" +
                  (declared != nullptr ? ": " + known_names(*declared) : ""));
      return;
    }
    stack_.push_back({node, entry != nullptr ? entry->place : stack_.back().place, path, declared, {}, false, false});
    section.describe(*this);
    rethrow_if_failed();
    report_unknown_keys();
    const bool failed = stack_.back().failed;
    stack_.pop_back();
    stack_.back().failed |= failed;
  }

  void visit_variant(Variant& variant) override {
    stack_.back().known.push_back(variant.name);
    const std::string path = join_path(stack_.back().path, variant.name);
    const YamlEntry* entry = given(variant.name);
    if (is_broken(entry)) {
      stack_.back().undecided = true;
      return;
    }
    std::string wrong;
    if (entry == nullptr) {
      if (variant.chosen().empty()) wrong = "is missing, expected " + one_of(variant.names());
    } else if (entry->value.type != Type::kScalar) {
      wrong = fmt::format("{} is no {}, expected {}", entry->value.describe(), variant.what, one_of(variant.names()));
    } else if (const auto names = variant.names();
               std::find(names.begin(), names.end(), entry->value.text) == names.end()) {
      wrong = fmt::format("'{}' is unknown, expected {}{}", shown(entry->value.text), one_of(names),
                          did_you_mean(entry->value.text, names));
    }
    if (!wrong.empty()) {
      problem(entry != nullptr ? entry->value.place : stack_.back().place, path, wrong);
      stack_.back().undecided = true;
      return;
    }
    if (entry != nullptr) {
      resolved_.origins[path] = entry->value.place.origin();
      if (variant.chosen() != entry->value.text) variant.choose(entry->value.text);
    }
    variant.describe(*this);
  }

 private:
  struct Section {
    const YamlNode* node;  // nullptr: nothing given
    Place place;
    std::string path;
    const Declaration* declared;
    std::vector<std::string> known;
    bool failed;     // something in it is wrong: checks across keys make no sense
    bool undecided;  // a variant without a valid name: which keys it allows is unknown
  };

  const YamlEntry* given(const std::string& name) const {
    return stack_.back().node != nullptr ? stack_.back().node->find(name) : nullptr;
  }

  bool is_broken(const YamlEntry* entry) {
    if (entry == nullptr || !entry->value.broken) return false;
    return stack_.back().failed = true;
  }

  void problem(const Place& place, const std::string& path, const std::string& message) {
    stack_.back().failed = true;
    problems_.add(place, path, message);
  }

  static std::string known_names(const Declaration& section) {
    std::vector<std::string> names;
    for (const auto& key : section.keys) names.push_back(key.name);
    return one_of(names);
  }

  bool read_element(const FieldInfo& info, const YamlNode& node, const std::string& path, Scalars& values) {
    if (node.broken) {
      stack_.back().failed = true;
      return false;
    }
    if (node.type != Type::kScalar) {
      const std::string what = node.type == Type::kNull ? "has no value" : "is " + node.describe();
      problem(node.place, path, what + ", expected " + expectation(info));
      return false;
    }
    Scalar value;
    const std::string wrong = parse_element(info, node.text, node.quoted, value);
    if (!wrong.empty()) {
      problem(node.place, path, wrong);
      return false;
    }
    values.push_back(std::move(value));
    return true;
  }

  bool read_values(const FieldInfo& info, const YamlNode& node, const std::string& path, Scalars& values) {
    const Form form = info.binding.form;
    if (form == Form::kOptional && node.type == Type::kNull) return true;
    const bool single = form == Form::kScalar || form == Form::kOptional ||
                        (form == Form::kList && info.scalar_or_list && node.type == Type::kScalar);
    if (single) return read_element(info, node, path, values);
    if (node.type != Type::kList) {
      const std::string what = node.type == Type::kNull ? "has no value" : node.describe() + " is no list";
      problem(node.place, path, what + ", expected " + expectation(info));
      return false;
    }
    bool good = true;
    for (size_t i = 0; i < node.items.size(); ++i) {
      good &= read_element(info, node.items[i], fmt::format("{}[{}]", path, i), values);
    }
    if (form == Form::kArray && node.items.size() != info.binding.length) {
      problem(node.place, path, fmt::format("has length {}, expected {}", node.items.size(), expectation(info)));
      return false;
    }
    if (form == Form::kList && info.not_empty && node.items.empty()) {
      problem(node.place, path, "is empty, expected " + expectation(info));
      return false;
    }
    return good;
  }

  void report_unknown_keys() {
    Section& here = stack_.back();
    if (here.node == nullptr) return;
    for (const auto& entry : here.node->entries) {
      if (std::find(here.known.begin(), here.known.end(), entry.key) != here.known.end()) continue;
      const bool declared = here.declared != nullptr && find_key(*here.declared, entry.key) != nullptr;
      if (here.undecided && declared) continue;  // some option knows it
      problem(entry.place, join_path(here.path, shown(entry.key)), unknown_key(here, entry.key));
    }
  }

  std::string unknown_key(const Section& here, const std::string& key) const {
    if (key == "defaults") return "files are included at the top of a file only";
    if (key == "<<") return "YAML's merge key is not supported, expected `defaults:` with a file to include";
    if (here.declared != nullptr) {
      const std::string owner = option_with(*here.declared, key);
      if (!owner.empty()) return owner;
    }
    const std::string path = join_path(here.path, key);
    const bool dotted = key.find('.') != std::string::npos;
    if (dotted && std::find(paths_.begin(), paths_.end(), path) != paths_.end()) {
      return "unknown key with a dot; in a file keys nest, one line each";
    }
    std::vector<std::string> beside;
    for (const auto& name : here.known) beside.push_back(name);
    if (const std::string near = nearest_name(key, beside); !near.empty()) return hint(join_path(here.path, near));
    const std::string tail = "." + key;  // the right name in the wrong place
    for (const auto& known : paths_) {
      if (known == key || (known.size() > tail.size() && known.ends_with(tail))) return hint(known);
    }
    constexpr size_t kTelling = 4;  // a shorter name is near to too many
    if (key.size() >= kTelling) {   // misspelt and in the wrong place
      std::vector<std::string> last_names;
      for (const auto& known : paths_) last_names.push_back(known.substr(known.rfind('.') + 1));
      const std::string near = nearest_name(key, last_names);
      const auto which = std::find(last_names.begin(), last_names.end(), near);
      if (which != last_names.end()) return hint(paths_[static_cast<size_t>(which - last_names.begin())]);
    }
    return "unknown key" + (here.known.empty() ? "" : ", expected " + one_of(here.known));
  }

  static std::string hint(const std::string& path) { return fmt::format("unknown key; did you mean '{}'?", path); }

  // The key exists, but for another choice of a variant.
  static std::string option_with(const Declaration& section, const std::string& key) {
    for (const auto& variant : section.keys) {
      std::vector<std::string> owners;
      for (const auto& option : variant.options) {
        const auto& keys = option.keys;
        if (std::any_of(keys.begin(), keys.end(), [&](const Declaration& d) { return d.name == key; })) {
          owners.push_back(fmt::format("'{}'", option.name));
        }
      }
      if (!owners.empty()) return fmt::format("unknown key here, it belongs to {}: {}", variant.name, one_of(owners));
    }
    return "";
  }

  std::vector<std::string> paths_;
  Problems& problems_;
  Resolved& resolved_;
  std::vector<Section> stack_;
};

void read_tree(Described root, YamlNode& tree, const Declaration& schema, const std::vector<std::string>& overrides,
               Problems& problems, Resolved& resolved) {
  if (problems.incomplete()) problems.throw_if_any();
  for (const auto& assignment : overrides) apply_override(tree, assignment, schema, problems);
  Reader reader(tree, schema, problems, resolved);
  root.describe(reader);
  reader.finish();
  problems.throw_if_any();
}

}  // namespace

Resolved load(Described root, const std::string& file, const std::vector<std::string>& overrides, Env& env,
              const std::vector<std::string>& search_folders) {
  Resolved resolved;
  resolved.file = find_file(file, search_folders, env);
  const Declaration schema = declare(root);
  Problems problems;
  YamlNode tree = load_layers(resolved.file, schema, env, problems, resolved.files);
  read_tree(root, tree, schema, overrides, problems, resolved);
  return resolved;
}

Resolved load_text(Described root, const std::string& text, const std::string& name,
                   const std::vector<std::string>& overrides, Env& env) {
  Resolved resolved;
  resolved.file = name;
  const Declaration schema = declare(root);
  Problems problems;
  YamlNode tree = load_text_layers(text, name, schema, env, problems, resolved.files);
  read_tree(root, tree, schema, overrides, problems, resolved);
  return resolved;
}

}  // namespace gfsa::config
