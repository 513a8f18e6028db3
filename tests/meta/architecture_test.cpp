// The arrows of docs/architecture.md against what the sources include and what CMake links.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>

#include "meta/tree.h"

namespace gfsa::test {
namespace {

bool contains(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

// What a line includes of ours: "core/tensor.h"; "" otherwise.
std::string included(const std::string& line) {
  static const std::regex include(R"(\s*#\s*include\s+"([^"]+)\".*)");
  std::smatch match;
  return std::regex_match(line, match, include) ? match[1].str() : "";
}

std::string first_part(const std::string& path) { return path.substr(0, path.find('/')); }

TEST(Architecture, TableNamesEveryFolderAndHasNoCycle) {
  std::set<std::string> folders, rows;
  for (const auto& file : project_files("src", {".h", ".cpp", ".in"})) folders.insert(first_part(file.substr(4)));
  for (const auto& layer : layer_table()) {
    for (const auto& below : layer.may_include) {
      EXPECT_TRUE(rows.count(below)) << layer.name << " may include " << below << ", which must stand above it";
    }
    rows.insert(layer.name);
  }
  EXPECT_EQ(folders, rows);
}

TEST(Architecture, IncludesGoDownwardsOnly) {
  const auto table = layer_table();
  ASSERT_GT(table.size(), 10u);
  size_t seen = 0;
  for (const auto& file : project_files("src", {".h", ".cpp", ".cu"})) {
    const std::string layer = first_part(file.substr(4));
    const auto allowed = reachable(table, layer);
    int number = 0;
    for (const auto& line : lines_of(read_source(file))) {
      ++number;
      const std::string path = included(line);
      if (path.empty()) continue;
      ++seen;
      EXPECT_NE(path.find('/'), std::string::npos) << file << ":" << number << ": say the folder: " << path;
      EXPECT_TRUE(contains(allowed, first_part(path)))
          << file << ":" << number << ": " << layer << " may not include " << path << " (docs/architecture.md)";
    }
  }
  EXPECT_GT(seen, 200u) << "the test does not see the includes";
}

// So that every header that has a source is known to compile by itself.
TEST(Architecture, ASourceIncludesItsOwnHeaderFirst) {
  for (const auto& file : project_files("src", {".cpp"})) {
    const std::string header = file.substr(0, file.size() - 3) + "h";
    if (!std::filesystem::exists(std::string(GFSA_SOURCE_DIR "/") + header)) continue;
    for (const auto& line : lines_of(read_source(file))) {
      if (line.find("#include") == std::string::npos) continue;
      EXPECT_EQ(included(line), header.substr(4)) << file;
      break;
    }
  }
}

TEST(Architecture, LibrariesLinkWhatTheTableSays) {
  const std::string cmake = read_source("CMakeLists.txt");
  const std::regex call(R"(gfsa_layer\((\w+)\s+DEPENDS([^)]*)\))"), ours(R"(gfsa_(\w+))");
  std::map<std::string, std::set<std::string>> linked;
  for (std::sregex_iterator i(cmake.begin(), cmake.end(), call), end; i != end; ++i) {
    const std::string libraries = (*i)[2].str().substr(0, (*i)[2].str().find("PRIVATE"));
    auto& set = linked[(*i)[1]];
    for (std::sregex_iterator j(libraries.begin(), libraries.end(), ours); j != end; ++j) set.insert((*j)[1]);
  }
  for (const auto& layer : layer_table()) {
    if (layer.name == "apps") continue;  // programs, not a library
    EXPECT_EQ(linked[layer.name], std::set<std::string>(layer.may_include.begin(), layer.may_include.end()))
        << "gfsa_layer(" << layer.name << " ...) in CMakeLists.txt";
  }
}

TEST(Architecture, PictureShowsEveryLayer) {
  const std::string picture = read_source("docs/images/architecture.svg");
  for (const auto& layer : layer_table()) {
    EXPECT_NE(picture.find(">" + layer.name + "<"), std::string::npos)
        << layer.name << " is missing; scripts/draw_architecture.py draws the picture anew";
  }
}

TEST(Architecture, TestsMirrorTheSources) {
  std::set<std::string> known{"CMakeLists.txt", "support", "golden", "fuzz", "bad_input", "e2e", "meta"};
  for (const auto& layer : layer_table()) known.insert(layer.name);
  for (const auto& file : project_files("tests", {""})) EXPECT_TRUE(known.count(first_part(file.substr(6)))) << file;
}

}  // namespace
}  // namespace gfsa::test
