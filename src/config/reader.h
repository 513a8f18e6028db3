// reader.h -- fills a struct from YAML and a command line.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/env.h"
#include "config/schema.h"

namespace gfsa::config {

// Where a configuration came from.
struct Resolved {
  std::string file;                            // as found
  std::vector<std::string> files;              // it and what it includes, in the order of reading
  std::map<std::string, std::string> origins;  // "optimizer.lr" -> "vit.yaml:3", "command line"; absent: default
};

// Reads `file` (looked for as given, then in each of search_folders) into `root`, a freshly made struct, whose members'
// values are the defaults; then "key.path=value" overrides, whose values are YAML. Anything wrong anywhere is one Error
// with exit code 2 and a line "file:line:column: key.path: what is wrong, expected ...; did you mean 'X'?" for each
// problem; overrides say "command line: key.path: ...". `root` is then partly filled and of no use.
Resolved load(Described root, const std::string& file, const std::vector<std::string>& overrides = {},
              Env& env = Env::real(), const std::vector<std::string>& search_folders = {"configs"});

// The same from a text; `name` stands for the file in messages and origins.
Resolved load_text(Described root, const std::string& text, const std::string& name = "text",
                   const std::vector<std::string>& overrides = {}, Env& env = Env::real());

}  // namespace gfsa::config
