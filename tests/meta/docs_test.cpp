// Pages that are made from the sources: GFSA_UPDATE=1 test_meta writes them anew.
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <set>

#include "config/help.h"
#include "meta/tree.h"
#include "tasks/registry.h"
#include "train/run_config.h"

namespace gfsa::test {
namespace {

TEST(Docs, ConfigPageIsFresh) {
  train::RunConfig config(tasks::task_registry());
  expect_source("docs/config.md", config::reference_markdown(config));
}

// docs/adding.md shows files whole: a line "<!-- tests/meta/examples/twicing.cpp -->", then a block with its text.
TEST(Docs, AddingShowsTheExamplesAsTheyAre) {
  const std::regex mark(R"(<!-- (tests/meta/examples/[\w.]+) -->)");
  std::string fresh;
  std::set<std::string> shown;
  bool inside = false;  // the old text of an example
  for (const auto& line : lines_of(read_source("docs/adding.md"))) {
    std::smatch match;
    if (inside && line != "```") continue;
    inside = false;
    fresh += line + "\n";
    if (!std::regex_match(line, match, mark)) continue;
    fresh += "```cpp\n" + read_source(match[1]);
    shown.insert(match[1]);
    inside = true;
  }
  expect_source("docs/adding.md", fresh);
  const auto examples = project_files("tests/meta/examples", {".h", ".cpp", ".cu"});
  EXPECT_EQ(shown, std::set<std::string>(examples.begin(), examples.end()));
}

TEST(Docs, LinksLeadSomewhere) {
  const std::regex link(R"(\]\(([^)#\s]+)(#[^)]*)?\))");
  for (const auto& file : project_files()) {
    if (!file.ends_with(".md")) continue;
    const std::string text = read_source(file);
    for (std::sregex_iterator i(text.begin(), text.end(), link), end; i != end; ++i) {
      const std::string target = (*i)[1];
      if (target.find("://") != std::string::npos) continue;
      const auto path = std::filesystem::path(GFSA_SOURCE_DIR) / std::filesystem::path(file).parent_path() / target;
      EXPECT_TRUE(std::filesystem::exists(path)) << file << ": " << target;
    }
  }
}

}  // namespace
}  // namespace gfsa::test
