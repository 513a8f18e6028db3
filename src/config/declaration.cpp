#include "config/declaration.h"

#include <set>

namespace gfsa::config {
namespace {

class Collector : public Schema {
 public:
  explicit Collector(Declaration& section) : section_(&section), keys_(&section.keys) {}

  void shorthand(const std::string& key) override { section_->shorthand = key; }
  void check(bool, const std::string&, const std::string&) override {}
  void finish() { rethrow_if_failed(); }

 protected:
  void visit_field(FieldInfo& info) override {
    Declaration d;
    d.what = Declaration::What::kField;
    d.name = info.name;
    d.doc = info.doc;
    d.field = std::move(info);
    keys_->push_back(std::move(d));
  }
  void visit_section(const std::string& name, const std::string& doc, Described section) override {
    Declaration d;
    d.name = name;
    d.doc = doc;
    Collector inner(d);
    section.describe(inner);
    inner.finish();
    keys_->push_back(std::move(d));
  }
  void visit_variant(Variant& variant) override {
    Declaration d;
    d.what = Declaration::What::kVariant;
    d.name = variant.name;
    d.doc = variant.doc;
    d.noun = variant.what;
    auto kept = std::make_shared<std::vector<std::shared_ptr<void>>>();
    std::vector<Declaration>* outer = keys_;
    for (const auto& option : variant.options) {
      Declaration::Option o{option.name, option.doc, {}, variant.chosen() == option.name};
      keys_ = &o.keys;
      if (o.chosen) {
        variant.describe(*this);
      } else {
        kept->push_back(variant.describe_option(option.name, *this));
      }
      d.options.push_back(std::move(o));
    }
    keys_ = outer;
    d.keeps_alive = std::move(kept);
    keys_->push_back(std::move(d));
  }

 private:
  Declaration* section_;
  std::vector<Declaration>* keys_;
};

const Declaration* find_among(const std::vector<Declaration>& keys, const std::string& name) {
  for (const auto& key : keys) {
    if (key.name == name) return &key;
  }
  for (const auto& key : keys) {
    for (const auto& option : key.options) {
      if (const auto* found = find_among(option.keys, name)) return found;
    }
  }
  return nullptr;
}

void collect_paths(const std::vector<Declaration>& keys, const std::string& parent, std::vector<std::string>& out,
                   std::set<std::string>& seen) {
  for (const auto& key : keys) {
    const std::string path = join_path(parent, key.name);
    if (seen.insert(path).second) out.push_back(path);
    collect_paths(key.keys, path, out, seen);
    for (const auto& option : key.options) collect_paths(option.keys, parent, out, seen);
  }
}

}  // namespace

const Declaration::Option* Declaration::chosen_option() const {
  for (const auto& option : options) {
    if (option.chosen) return &option;
  }
  return nullptr;
}

std::vector<std::string> Declaration::option_names() const {
  std::vector<std::string> out;
  for (const auto& option : options) out.push_back(option.name);
  return out;
}

Declaration declare(Described root) {
  Declaration d;
  Collector collector(d);
  root.describe(collector);
  collector.finish();
  return d;
}

const Declaration* find_key(const Declaration& section, const std::string& name) {
  return find_among(section.keys, name);
}

std::vector<std::string> all_paths(const Declaration& root) {
  std::vector<std::string> out;
  std::set<std::string> seen;
  collect_paths(root.keys, "", out, seen);
  return out;
}

std::string join_path(const std::string& parent, const std::string& name) {
  return parent.empty() ? name : parent + "." + name;
}

}  // namespace gfsa::config
