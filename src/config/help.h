// help.h -- what --help-config and the reference page say about every key. `root` is a freshly made struct: its values
// are the defaults.
#pragma once

#include <string>

#include "config/schema.h"

namespace gfsa::config {

// Every key: what is expected, default, sentence.
std::string help(Described root);

// One key or section, in full: type, default, range, unit, sentence, source, and whether a resumed run may change it. A
// key that several options of a variant have is told for each. Bad input, with the nearest key, if there is no such
// key.
std::string help(Described root, const std::string& key);

// The page docs/config.md: every section with a table of its keys, every option of every variant.
std::string reference_markdown(Described root);

}  // namespace gfsa::config
