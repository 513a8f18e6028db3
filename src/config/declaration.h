// declaration.h -- all keys of a root struct as a tree, with every alternative of every variant. Help, reference page,
// printer and merging work on it; it points into the root, which must outlive it and keep its variants' objects while
// values are read.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/schema.h"

namespace gfsa::config {

struct Declaration {
  enum class What { kField, kSection, kVariant };
  struct Option {
    std::string name, doc;
    std::vector<Declaration> keys;
    bool chosen = false;
  };

  What what = What::kSection;
  std::string name, doc;
  FieldInfo field;                    // kField
  std::vector<Declaration> keys;      // kSection
  std::string shorthand;              // kSection: the key that a scalar sets, or ""
  std::vector<Option> options;        // kVariant: its keys stand beside it, in its section
  std::string noun;                   // kVariant: "optimizer"
  std::shared_ptr<void> keeps_alive;  // what the fields of options that are not chosen point into

  const Option* chosen_option() const;  // kVariant
  std::vector<std::string> option_names() const;
};

// The root as a section without a name.
Declaration declare(Described root);

// Key `name` of the section, among its own keys first, then among those of every option; nullptr if there is none.
const Declaration* find_key(const Declaration& section, const std::string& name);

// Every key that one option or all together allow, as dotted paths, depth first, each once.
std::vector<std::string> all_paths(const Declaration& root);

// "a" + "b" = "a.b"; "" + "b" = "b".
std::string join_path(const std::string& parent, const std::string& name);

}  // namespace gfsa::config
