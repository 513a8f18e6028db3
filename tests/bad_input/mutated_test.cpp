// The real configurations, mutated: each loads to something that prints and loads again to the same, or every line of
// its message says where. tests/config/fuzz_test.cpp does the same 10,000 times with a small schema.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "bad_input/bad_input.h"
#include "base/env.h"
#include "base/error.h"
#include "base/strings.h"
#include "config/printer.h"
#include "config/reader.h"
#include "core/philox.h"
#include "tasks/registry.h"
#include "train/run_config.h"

namespace gfsa::bad_input_test {
namespace {

std::vector<std::string> configurations() {
  std::vector<std::string> texts;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(GFSA_SOURCE_DIR "/configs")) {
    if (entry.path().extension() != ".yaml") continue;
    std::string text = Env::real().read(entry.path().string());
    // What others are the defaults of is not found from a text alone.
    if (text.find("\ndefaults:") == std::string::npos) texts.push_back(std::move(text));
  }
  std::sort(texts.begin(), texts.end());
  texts.push_back(kBase);
  return texts;
}

std::string mutated(std::string text, RandomSequence& random) {
  static const std::vector<std::string> words = {"0",
                                                 "-1",
                                                 "1e999",
                                                 "9223372036854775807",
                                                 "4611686018427387904",
                                                 "0.5",
                                                 "[]",
                                                 "{}",
                                                 "[1, 2]",
                                                 "null",
                                                 "true",
                                                 "''",
                                                 "softmax",
                                                 "gfsa",
                                                 "random",
                                                 ".inf",
                                                 "nan",
                                                 "\xFF"};
  for (uint64_t edits = 1 + random.below(2); edits > 0; --edits) {
    const size_t at = random.below(text.size());
    const size_t colon = text.find(": ", at), end = text.find_first_of(",}\n", colon);
    switch (random.below(4)) {
      case 0:  // another value
        if (colon != std::string::npos && end != std::string::npos) {
          text.replace(colon + 2, end - colon - 2, words[random.below(words.size())]);
        }
        break;
      case 1:
        text.erase(at, 1 + random.below(6));
        break;
      case 2:
        text[at] = static_cast<char>(32 + random.below(95));
        break;
      default:
        text.insert(random.below(text.size()), text.substr(at, random.below(30)));
    }
    if (text.empty()) text = "a";
  }
  return text;
}

TEST(MutatedConfigurations, LoadOrSayWhere) {
  const auto texts = configurations();
  const bool soak = std::getenv("GFSA_SOAK") != nullptr;
  const uint32_t count = soak ? 20000 : 1500;
  uint32_t loaded = 0;
  for (uint32_t i = 0; i < count; ++i) {
    RandomSequence random(RandomKey(5, "mutated configurations"), i);
    const std::string text = mutated(texts[i % texts.size()], random);
    train::RunConfig config(tasks::task_registry());
    try {
      config::load_text(config, text, "c.yaml");
    } catch (const Error& error) {
      ASSERT_EQ(error.exit_code(), kExitBadInput) << text << error.message();
      ASSERT_TRUE(is_valid_utf8(error.message())) << text;
      std::istringstream lines(error.message());
      for (std::string line; std::getline(lines, line);) {
        ASSERT_TRUE(line.starts_with("c.yaml:") || line.starts_with("and ")) << text << "\nsays: " << error.message();
      }
      continue;
    }
    ++loaded;
    const std::string printed = config::print_config(config);
    train::RunConfig again(tasks::task_registry());
    ASSERT_NO_THROW(config::load_text(again, printed, "c.yaml")) << printed;
    ASSERT_EQ(config::print_config(again), printed) << text;
  }
  EXPECT_GT(loaded, count / 20);
  EXPECT_LT(loaded, count * 19 / 20);
}

}  // namespace
}  // namespace gfsa::bad_input_test
