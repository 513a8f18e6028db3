// printer.h -- resolved configurations as YAML text.
#pragma once

#include <string>
#include <vector>

#include "config/reader.h"
#include "config/schema.h"

namespace gfsa::config {

// Every key with its value; loading it gives the same values again. The run directory's config.yaml.
std::string print_config(Described root);

// The same with each value's origin: `lr: 0.001  # vit.yaml:3`, `# default`, `# command line`. For --print-config.
std::string print_config_with_origins(Described root, const Resolved& resolved);

// One key with its value as YAML; what a run that goes on may have otherwise is marked.
struct ConfigValue {
  std::string path, text;
  bool may_change = false;
};
// Every key in the order of declaration, those of the chosen variants among them.
std::vector<ConfigValue> config_values(Described root);

// What a resumed run would do otherwise than the run that it continues: "key: old -> new" for each key that differs and
// is not marked resume_may_change(). Both roots are of one type. A variant that differs counts as one line.
std::vector<std::string> resume_diff(Described before, Described now);

}  // namespace gfsa::config
