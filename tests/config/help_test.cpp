#include "config/help.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "config/declaration.h"
#include "config/example_config.h"

namespace gfsa::config::example {
namespace {

using testing::HasSubstr;

std::string help_error(const std::string& key) {
  RootConfig root;
  try {
    help(root, key);
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), kExitBadInput);
    return error.message();
  }
  return "";
}

TEST(Help, OneKey) {
  RootConfig root;
  EXPECT_EQ(help(root, "data.limit"),
            "data.limit\n"
            "  what      Take only the first.\n"
            "  expected  an integer >= 1 or null\n"
            "  default   null\n"
            "  unit      samples\n"
            "  on resume must stay as it is\n");
}

TEST(Help, KeyOfSeveralOptions) {
  RootConfig root;
  EXPECT_EQ(help(root, "optimizer.lr"),
            "optimizer.lr  (with optimizer.name: adamw)\n"
            "  what      Peak learning rate.\n"
            "  expected  a number > 0\n"
            "  default   0.0005\n"
            "  source    DeiT, table 9\n"
            "  on resume may change\n"
            "optimizer.lr  (with optimizer.name: sgd)\n"
            "  what      Peak learning rate.\n"
            "  expected  a number > 0\n"
            "  default   0.1\n"
            "  on resume may change\n");
}

TEST(Help, Section) {
  RootConfig root;
  EXPECT_EQ(help(root, "attention"),
            "attention\n"
            "  what      The attention of every block.\n"
            "  in short  attention: X means attention: {variant: X}\n"
            "  variant: softmax or gfsa (default: softmax)\n"
            "      Which filter.\n"
            "  K: an integer in [2, 16] (default: 3)\n"
            "      Highest power.\n"
            "  layers: a text or a list of them (default: all)\n"
            "      all, even, odd or a list of indices\n"
            "  learn: a list of w0, w1 or wK (default: [wK])\n"
            "      Learned coefficients.\n");
}

TEST(Help, VariantTellsEveryOption) {
  RootConfig root;
  const std::string text = help(root, "schedule.name");
  EXPECT_THAT(text, HasSubstr("default   none, must be given\n"));
  EXPECT_THAT(text, HasSubstr("  name: cosine  # Half a cosine.\n    floor: a number >= 0 (default: 0)\n"));
  EXPECT_THAT(text, HasSubstr("  name: constant  # Flat.\n"));
}

TEST(Help, WholeTreeNamesEveryKey) {
  RootConfig root;
  const std::string text = help(root), page = reference_markdown(root);
  const Declaration tree = declare(root);
  for (const std::string& path : all_paths(tree)) {
    const std::string name = path.substr(path.rfind('.') + 1);
    EXPECT_THAT(text, HasSubstr(name + ":"));
    EXPECT_THAT(page, HasSubstr(name));
    EXPECT_FALSE(help(root, path).empty());
  }
  EXPECT_THAT(text, HasSubstr("  with name: sgd  # Stochastic gradient descent.\n"));
}

TEST(Help, UnknownKey) {
  EXPECT_EQ(help_error("optimizer.lrr"), "'optimizer.lrr' is no key; did you mean 'optimizer.lr'?");
  EXPECT_EQ(help_error("momentum"), "'momentum' is no key; did you mean 'optimizer.momentum'?");
  EXPECT_EQ(help_error("optimizer.zzz"), "'optimizer.zzz' is no key");
  EXPECT_EQ(help_error("optimiser.lr"), "'optimiser.lr' is no key; did you mean 'optimizer.lr'?");
  EXPECT_EQ(help_error("sed"), "'sed' is no key; did you mean 'seed'?");
  EXPECT_EQ(help_error("qqqqqq"), "'qqqqqq' is no key");
}

TEST(Reference, Page) {
  RootConfig root;
  const std::string page = reference_markdown(root);
  EXPECT_THAT(page,
              HasSubstr("## `attention`\n\nThe attention of every block.\n\nIn short: `attention: X` means `attention: "
                        "{variant: X}`.\n\n| key | expected | default | what |\n|---|---|---|---|\n"
                        "| `variant` | softmax or gfsa | `softmax` | Which filter. |\n"));
  EXPECT_THAT(page, HasSubstr("### `optimizer.name: sgd`\n\nStochastic gradient descent.\n\n"));
  EXPECT_THAT(
      page,
      HasSubstr(
          "| `lr` | a number > 0 | `0.0005` | Peak learning rate. Source: DeiT, table 9. May change on resume. |\n"));
  EXPECT_TRUE(page.ends_with("|\n")) << page;
}

}  // namespace
}  // namespace gfsa::config::example
