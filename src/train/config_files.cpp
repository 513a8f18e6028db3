#include "train/config_files.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/strings.h"

namespace gfsa::train {
namespace {

namespace fs = std::filesystem;

bool is_yaml(const std::string& name) { return name.ends_with(".yaml") || name.ends_with(".yml"); }

// Files below `folder`, as names relative to it; two levels of folders.
void add_configs(const std::string& folder, const std::string& prefix, int levels, Env& env,
                 std::vector<std::string>& names) {
  for (const auto& entry : env.list(folder)) {
    const std::string path = folder + "/" + entry, name = prefix + entry;
    if (env.is_directory(path)) {
      if (levels > 0 && !entry.starts_with('.')) add_configs(path, name + "/", levels - 1, env, names);
    } else if (is_yaml(entry) && std::find(names.begin(), names.end(), name) == names.end()) {
      names.push_back(name);
    }
  }
}

std::string stem(const std::string& name) { return fs::path(name).stem().string(); }

// The candidate that `wanted` most likely stands for: its ending or its folder left out, then a slip in the name.
std::string nearest_config(const std::string& wanted, const std::vector<std::string>& candidates) {
  for (const auto& c : candidates) {
    if (c == wanted + ".yaml" || c == wanted + ".yml") return c;
  }
  const std::string file = fs::path(wanted).filename().string();
  const std::string bare = is_yaml(file) ? stem(file) : file;
  std::vector<std::string> stems;
  for (const auto& c : candidates) {
    if (stem(c) == bare) return c;
    stems.push_back(stem(c));
  }
  const auto near = std::find(stems.begin(), stems.end(), nearest_name(bare, stems));
  return near == stems.end() ? "" : candidates[static_cast<size_t>(near - stems.begin())];
}

}  // namespace

std::vector<std::string> config_folders(Env& env) {
  std::vector<std::string> wanted{"configs"};
  std::error_code error;
  if (const fs::path program = fs::read_symlink("/proc/self/exe", error); !error) {
    for (const char* place : {"configs", "../configs", "../../configs", "../share/gfsa/configs"}) {
      wanted.push_back((program.parent_path() / place).lexically_normal().string());
    }
  }
  std::vector<std::string> folders;
  for (const auto& folder : wanted) {
    const bool seen = std::any_of(folders.begin(), folders.end(),
                                  [&](const std::string& f) { return fs::equivalent(f, folder, error); });
    if (env.is_directory(folder) && !seen) folders.push_back(folder);
  }
  return folders;
}

std::string find_config(const std::string& name, const std::vector<std::string>& folders, Env& env) {
  if (env.exists(name)) return name;
  std::vector<std::string> candidates;
  if (const std::string parent = fs::path(name).parent_path().string(); !parent.empty() && env.is_directory(parent)) {
    add_configs(parent, parent + "/", 0, env, candidates);
  }
  if (fs::path(name).is_relative()) {
    for (const auto& folder : folders) {
      const std::string path = folder + "/" + name;
      if (env.exists(path) && !env.is_directory(path)) return path;
      add_configs(folder, "", 2, env, candidates);
    }
  }
  const std::string near = nearest_config(name, candidates);
  bad_input("--config: there is no file {}{}{}{}", name,
            folders.empty() ? "" : fmt::format(", also not in {}", fmt::join(folders, ", ")),
            near.empty() ? "" : fmt::format("; did you mean '{}'?", near),
            candidates.empty() ? "" : fmt::format("\nThere are: {}", fmt::join(candidates, ", ")));
}

std::string default_run_dir(const std::string& config_file) { return "runs/" + stem(config_file); }

}  // namespace gfsa::train
