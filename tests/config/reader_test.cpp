#include "config/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "config/example_config.h"
#include "config/printer.h"

namespace gfsa::config::example {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

RootConfig read(const std::string& text, const std::vector<std::string>& overrides = {}) {
  RootConfig root;
  load_text(root, text, "c.yaml", overrides);
  return root;
}

const AdamWConfig& adamw(const RootConfig& root) { return dynamic_cast<const AdamWConfig&>(*root.optimizer); }
const SgdConfig& sgd(const RootConfig& root) { return dynamic_cast<const SgdConfig&>(*root.optimizer); }

std::string load_error(const std::string& file, const std::vector<std::string>& folders = {}) {
  RootConfig root;
  try {
    load(root, file, {}, Env::real(), folders);
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), kExitBadInput);
    return error.message();
  }
  return "";
}

TEST(Reader, EveryTypeOfField) {
  const RootConfig r = read(
      "seed: 9007199254740993\ndeterministic: false\nrun_dir: runs/1e5\nepochs: 1e2\n"
      "attention: {variant: gfsa, K: 4, layers: [0, 3, 5], learn: []}\n"
      "optimizer: {lr: 1e-3, weight_decay: +0.1, betas: [.5, 1.]}\nschedule: {name: cosine, floor: 1.5e-6}\n"
      "data: {path: 12, limit: 5, note: 'null', mean: [0.1, -2]}\n");
  EXPECT_EQ(r.seed, 9007199254740993);  // more than a double holds
  EXPECT_FALSE(r.deterministic);
  EXPECT_EQ(r.run_dir, "runs/1e5");
  EXPECT_EQ(r.epochs, 100);
  EXPECT_EQ(r.attention.variant, "gfsa");
  EXPECT_EQ(r.attention.K, 4);
  EXPECT_THAT(r.attention.layers, ElementsAre("0", "3", "5"));
  EXPECT_THAT(r.attention.learn, ElementsAre());
  EXPECT_EQ(adamw(r).lr, 1e-3);
  EXPECT_EQ(adamw(r).weight_decay, 0.1);
  EXPECT_THAT(adamw(r).betas, ElementsAre(0.5, 1.0));
  EXPECT_EQ(dynamic_cast<const Cosine&>(*r.schedule.shape).floor, 1.5e-6);
  EXPECT_EQ(r.data.path, "12");
  EXPECT_EQ(r.data.limit, 5);
  EXPECT_EQ(r.data.note, "null");
  EXPECT_THAT(r.data.mean, ElementsAre(0.1, -2.0));
}

TEST(Reader, DefaultsAreTheInitialisers) {
  const RootConfig r = read(kMinimal);
  EXPECT_EQ(r.seed, 0);
  EXPECT_EQ(adamw(r).lr, 5e-4);
  EXPECT_THAT(r.attention.layers, ElementsAre("all"));
  EXPECT_FALSE(r.data.limit.has_value());
}

TEST(Reader, NullSectionIsAnEmptyOne) {
  EXPECT_EQ(read("attention:\n  # all commented out\n" + kMinimal).attention.K, 3);
}

TEST(Reader, NullUnsetsAnOptional) {
  EXPECT_FALSE(read("schedule: {name: cosine}\ndata: {path: a, limit: ~, note:}\n").data.note.has_value());
  EXPECT_EQ(read("schedule: {name: cosine}\ndata: {path: a, note: ''}\n").data.note, "");
}

TEST(Reader, ScalarForAList) {
  EXPECT_THAT(read("attention: {layers: odd}\n" + kMinimal).attention.layers, ElementsAre("odd"));
}

TEST(Reader, ShorthandSetsItsKey) {
  EXPECT_EQ(read("attention: gfsa\n" + kMinimal).attention.variant, "gfsa");
  EXPECT_EQ(sgd(read("optimizer: sgd\n" + kMinimal)).momentum, 0.9);
}

TEST(Reader, ShorthandMergesLikeItsMap) {
  const RootConfig r = read("attention: {variant: softmax, K: 5}\n" + kMinimal, {"attention=gfsa"});
  EXPECT_EQ(r.attention.variant, "gfsa");
  EXPECT_EQ(r.attention.K, 5);
  EXPECT_EQ(read("attention: gfsa\n" + kMinimal, {"attention.K=7"}).attention.variant, "gfsa");
}

TEST(Reader, VariantTakesItsOwnKeys) {
  const RootConfig r = read("optimizer: {name: sgd, lr: 0.3, nesterov: true}\n" + kMinimal);
  EXPECT_EQ(sgd(r).lr, 0.3);
  EXPECT_TRUE(sgd(r).nesterov);
}

TEST(Reader, OverrideOfAVariantDropsTheOldOnesKeys) {
  const RootConfig r =
      read("optimizer: {name: adamw, lr: 0.3, betas: [0.1, 0.2]}\n" + kMinimal, {"optimizer.name=sgd"});
  EXPECT_EQ(sgd(r).lr, 0.3);
  EXPECT_EQ(error_of("optimizer: {name: adamw, zzz: 1}\n" + kMinimal, {"optimizer.name=sgd"}),  // typos are not dropped
            "c.yaml:1:26: optimizer.zzz: unknown key, expected name, lr, momentum or nesterov");
}

TEST(Reader, LaterOverrideWins) {
  const RootConfig r = read("epochs: 20\n" + kMinimal, {"epochs=30", "data.mean=[1, 2]", "epochs=40"});
  EXPECT_EQ(r.epochs, 40);
  EXPECT_THAT(r.data.mean, ElementsAre(1.0, 2.0));
}

TEST(Reader, OverrideMaySetAWholeSection) {
  const RootConfig r = read(kMinimal, {"optimizer={name: sgd, lr: 2}", "run_dir=a=b"});
  EXPECT_EQ(sgd(r).lr, 2);
  EXPECT_EQ(r.run_dir, "a=b");
}

TEST(Reader, AliasesAreCopies) {
  const RootConfig r = read("optimizer: {betas: &b [0.1, 0.2]}\nschedule: {name: cosine}\ndata: {path: a, mean: *b}\n");
  EXPECT_THAT(r.data.mean, ElementsAre(0.1, 0.2));
}

TEST(Reader, EnvironmentVariables) {
  ::setenv("GFSA_TEST_EPOCHS", "12", 1);
  ::setenv("GFSA_TEST_EMPTY", "", 1);
  ::unsetenv("GFSA_TEST_UNSET");
  const RootConfig r = read(
      "epochs: ${env:GFSA_TEST_EPOCHS}\nrun_dir: 'a/${env:GFSA_TEST_UNSET:-b:-c}/${env:GFSA_TEST_EPOCHS}/$${x}'\n" +
      kMinimal);
  EXPECT_EQ(r.epochs, 12);
  EXPECT_EQ(r.run_dir, "a/b:-c/12/${x}");
  EXPECT_EQ(read(kMinimal, {"epochs=${env:GFSA_TEST_EPOCHS}"}).epochs, 12);
  EXPECT_EQ(error_of("epochs: ${env:GFSA_TEST_UNSET}\n" + kMinimal),
            "c.yaml:1:9: epochs: the environment variable GFSA_TEST_UNSET is not set; set it or write "
            "${env:GFSA_TEST_UNSET:-default}");
  EXPECT_EQ(error_of("epochs: ${env:GFSA_TEST_EMPTY}\n" + kMinimal),
            "c.yaml:1:9: epochs: has no value, expected an integer in [1, 100000]");
  EXPECT_EQ(error_of("run_dir: ${seed}\n" + kMinimal),
            "c.yaml:1:10: run_dir: '${seed}' is not understood, expected ${env:NAME} or ${env:NAME:-default}; a "
            "literal ${ is "
            "written $${");
  EXPECT_THAT(error_of("run_dir: ${env:A\n" + kMinimal), HasSubstr("'${env:A' is not understood"));
  EXPECT_EQ(error_of("run_dir: ${env:}\n" + kMinimal), "c.yaml:1:10: run_dir: ${env:} names no variable");
  EXPECT_THAT(error_of(kMinimal, {"epochs=${env:GFSA_TEST_UNSET}"}),
              HasSubstr("command line: epochs: the environment variable GFSA_TEST_UNSET is not set"));
}

TEST(Includes, LaterWinsAndMapsMerge) {
  TemporaryFolder folder;
  folder.write("base/a.yaml", "epochs: 1\nseed: 1\noptimizer: {lr: 0.1, weight_decay: 0.1}\n" + kMinimal);
  folder.write("base/b.yaml", "epochs: 2\nschedule: {warmup: 1}\noptimizer: {lr: 0.2}\n");
  const std::string main =
      folder.write("main.yaml", "defaults: [base/a.yaml, base/b.yaml]\noptimizer: {betas: [0.1, 0.2]}\nepochs: 3\n");
  RootConfig root;
  const Resolved resolved = load(root, main);
  EXPECT_EQ(root.epochs, 3);
  EXPECT_EQ(root.seed, 1);
  EXPECT_EQ(root.schedule.warmup, 1);
  EXPECT_EQ(adamw(root).lr, 0.2);
  EXPECT_EQ(adamw(root).weight_decay, 0.1);
  EXPECT_EQ(adamw(root).betas[1], 0.2);
  EXPECT_THAT(resolved.files, ElementsAre(main, folder.path() + "/base/a.yaml", folder.path() + "/base/b.yaml"));
  EXPECT_EQ(resolved.origins.at("optimizer.lr"), folder.path() + "/base/b.yaml:3");
  EXPECT_EQ(resolved.origins.at("epochs"), main + ":3");
}

TEST(Includes, RelativeToTheIncludingFile) {
  TemporaryFolder folder;
  folder.write("x/deep.yaml", kMinimal);
  folder.write("x/middle.yaml", "defaults: deep.yaml\n");
  RootConfig root;
  load(root, folder.write("y/main.yaml", "defaults: ../x/middle.yaml\n"));
  EXPECT_EQ(root.data.path, "/pictures");
}

TEST(Includes, AnotherChoiceDropsTheOldOnesKeys) {
  TemporaryFolder folder;
  folder.write("base.yaml", "optimizer: {betas: [0.1, 0.2], lr: 0.7}\n" + kMinimal);
  RootConfig root;
  load(root, folder.write("main.yaml", "defaults: base.yaml\noptimizer: sgd\n"));
  EXPECT_EQ(sgd(root).lr, 0.7);
}

TEST(Includes, CyclesAreNamed) {
  TemporaryFolder folder;
  const std::string a = folder.write("a.yaml", "defaults: b.yaml\n"),
                    b = folder.write("b.yaml", "seed: 1\ndefaults: [a.yaml]\n");
  EXPECT_EQ(load_error(a), b + ":2:12: defaults: the files include each other: " + a + " -> " + b + " -> " + a);
  const std::string self = folder.write("self.yaml", "defaults: ./self.yaml\n");
  EXPECT_THAT(load_error(self), HasSubstr(self + " -> " + self));
}

TEST(Includes, Problems) {
  TemporaryFolder folder;
  folder.write("broken.yaml", "a: [\n");
  folder.write("empty.yaml", "");
  const auto message = [&](const std::string& text) { return load_error(folder.write("main.yaml", text)); };
  const std::string at = folder.path() + "/";
  EXPECT_EQ(message("defaults: brokn.yaml\n"),
            at + "main.yaml:1:11: defaults: " + at + "brokn.yaml does not exist; did you mean 'broken.yaml'?");
  EXPECT_EQ(message("defaults: [empty.yaml]\n"), at + "empty.yaml: the file is empty, expected keys");
  EXPECT_EQ(message("defaults: broken.yaml\n"), at + "broken.yaml:2:1: YAML syntax: end of sequence flow not found");
  EXPECT_EQ(message("defaults: [[a]]\n" + kMinimal),
            at + "main.yaml:1:12: defaults: a list is no file name, expected a file or a list of files");
  EXPECT_EQ(message("defaults: .\n"), at + "main.yaml:1:11: defaults: " + at + ": is a folder, expected a file");
}

TEST(Includes, ExponentialFanOutIsCut) {
  TemporaryFolder folder;
  for (int i = 0; i < 12; ++i) {
    const std::string next = std::to_string(i + 1) + ".yaml";
    folder.write(std::to_string(i) + ".yaml", "defaults: [" + next + ", " + next + "]\n");
  }
  folder.write("12.yaml", kMinimal);
  EXPECT_THAT(load_error(folder.path() + "/0.yaml"), HasSubstr("more than 100 files are included"));
}

TEST(Files, LookedForAsGivenThenInTheFolders) {
  TemporaryFolder folder;
  folder.write("configs/vit.yaml", kMinimal);
  RootConfig root;
  EXPECT_EQ(load(root, "vit.yaml", {}, Env::real(), {folder.path() + "/none", folder.path() + "/configs"}).file,
            folder.path() + "/configs/vit.yaml");
  EXPECT_EQ(load_error("vti.yaml", {folder.path() + "/configs"}),
            "vti.yaml: no such file, looked for vti.yaml, " + folder.path() + "/configs/vti.yaml; did you mean '" +
                folder.path() + "/configs/vit.yaml'?");
  EXPECT_EQ(load_error(folder.path() + "/configs"), folder.path() + "/configs: is a folder, expected a file");
  EXPECT_EQ(load_error(""), "the name of the configuration file is empty");
  EXPECT_EQ(load_error(folder.write("large.yaml", std::string((1 << 20) + 1, '#'))),
            folder.path() + "/large.yaml: has 1048577 bytes, expected at most 1048576");
}

TEST(Files, ByteOrderMarkAndWindowsLineEnds) {
  EXPECT_EQ(read("\xef\xbb\xbf"
                 "epochs: 7\r\nschedule: {name: cosine}\r\ndata: {path: a}\r\n")
                .epochs,
            7);
}

}  // namespace
}  // namespace gfsa::config::example
