// What holds for every file: length, no promises, no place of one machine.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <regex>

#include "meta/tree.h"

namespace gfsa::test {
namespace {

constexpr size_t kMostLines = 500;  // aim at 350

TEST(Files, AreNotTooLong) {
  std::vector<std::pair<size_t, std::string>> lengths;
  for (const auto& file : project_files()) {
    if (std::regex_search(file, std::regex(R"(\.(h|cpp|cu|py|sh|cmake|yaml)$|CMakeLists.txt$)"))) {
      lengths.emplace_back(lines_of(read_source(file)).size(), file);
    }
  }
  std::sort(lengths.rbegin(), lengths.rend());
  ASSERT_GT(lengths.size(), 100u);
  for (const auto& [lines, file] : lengths) {
    EXPECT_LE(lines, kMostLines) << file << ": split it by meaning";
  }
  std::printf("the ten longest files:\n");
  for (size_t i = 0; i < 10; ++i) std::printf("%5zu  %s\n", lengths[i].first, lengths[i].second.c_str());
}

// Each pattern is written so that it does not match itself.
TEST(Files, HoldNoNoteToOneself) {
  const std::regex note(R"(\b(TO[D]O|FIX[M]E|HAC[K]|XX[X])\b)");
  for (const auto& file : project_files()) {
    int number = 0;
    for (const auto& line : lines_of(read_source(file))) {
      ++number;
      EXPECT_FALSE(std::regex_search(line, note)) << file << ":" << number << ": " << line;
    }
  }
}

TEST(Files, NameNoPlaceOfOneMachine) {
  const std::regex place(R"((^|[\s"'`=(:,])/(work|tmp|opt|home|root|mnt|Users)/[\w.])");
  for (const auto& file : project_files()) {
    int number = 0;
    for (const auto& line : lines_of(read_source(file))) {
      ++number;
      EXPECT_FALSE(std::regex_search(line, place)) << file << ":" << number << ": " << line;
    }
  }
}

}  // namespace
}  // namespace gfsa::test
