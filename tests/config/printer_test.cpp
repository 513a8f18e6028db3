#include "config/printer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "config/example_config.h"
#include "config/value.h"

namespace gfsa::config::example {
namespace {

using testing::ElementsAre;

TEST(Printer, WholeText) {
  RootConfig root;
  load_text(root, "optimizer: {name: sgd, lr: 1e-3}\nattention: {layers: [0, 2]}\n" + kMinimal);
  EXPECT_EQ(print_config(root),
            "seed: 0\ndeterministic: true\nrun_dir: runs/a\nepochs: 10\n"
            "attention:\n  variant: softmax\n  K: 3\n  layers: [0, 2]\n  learn: [wK]\n"
            "optimizer:\n  name: sgd\n  lr: 0.001\n  momentum: 0.9\n  nesterov: false\n"
            "schedule:\n  name: cosine\n  floor: 0\n  warmup: 5\n"
            "data:\n  path: /pictures\n  limit: null\n  note: null\n  mean: [0.5]\n");
}

TEST(Printer, Origins) {
  RootConfig root;
  const Resolved resolved =
      load_text(root, "attention: gfsa\noptimizer:\n  lr: 1e-3\n" + kMinimal, "c.yaml", {"epochs=12"});
  EXPECT_EQ(print_config_with_origins(root, resolved),
            "seed: 0                # default\n"
            "deterministic: true    # default\n"
            "run_dir: runs/a        # default\n"
            "epochs: 12             # command line\n"
            "attention:\n"
            "  variant: gfsa        # c.yaml:1\n"
            "  K: 3                 # default\n"
            "  layers: all          # default\n"
            "  learn: [wK]          # default\n"
            "optimizer:\n"
            "  name: adamw          # default\n"
            "  lr: 0.001            # c.yaml:3\n"
            "  weight_decay: 0.05   # default\n"
            "  betas: [0.9, 0.999]  # default\n"
            "schedule:\n"
            "  name: cosine         # c.yaml:4\n"
            "  floor: 0             # default\n"
            "  warmup: 5            # default\n"
            "data:\n"
            "  path: /pictures      # c.yaml:5\n"
            "  limit: null          # default\n"
            "  note: null           # default\n"
            "  mean: [0.5]          # default\n");
}

TEST(Printer, ValuesByPath) {
  RootConfig root;
  load_text(root, "optimizer: {name: sgd, lr: 1e-3}\n" + kMinimal);
  std::vector<std::string> lines;
  for (const auto& value : config_values(root)) lines.push_back(value.path + "=" + value.text);
  EXPECT_THAT(lines, testing::IsSupersetOf({"seed=0", "optimizer.name=sgd", "optimizer.lr=0.001", "attention.K=3",
                                            "optimizer.nesterov=false", "data.path=/pictures"}));
  EXPECT_THAT(lines, testing::Not(testing::Contains("optimizer.weight_decay=0.05")));  // adamw's
}

void expect_round_trip(RootConfig& root) {
  const std::string text = print_config(root);
  RootConfig again;
  ASSERT_NO_THROW(load_text(again, text)) << text;
  EXPECT_EQ(again.run_dir, root.run_dir);
  EXPECT_EQ(again.data.note, root.data.note);
  EXPECT_EQ(again.data.mean, root.data.mean);
  EXPECT_EQ(again.attention.layers, root.attention.layers);
  EXPECT_EQ(print_config(again), text);
}

TEST(Printer, RoundTripOfTexts) {
  for (const std::string text : {"a",
                                 "two words",
                                 "null",
                                 "~",
                                 "true",
                                 "No",
                                 "12",
                                 "1e5",
                                 "-",
                                 "- a",
                                 "a: b",
                                 "a #b",
                                 "#",
                                 "'",
                                 "\"",
                                 "\\",
                                 "\n",
                                 " a ",
                                 "a\n\nb\n",
                                 "\t",
                                 "[a]",
                                 "{a}",
                                 "*a",
                                 "&a",
                                 "!a",
                                 "%a",
                                 "@a",
                                 "`a",
                                 "|",
                                 ">",
                                 "?",
                                 "---",
                                 "...",
                                 "${x}",
                                 "$${x}",
                                 "$$${env:A}",
                                 "\x01\x7f",
                                 "gr\xc3\xbc\xc3\x9f",
                                 "\xe6\xbc\xa2",
                                 "/a/b-c_d.e+f",
                                 "../a",
                                 ".inf",
                                 ".nan",
                                 "0x10",
                                 "2024-01-01",
                                 "a,b",
                                 "="}) {
    RootConfig root;
    load_text(root, kMinimal);
    root.run_dir = text;
    root.data.note = text;
    root.attention.layers = {text, text};
    SCOPED_TRACE(text);
    expect_round_trip(root);
    root.attention.layers = {text};
    expect_round_trip(root);
  }
}

TEST(Printer, RoundTripOfNumbers) {
  RootConfig root;
  load_text(root, kMinimal);
  root.data.mean = {0.1, 1.0 / 3, -0.0, 1e300, 5e-324, 1e-7, 123456789.123456789, std::numeric_limits<double>::max()};
  expect_round_trip(root);
  root.seed = std::numeric_limits<int64_t>::max();
  expect_round_trip(root);
  EXPECT_NE(print_config(root).find("seed: 9223372036854775807\n"), std::string::npos);
}

TEST(Printer, RoundTripOfEmptyThings) {
  RootConfig root;
  load_text(root, kMinimal);
  root.attention.layers = {};
  root.attention.learn = {};
  root.data.note = "";
  root.schedule.shape = std::make_unique<Constant>();
  expect_round_trip(root);
}

TEST(ResumeDiff, NamesWhatMayNotChange) {
  RootConfig before, now;
  load_text(before, kMinimal);
  load_text(now, kMinimal, "c",
            {"seed=3", "epochs=20", "optimizer.lr=1", "optimizer.betas=[0.1, 0.2]", "data.limit=4"});
  EXPECT_THAT(resume_diff(before, now),
              ElementsAre("seed: 0 -> 3", "optimizer.betas: [0.9, 0.999] -> [0.1, 0.2]", "data.limit: null -> 4"));
  EXPECT_THAT(resume_diff(now, now), ElementsAre());
}

TEST(ResumeDiff, AnotherVariantIsOneLine) {
  RootConfig before, now;
  load_text(before, kMinimal);
  load_text(now, kMinimal, "c", {"optimizer=sgd"});
  EXPECT_THAT(resume_diff(before, now), ElementsAre("optimizer.name: adamw -> sgd"));
}

TEST(Value, ShownIsShortAndPrintable) {
  EXPECT_EQ(shown("a\nb\x01"), "a\\nb\\x01");
  EXPECT_EQ(shown(std::string(61, 'x')), std::string(60, 'x') + "...");
  EXPECT_EQ(shown(std::string(59, 'x') + "\xc3\xa9"), std::string(59, 'x') + "...");  // no half characters
}

}  // namespace
}  // namespace gfsa::config::example
