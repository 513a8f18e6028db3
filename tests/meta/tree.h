// tree.h -- the project's own files, for tests that read them.
#pragma once

#include <string>
#include <vector>

namespace gfsa::test {

// Text below the source folder, by its path from there ("src/core/tensor.h").
std::string read_source(const std::string& path);
std::vector<std::string> lines_of(const std::string& text);

// Every text file of the project, sorted: what lies in its folders (not build trees, runs, data, golden files) and the
// files at the top.
std::vector<std::string> project_files();
// Those below `folder` whose names end with one of `endings`.
std::vector<std::string> project_files(const std::string& folder, const std::vector<std::string>& endings);

// The file must hold `text`; with GFSA_UPDATE set in the environment it is written instead.
void expect_source(const std::string& path, const std::string& text);

// The table of docs/architecture.md: a folder of src/ and those that it may include, in its order.
struct Layer {
  std::string name;
  std::vector<std::string> may_include;
};
std::vector<Layer> layer_table();
// What `layer` may reach, itself included.
std::vector<std::string> reachable(const std::vector<Layer>& table, const std::string& layer);

}  // namespace gfsa::test
