// layers.h -- from a file with its includes and a command line to one tree: the files below it first, then the file,
// then the overrides; maps merge key by key, everything else is replaced.
#pragma once

#include <string>
#include <vector>

#include "base/env.h"
#include "config/declaration.h"
#include "config/yaml_tree.h"

namespace gfsa::config {

// `name` as given, then below each folder in turn. Bad input if none exists: the message lists where it was looked for
// and the nearest file there.
std::string find_file(const std::string& name, const std::vector<std::string>& folders, Env& env);

// The file's tree after `defaults:` (a file or a list of files, each relative to the file that names it; cycles are
// refused) and ${env:NAME}, ${env:NAME:-default} ($${ is a literal ${). files: every file that was read is added. A
// scalar for a section with a shorthand is expanded first, so that it merges like the map that it stands for. A file
// that chooses another option of a variant drops the keys that files below it gave to the old option alone.
YamlNode load_layers(const std::string& file, const Declaration& schema, Env& env, Problems& problems,
                     std::vector<std::string>& files);

// The same for a text that is no file; `defaults:` in it is relative to the working directory.
YamlNode load_text_layers(const std::string& text, const std::string& name, const Declaration& schema, Env& env,
                          Problems& problems, std::vector<std::string>& files);

// Merges "key.path=value" (value in YAML) over the tree.
void apply_override(YamlNode& tree, const std::string& assignment, const Declaration& schema, Problems& problems);

}  // namespace gfsa::config
