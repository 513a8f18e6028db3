// config_files.h -- how --config finds its file.
#pragma once

#include <string>
#include <vector>

#include "base/env.h"

namespace gfsa::train {

// Folders with configurations, of those that exist: configs/ in the working directory, then beside the program, one and
// two folders above it (a build folder within the source tree), and share/gfsa/configs of an installation.
std::vector<std::string> config_folders(Env& env = Env::real());

// The file as given, or below the first of `folders` that has it. Bad input if there is none: the message says which
// folders were looked into, the nearest name and all files there are.
std::string find_config(const std::string& name, const std::vector<std::string>& folders, Env& env = Env::real());

// "runs/vit_gfsa" for "configs/vit_gfsa.yaml": the run_dir of a configuration that names none.
std::string default_run_dir(const std::string& config_file);

}  // namespace gfsa::train
