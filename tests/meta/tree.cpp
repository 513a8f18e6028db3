#include "meta/tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <regex>
#include <set>

#include "base/env.h"

namespace gfsa::test {
namespace fs = std::filesystem;
namespace {

const std::string kRoot = GFSA_SOURCE_DIR "/";

bool ends_with_any(const std::string& text, const std::vector<std::string>& endings) {
  return std::any_of(endings.begin(), endings.end(), [&](const auto& e) { return text.ends_with(e); });
}

}  // namespace

std::string read_source(const std::string& path) { return Env::real().read(kRoot + path); }

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

std::vector<std::string> project_files() {
  std::vector<std::string> files;
  const auto add = [&](const fs::path& path) { files.push_back(path.lexically_relative(kRoot).string()); };
  for (const auto& entry : fs::directory_iterator(kRoot)) {
    if (entry.is_regular_file()) add(entry.path());
  }
  for (const char* folder : {".ci", "configs", "docs", "scripts", "src", "tests", "third_party"}) {
    for (const auto& entry : fs::recursive_directory_iterator(kRoot + folder)) {
      if (entry.is_regular_file()) add(entry.path());
    }
  }
  std::erase_if(files, [](const std::string& f) {
    return f.starts_with("tests/golden/") || f == ".git" || ends_with_any(f, {".png", ".pyc", ".jpg"});
  });
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> project_files(const std::string& folder, const std::vector<std::string>& endings) {
  auto files = project_files();
  std::erase_if(files, [&](const auto& f) { return !f.starts_with(folder + "/") || !ends_with_any(f, endings); });
  return files;
}

void expect_source(const std::string& path, const std::string& text) {
  if (std::getenv("GFSA_UPDATE") != nullptr) {
    Env::real().write(kRoot + path, text);
    return;
  }
  const bool same = Env::real().exists(kRoot + path) && read_source(path) == text;
  EXPECT_TRUE(same) << path << " is stale; GFSA_UPDATE=1 test_meta writes it anew";
}

std::vector<Layer> layer_table() {
  std::vector<Layer> table;
  const std::regex row(R"(\| `src/(\w+)/` \|.*\| ([\w, ]+) \|)");
  for (const auto& line : lines_of(read_source("docs/architecture.md"))) {
    std::smatch match;
    if (!std::regex_match(line, match, row)) continue;
    Layer layer{match[1], {}};
    const std::string list = match[2];
    const std::regex word(R"(\w+)");
    if (list != "nothing of ours") {
      for (std::sregex_iterator i(list.begin(), list.end(), word), end; i != end; ++i) {
        layer.may_include.push_back(i->str());
      }
    }
    table.push_back(layer);
  }
  return table;
}

std::vector<std::string> reachable(const std::vector<Layer>& table, const std::string& layer) {
  std::vector<std::string> found{layer};
  for (size_t i = 0; i < found.size(); ++i) {
    for (const auto& row : table) {
      if (row.name != found[i]) continue;
      for (const auto& next : row.may_include) {
        if (std::find(found.begin(), found.end(), next) == found.end()) found.push_back(next);
      }
    }
  }
  return found;
}

}  // namespace gfsa::test
