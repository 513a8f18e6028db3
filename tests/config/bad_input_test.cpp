// Every wrong text has its message, word for word.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "config/example_config.h"

namespace gfsa::config::example {
namespace {

struct BadText {
  std::string text, message;
  std::vector<std::string> overrides = {};
};

void expect_messages(const std::vector<BadText>& cases) {
  for (const auto& c : cases) EXPECT_EQ(error_of(c.text, c.overrides), c.message) << "text:\n" << c.text;
}

std::string with(const std::string& lines) { return lines + "\n" + kMinimal; }

TEST(BadInput, MinimalTextIsGood) { EXPECT_EQ(error_of(kMinimal), ""); }

TEST(BadInput, Numbers) {
  expect_messages({
      {with("optimizer: {lr: -1}"), "c.yaml:1:17: optimizer.lr: '-1' is out of range, expected a number > 0"},
      {with("optimizer: {lr: 0}"), "c.yaml:1:17: optimizer.lr: '0' is out of range, expected a number > 0"},
      {with("optimizer: {lr: fast}"), "c.yaml:1:17: optimizer.lr: 'fast' is not a number, expected a number > 0"},
      {with("optimizer: {lr: 1e}"), "c.yaml:1:17: optimizer.lr: '1e' is not a number, expected a number > 0"},
      {with("optimizer: {lr: .}"), "c.yaml:1:17: optimizer.lr: '.' is not a number, expected a number > 0"},
      {with("optimizer: {lr: 0x10}"), "c.yaml:1:17: optimizer.lr: '0x10' is not a number, expected a number > 0"},
      {with("optimizer: {lr: 1 2}"), "c.yaml:1:17: optimizer.lr: '1 2' is not a number, expected a number > 0"},
      {with("optimizer: {lr: '0.1'}"), "c.yaml:1:17: optimizer.lr: '0.1' is a text in quotes, expected a number > 0"},
      {with("optimizer: {lr: .inf}"), "c.yaml:1:17: optimizer.lr: '.inf' is not finite, expected a number > 0"},
      {with("optimizer: {lr: nan}"), "c.yaml:1:17: optimizer.lr: 'nan' is not finite, expected a number > 0"},
      {with("optimizer: {lr: 1e999}"),
       "c.yaml:1:17: optimizer.lr: '1e999' is beyond the range of a double, expected a number > 0"},
      {with("optimizer: {lr: 1e-999}"),
       "c.yaml:1:17: optimizer.lr: '1e-999' is beyond the range of a double, expected a number > 0"},
      {with("optimizer: {lr: 5_000}"),
       "c.yaml:1:17: optimizer.lr: '5_000' is not a number (write it without underscores), expected a number > 0"},
      {with("optimizer:\n  lr:"), "c.yaml:2:3: optimizer.lr: has no value, expected a number > 0"},
      {with("optimizer: {lr: null}"), "c.yaml:1:17: optimizer.lr: has no value, expected a number > 0"},
      {with("optimizer: {lr: [1]}"), "c.yaml:1:17: optimizer.lr: is a list, expected a number > 0"},
      {with("optimizer: {lr: {a: 1}}"), "c.yaml:1:17: optimizer.lr: is a map, expected a number > 0"},
      {with("optimizer: {lr: !!float 1}"), "c.yaml:1:17: the tag 'tag:yaml.org,2002:float' is not supported"},
      {with("optimizer: {name: sgd, momentum: 1}"),
       "c.yaml:1:34: optimizer.momentum: '1' is out of range, expected a number in [0, 1)"},
      {with("optimizer: {weight_decay: -1e-9}"),
       "c.yaml:1:27: optimizer.weight_decay: '-1e-9' is out of range, expected a number >= 0"},
  });
}

TEST(BadInput, IntegersAndBooleans) {
  expect_messages({
      {with("epochs: 1.5"), "c.yaml:1:9: epochs: '1.5' is not a whole number, expected an integer in [1, 100000]"},
      {with("epochs: 0"), "c.yaml:1:9: epochs: '0' is out of range, expected an integer in [1, 100000]"},
      {with("epochs: 1e6"), "c.yaml:1:9: epochs: '1e6' is out of range, expected an integer in [1, 100000]"},
      {with("epochs: 1e-1"), "c.yaml:1:9: epochs: '1e-1' is not a whole number, expected an integer in [1, 100000]"},
      {with("epochs: 010"), "c.yaml:1:9: epochs: '010' has a leading zero, expected an integer in [1, 100000]"},
      {with("epochs: ten"), "c.yaml:1:9: epochs: 'ten' is not a number, expected an integer in [1, 100000]"},
      {with("epochs: 3,000"), "c.yaml:1:9: epochs: '3,000' is not a number, expected an integer in [1, 100000]"},
      {"schedule: {name: cosine, warmup: 4000000000}\ndata: {path: a}",
       "c.yaml:1:34: schedule.warmup: '4000000000' is out of range, expected an integer >= 0"},
      {with("seed: 99999999999999999999"),
       "c.yaml:1:7: seed: '99999999999999999999' is too large for an integer, expected an integer >= 0"},
      {with("seed: 1e300"),
       "c.yaml:1:7: seed: '1e300' is too large for an integer written as a decimal, expected an integer >= 0"},
      {with("seed: -1"), "c.yaml:1:7: seed: '-1' is out of range, expected an integer >= 0"},
      {with("seed: --1"), "c.yaml:1:7: seed: '--1' is not a number, expected an integer >= 0"},
      {with("deterministic: yes"), "c.yaml:1:16: deterministic: 'yes' is a text in YAML 1.2, expected true or false"},
      {with("deterministic: Off"), "c.yaml:1:16: deterministic: 'Off' is a text in YAML 1.2, expected true or false"},
      {with("deterministic: True"), "c.yaml:1:16: deterministic: 'True' is a text in YAML 1.2, expected true or false"},
      {with("deterministic: 1"), "c.yaml:1:16: deterministic: '1' is neither true nor false, expected true or false"},
      {with("deterministic: 'true'"), "c.yaml:1:16: deterministic: 'true' is a text in quotes, expected true or false"},
  });
}

TEST(BadInput, TextsAndLists) {
  expect_messages({
      {with("attention: {variant: gfa}"),
       "c.yaml:1:22: attention.variant: 'gfa' is unknown, expected softmax or gfsa; did you mean 'gfsa'?"},
      {with("attention: gsfa"),
       "c.yaml:1:12: attention.variant: 'gsfa' is unknown, expected softmax or gfsa; did you mean 'gfsa'?"},
      {with("attention: {learn: wk}"),
       "c.yaml:1:20: attention.learn: 'wk' is no list, expected a list of w0, w1 or wK"},
      {with("attention: {learn: [w0, w2]}"),
       "c.yaml:1:25: attention.learn[1]: 'w2' is unknown, expected a list of w0, w1 or wK; did you mean 'w0'?"},
      {with("attention: {layers: [[1]]}"),
       "c.yaml:1:22: attention.layers[0]: is a list, expected a text or a list of them"},
      {with("attention: {layers: null}"),
       "c.yaml:1:21: attention.layers: has no value, expected a text or a list of them"},
      {with("attention: [gfsa]"),
       "c.yaml:1:12: attention: a list stands where a map of keys is expected: variant, K, layers or learn"},
      {with("run_dir: ''"), "c.yaml:1:10: run_dir: is empty, expected a text that is not empty"},
      {with("run_dir:"), "c.yaml:1:1: run_dir: has no value, expected a text that is not empty"},
      {"schedule: {name: cosine}\ndata: {path: ''}", "c.yaml:2:14: data.path: is empty, expected a path"},
      {"schedule: {name: cosine}\ndata: {path: a, mean: []}",
       "c.yaml:2:23: data.mean: is empty, expected a non-empty list of numbers"},
      {"schedule: {name: cosine}\ndata: {path: a, mean: [1, x, y]}",
       "c.yaml:2:27: data.mean[1]: 'x' is not a number, expected a non-empty list of numbers\n"
       "c.yaml:2:30: data.mean[2]: 'y' is not a number, expected a non-empty list of numbers"},
      {"schedule: {name: cosine}\ndata: {path: a, limit: 0}",
       "c.yaml:2:24: data.limit: '0' is out of range, expected an integer >= 1 or null"},
      {with("optimizer: {betas: [0.9]}"),
       "c.yaml:1:20: optimizer.betas: has length 1, expected a list of 2 numbers in [0, 1]"},
      {with("optimizer: {betas: 0.9}"),
       "c.yaml:1:20: optimizer.betas: '0.9' is no list, expected a list of 2 numbers in [0, 1]"},
      {with("optimizer: {betas: [0.9, 1.5]}"),
       "c.yaml:1:26: optimizer.betas[1]: '1.5' is out of range, expected a list of 2 numbers in [0, 1]"},
      {with("optimizer: {betas: [0.9, 0.8]}"),
       "c.yaml:1:20: optimizer.betas: the first must be smaller than the second"},
  });
}

TEST(BadInput, Keys) {
  expect_messages({
      {with("sede: 1"), "c.yaml:1:1: sede: unknown key; did you mean 'seed'?"},
      {with("lr: 1"), "c.yaml:1:1: lr: unknown key; did you mean 'optimizer.lr'?"},
      {with("optimizer: {lrr: 1}"), "c.yaml:1:13: optimizer.lrr: unknown key; did you mean 'optimizer.lr'?"},
      {with("optimizer: {epochs: 1}"), "c.yaml:1:13: optimizer.epochs: unknown key; did you mean 'epochs'?"},
      {with("optimizr: {lr: 1}"), "c.yaml:1:1: optimizr: unknown key; did you mean 'optimizer'?"},
      {with("weight_dekay: 1"), "c.yaml:1:1: weight_dekay: unknown key; did you mean 'optimizer.weight_decay'?"},
      {with("optimizer.lr: 1"), "c.yaml:1:1: optimizer.lr: unknown key with a dot; in a file keys nest, one line each"},
      {with("optimizer: {momentum: 0.5}"),
       "c.yaml:1:13: optimizer.momentum: unknown key here, it belongs to name: 'sgd'"},
      {with("attention: {xyzzy_plugh: 1}"),
       "c.yaml:1:13: attention.xyzzy_plugh: unknown key, expected variant, K, layers or learn"},
      {with("<<: {seed: 1}"),
       "c.yaml:1:1: <<: YAML's merge key is not supported, expected `defaults:` with a file to include"},
      {with("attention: {defaults: a.yaml}"),
       "c.yaml:1:13: attention.defaults: files are included at the top of a file only"},
      {with("seed: 1\nseed: 2"), "c.yaml:2:1: seed: the key is given twice, first in line 1"},
      {with("optimizer: {lr: 1, lr: 1}"), "c.yaml:1:20: optimizer.lr: the key is given twice, first in line 1"},
      {with("? [a]\n: 1"), "c.yaml:1:3: a list stands where a key is expected"},
      {with("~: 1"), "c.yaml:1:1: null stands where a key is expected"},
      {"schedule: {name: cosine}\n", "c.yaml:1:1: data.path: is missing, expected a path"},
      {"schedule: {name: cosine}\ndata: {limit: 1}", "c.yaml:2:1: data.path: is missing, expected a path"},
      {"schedule: {warmup: 1}\ndata: {path: a}", "c.yaml:1:1: schedule.name: is missing, expected cosine or constant"},
      {"schedule: {name: cosin, floor: 1}\ndata: {path: a}",
       "c.yaml:1:18: schedule.name: 'cosin' is unknown, expected cosine or constant; did you mean 'cosine'?"},
      {"schedule: {name: [cosine]}\ndata: {path: a}",
       "c.yaml:1:18: schedule.name: a list is no schedule, expected cosine or constant"},
      {"schedule: {name: constant, floor: 1}\ndata: {path: a}",
       "c.yaml:1:28: schedule.floor: unknown key here, it belongs to name: 'cosine'"},
      {"schedule: cosine\ndata: {path: a}",
       "c.yaml:1:11: schedule: 'cosine' stands where a map of keys is expected: name or warmup"},
      {"schedule: {name: cosine, warmup: 20}\ndata: {path: a}",
       "c.yaml:1:34: schedule.warmup: must not be longer than epochs"},
      {with("epochs: 3"), "c.yaml:2:11: schedule.warmup: must not be longer than epochs"},
  });
}

TEST(BadInput, Syntax) {
  expect_messages({
      {"", "c.yaml: the file is empty, expected keys"},
      {" \n\n", "c.yaml: the file is empty, expected keys"},
      {"# nothing\n", "c.yaml: the file holds no keys"},
      {"---\n", "c.yaml: the file holds no keys"},
      {"- a\n", "c.yaml:1:1: a list stands at the top, expected a map of keys"},
      {"hello", "c.yaml:1:1: 'hello' stands at the top, expected a map of keys"},
      {"seed: *s\n", "c.yaml:1:7: YAML syntax: the referenced anchor is not defined"},
      {"a: &x [*x]\n", "c.yaml:1:8: the alias stands inside its own anchor"},
      {"seed: 1\n---\nseed: 2\n", "c.yaml:2:1: a second document begins here, expected one"},
      {"seed: [1, 2\n", "c.yaml:2:1: YAML syntax: end of sequence flow not found"},
      {"seed: 1: 2\n", "c.yaml:1:8: YAML syntax: illegal map value"},
      {"seed: 1\n\tx: 2\n", "c.yaml:2:1: YAML syntax: illegal tab when looking for indentation"},
      {"seed: 'a\n", "c.yaml:2:1: YAML syntax: a quote is not closed before here"},
      {"seed: \"\\q\"\n", "c.yaml:1:10: YAML syntax: unknown escape character: q"},
      {"seed: @a\n", "c.yaml:1:7: YAML syntax: unknown token"},
      {std::string("seed: 1\nab\0c: 2\n", 16), "c.yaml:2:3: has the byte 0x00, expected YAML text"},
      {"seed: 1\x04\n", "c.yaml:1:8: has the byte 0x04, expected YAML text"},
      {"seed: \xff\n", "c.yaml:1:7: the byte 0xff is not UTF-8, expected YAML text"},
      {"run_dir: gr\xfc\xdf\n", "c.yaml:1:12: the byte 0xfc is not UTF-8, expected YAML text"},
      {"\x89PNG\r\n\x1a\n", "c.yaml:2:1: has the byte 0x1a, expected YAML text"},
      {"a: " + std::string(40, '[') + std::string(40, ']'), "c.yaml:1:35: nested deeper than 32 levels"},
      {"a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
       "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
       "c.yaml:5:8: aliases expand to more than 20000 values"},
  });
}

TEST(BadInput, HostileNesting) {
  EXPECT_TRUE(error_of("a: " + std::string(100000, '[')).ends_with(": nested deeper than 32 levels"));
  EXPECT_NE(error_of("a: " + std::string(100000, '{')), "");
  EXPECT_NE(error_of(std::string(100000, '-')), "");
}

TEST(BadInput, CommandLine) {
  expect_messages({
      {kMinimal, "command line: optimizer.lr: '-1' is out of range, expected a number > 0", {"optimizer.lr=-1"}},
      {kMinimal, "command line: optimzer: unknown key; did you mean 'optimizer'?", {"optimzer.lr=1"}},
      {kMinimal, "command line: optimizer.lrr: unknown key; did you mean 'optimizer.lr'?", {"optimizer.lrr=1"}},
      {kMinimal, "command line: lr: unknown key; did you mean 'optimizer.lr'?", {"lr=1"}},
      {kMinimal, "command line: 'epochs' is not understood, expected key.path=value", {"epochs"}},
      {kMinimal, "command line: '=3' is not understood, expected key.path=value", {"=3"}},
      {kMinimal,
       "command line: 'optimizer..lr' is no key, expected names with single dots between",
       {"optimizer..lr=3"}},
      {kMinimal, "command line: epochs: has no value, expected an integer in [1, 100000]", {"epochs="}},
      {kMinimal, "command line: epochs: YAML syntax: end of sequence flow not found", {"epochs=[1"}},
      {kMinimal, "command line: epochs: is a map, expected an integer in [1, 100000]", {"epochs.x=1"}},
      {kMinimal, "command line: defaults: files are included from a file only", {"defaults=a.yaml"}},
      {kMinimal, "command line: data.path: has no value, expected a path", {"data.path=null"}},
      {kMinimal, "command line: run_dir: the byte 0xff is not UTF-8, expected YAML text", {"run_dir=\xff"}},
      {"schedule: {name: cosine}\ndata: {limit: 1}",
       "c.yaml:2:1: data.path: is missing, expected a path",
       {"data.limit=2"}},
      {"seed: x\n" + kMinimal,
       "c.yaml:1:7: seed: 'x' is not a number, expected an integer >= 0\n"
       "command line: epochs: 'x' is not a number, expected an integer in [1, 100000]",
       {"epochs=x"}},
  });
}

TEST(BadInput, AllAtOnceInTheOrderOfTheFile) {
  EXPECT_EQ(error_of("data: {limit: x}\nsede: 1\noptimizer: {lr: -1, betas: [0.9, 0.1]}\nschedule: {warmup: -1}\n"),
            "c.yaml:1:1: data.path: is missing, expected a path\n"
            "c.yaml:1:15: data.limit: 'x' is not a number, expected an integer >= 1 or null\n"
            "c.yaml:2:1: sede: unknown key; did you mean 'seed'?\n"
            "c.yaml:3:17: optimizer.lr: '-1' is out of range, expected a number > 0\n"
            "c.yaml:4:1: schedule.name: is missing, expected cosine or constant\n"
            "c.yaml:4:20: schedule.warmup: '-1' is out of range, expected an integer >= 0");
}

TEST(BadInput, ManyProblemsAreCut) {
  std::string text = kMinimal;
  for (int i = 0; i < 80; ++i) text += "unknown_key_" + std::to_string(i) + ": 1\n";
  const std::string message = error_of(text);
  EXPECT_TRUE(message.ends_with("\nand 30 more problems")) << message;
}

}  // namespace
}  // namespace gfsa::config::example
