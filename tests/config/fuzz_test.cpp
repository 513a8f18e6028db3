// Whatever the text: it loads to something that prints and loads again to the same, or it is one Error with exit code 2
// whose every line says where.
#include <gtest/gtest.h>

#include <random>
#include <sstream>
#include <string>

#include "base/strings.h"
#include "config/example_config.h"
#include "config/printer.h"

namespace gfsa::config::example {
namespace {

const std::string kSeedText =
    "# a recipe\nseed: 7\ndeterministic: true\nrun_dir: \"runs/${env:GFSA_NO_SUCH_VARIABLE:-x}\"\nepochs: 1e1\n"
    "attention:\n  variant: gfsa\n  K: 3\n  layers: [0, &one 1, *one]\n  learn: [w0, wK]\n"
    "optimizer: &o\n  name: sgd\n  lr: 1e-3\n  momentum: 0.9\n  nesterov: false\n"
    "schedule: {name: cosine, warmup: 2, floor: 1.0e-6}\n"
    "data:\n  path: 'a b'\n  limit: ~\n  note: |\n    two\n    lines\n  mean:\n  - 0.4\n  - 0.5\n";

std::string mutate(std::string text, std::mt19937_64& random) {
  static const std::vector<std::string> pieces = {"{",
                                                  "}",
                                                  "[",
                                                  "]",
                                                  ":",
                                                  ": ",
                                                  "- ",
                                                  "\n",
                                                  "\n  ",
                                                  "&a ",
                                                  "*a",
                                                  "*one",
                                                  "!",
                                                  "!!int ",
                                                  "'",
                                                  "\"",
                                                  "|",
                                                  ">",
                                                  "#",
                                                  "%",
                                                  "@",
                                                  "---\n",
                                                  "...\n",
                                                  "? ",
                                                  "~",
                                                  "null",
                                                  "<<: *o\n",
                                                  "${env:HOME}",
                                                  "${",
                                                  "$${",
                                                  "1e999",
                                                  "-",
                                                  "\t",
                                                  "\\",
                                                  "\xff",
                                                  "\xc3",
                                                  "\xc3\xa9",
                                                  std::string(1, '\0'),
                                                  "\x04",
                                                  "[[[[[[[[[[",
                                                  "{a: {a: {a: {a: ",
                                                  "defaults: x.yaml\n",
                                                  "optimizer",
                                                  ".",
                                                  ",",
                                                  "\r",
                                                  "\xef\xbb\xbf"};
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  for (size_t edits = 1 + below(3); edits > 0; --edits) {
    const size_t at = below(text.size() + 1);
    switch (below(5)) {
      case 0:
        text.insert(at, pieces[below(pieces.size())]);
        break;
      case 1:
        text.erase(at, 1 + below(8));
        break;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>(below(256));
        break;
      case 3:
        text.insert(at, text.substr(below(text.size() + 1), below(40)));
        break;
      default:
        text.resize(at);
    }
    if (text.empty()) text = "a";
  }
  return text;
}

// Every line but the last, which may count what is left out, begins with a place.
bool says_where(const std::string& message, const std::string& place) {
  std::istringstream lines(message);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(place + ":") && !line.starts_with("and ")) return false;
  }
  return !message.empty();
}

TEST(Fuzz, MutatedTextsLoadOrSayWhy) {
  std::mt19937_64 random(20240607);
  int loaded = 0;
  for (int i = 0; i < 10000; ++i) {
    const std::string text = i == 0 ? kSeedText : mutate(kSeedText, random);
    RootConfig root;
    try {
      load_text(root, text);
    } catch (const Error& error) {
      ASSERT_EQ(error.exit_code(), kExitBadInput) << text;
      ASSERT_TRUE(says_where(error.message(), "text")) << text << "\nsays: " << error.message();
      ASSERT_TRUE(is_valid_utf8(error.message())) << text;
      continue;
    }
    ++loaded;
    const std::string printed = print_config(root);
    RootConfig again;
    ASSERT_NO_THROW(load_text(again, printed)) << text << "\nprinted:\n" << printed;
    ASSERT_EQ(print_config(again), printed) << text;
  }
  EXPECT_GT(loaded, 250);   // the mutations are not all fatal,
  EXPECT_LT(loaded, 9500);  // nor all harmless
}

TEST(Fuzz, MutatedOverridesLoadOrSayWhy) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 500; ++i) {
    RootConfig root;
    try {
      load_text(root, kMinimal, "c.yaml", {mutate("optimizer.lr=1e-3", random)});
    } catch (const Error& error) {
      ASSERT_EQ(error.exit_code(), kExitBadInput);
      ASSERT_TRUE(says_where(error.message(), "command line")) << error.message();
      ASSERT_TRUE(is_valid_utf8(error.message()));
    }
  }
}

}  // namespace
}  // namespace gfsa::config::example
