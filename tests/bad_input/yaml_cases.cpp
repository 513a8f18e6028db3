// YAML as files and as text.
#include <unistd.h>

#include "bad_input/bad_input.h"
#include "config/reader.h"
#include "tasks/registry.h"
#include "train/run_config.h"

namespace gfsa::bad_input_test {
namespace {

// Loads folder/name as --config does.
void load(const std::string& folder, const std::string& name) {
  train::RunConfig config(tasks::task_registry());
  config::load(config, folder + "/" + name);
}

// c.yaml with these files beside it.
std::function<void(const std::string&)> with_files(std::string text,
                                                   std::vector<std::pair<std::string, std::string>> files) {
  return [text = std::move(text), files = std::move(files)](const std::string& folder) {
    for (const auto& [name, content] : files) write(folder + "/" + name, content);
    train(folder, text);
  };
}

std::string bomb() {
  std::string text = "a: &a [1,1,1,1,1,1,1,1,1]\n";
  for (char c = 'b'; c <= 'i'; ++c) {
    text += std::string{c} + ": &" + c + " [";
    for (int i = 0; i < 9; ++i) text += (i > 0 ? ",*" : "*") + std::string(1, static_cast<char>(c - 1));
    text += "]\n";
  }
  return text;
}

}  // namespace

Cases yaml_file_cases() {
  return {
      {"no such file", [](auto& d) { load(d, "vit.yaml"); }, "DIR/vit.yaml: no such file, looked for DIR/vit.yaml"},
      {"a slip in the name",
       [](auto& d) {
         write(d + "/vit_gfsa.yaml", kBase);
         load(d, "vit_gsfa.yaml");
       },
       "DIR/vit_gsfa.yaml: no such file, looked for DIR/vit_gsfa.yaml; did you mean 'DIR/vit_gfsa.yaml'?"},
      {"empty name", [](auto&) { load("", ""); }, "/: is a folder, expected a file"},
      {"a folder", [](auto& d) { load(d, "."); }, "DIR/.: is a folder, expected a file"},
      {"empty", yaml(""), "DIR/c.yaml: the file is empty, expected keys"},
      {"blank", yaml(" \n\n"), "DIR/c.yaml: the file is empty, expected keys"},
      {"comments only", yaml("# nothing\n"), "DIR/c.yaml: the file holds no keys"},
      {"a PNG", yaml(golden("images/rgb.png")), "DIR/c.yaml:2:1: has the byte 0x1a, expected YAML text"},
      {"a JPEG", yaml(golden("images/gray.jpg")), "DIR/c.yaml:1:5: has the byte 0x00, expected YAML text"},
      {"gzip", yaml(gzip(kBase)), "DIR/c.yaml:1:1: has the byte 0x1f, expected YAML text"},
      {"an ELF program", yaml(std::string("\177ELF\2\1\1\0\0\0", 10)),
       "DIR/c.yaml:1:1: has the byte 0x7f, expected YAML text"},
      {"UTF-16", yaml(std::string("\xFF\xFEs\0e\0e\0d\0", 10)),
       "DIR/c.yaml:1:4: has the byte 0x00, expected YAML text"},
      {"Latin-1", yaml(before_base("run_dir: gr\xFC\xDF\n")),
       "DIR/c.yaml:1:12: the byte 0xfc is not UTF-8, expected YAML text"},
      {"NUL", yaml(before_base(std::string("seed: 1\0\n", 9))),
       "DIR/c.yaml:1:8: has the byte 0x00, expected YAML text"},
      {"more than 1 MiB", yaml(std::string(1 << 20, '#') + "\n" + kBase),
       "DIR/c.yaml: has 1048832 bytes, expected at most 1048576"},
      {"endless", [](auto&) { load("/dev", "zero"); }, "/dev/zero: has more than the 1048576 bytes expected"},
      {"a dangling link",
       [](auto& d) {
         if (::symlink("nowhere", (d + "/link.yaml").c_str()) == 0) load(d, "link.yaml");
       },
       "DIR/link.yaml: is a link to nowhere, which cannot be read"},
      {"a link to itself",
       [](auto& d) {
         if (::symlink("link.yaml", (d + "/link.yaml").c_str()) == 0) load(d, "link.yaml");
       },
       "DIR/link.yaml: is a link to link.yaml, which cannot be read"},
      {"a file as folder",
       [](auto& d) {
         write(d + "/a.yaml", kBase);
         load(d, "a.yaml/b.yaml");
       },
       "DIR/a.yaml/b.yaml: no such file, looked for DIR/a.yaml/b.yaml"},
      {"includes itself", with_files("defaults: c.yaml\n", {}),
       "DIR/c.yaml:1:11: defaults: the files include each other: DIR/c.yaml -> DIR/c.yaml"},
      {"a cycle of two", with_files("defaults: a.yaml\n", {{"a.yaml", "defaults: [c.yaml]\nseed: 1\n"}}),
       "DIR/a.yaml:1:12: defaults: the files include each other: DIR/c.yaml -> DIR/a.yaml -> DIR/c.yaml"},
      {"a cycle of three",
       with_files("defaults: a.yaml\n", {{"a.yaml", "defaults: b.yaml\n"}, {"b.yaml", "defaults: ./a.yaml\n"}}),
       "DIR/b.yaml:1:11: defaults: the files include each other: DIR/a.yaml -> DIR/b.yaml -> DIR/a.yaml"},
      {"include that is not there", with_files("defaults: [base.yaml, bse.yaml]\n", {{"base.yaml", kBase}}),
       "DIR/c.yaml:1:23: defaults: DIR/bse.yaml does not exist; did you mean 'base.yaml'?"},
      {"include of a folder", with_files("defaults: .\n", {}),
       "DIR/c.yaml:1:11: defaults: DIR/: is a folder, expected a file"},
      {"include of a list", with_files("defaults: [[a.yaml]]\n", {}),
       "DIR/c.yaml:1:12: defaults: a list is no file name, expected a file or a list of files"},
      {"include of nothing", with_files("defaults:\n", {}),
       "DIR/c.yaml:1:1: defaults: null is no file name, expected a file or a list of files"},
      {"broken include", with_files("defaults: a.yaml\n", {{"a.yaml", "seed: [1\n"}}),
       "DIR/a.yaml:2:1: YAML syntax: end of sequence flow not found"},
      {"wrong value in an include", with_files("defaults: a.yaml\n", {{"a.yaml", before_base("seed: -1\n")}}),
       "DIR/a.yaml:1:7: seed: '-1' is out of range, expected an integer >= 0"},
      {"include not at the top", with_files(base_with("train", "train: {steps: 1, defaults: a.yaml}"), {}),
       "DIR/c.yaml:7:19: train.defaults: files are included at the top of a file only"},
      {"includes that double",
       [](auto& d) {
         for (int i = 0; i < 20; ++i) {
           write(fmt::format("{}/{}.yaml", d, i), fmt::format("defaults: [{0}.yaml, {0}.yaml]\n", i + 1));
         }
         write(d + "/20.yaml", kBase);
         load(d, "0.yaml");
       },
       "DIR/18.yaml:1:21: defaults: more than 100 files are included"},
      {"include of an endless file", with_files("defaults: /dev/zero\n", {}),
       "DIR/c.yaml:1:11: defaults: /dev/zero: has more than the 1048576 bytes expected"},
      {"environment variable that is not set", yaml(before_base("run_dir: ${env:GFSA_NOT_SET}\n")),
       "DIR/c.yaml:1:10: run_dir: the environment variable GFSA_NOT_SET is not set; set it or write "
       "${env:GFSA_NOT_SET:-default}"},
      {"environment variable half written", yaml(before_base("run_dir: ${env:HOME\n")),
       "DIR/c.yaml:1:10: run_dir: '${env:HOME' is not understood, expected ${env:NAME} or ${env:NAME:-default}; a "
       "literal ${ is written $${"},
      {"a substitution of another kind", yaml(before_base("run_dir: ${oc.env:HOME}\n")),
       "DIR/c.yaml:1:10: run_dir: '${oc.env:HOME}' is not understood, expected ${env:NAME} or ${env:NAME:-default}; a "
       "literal ${ is written $${"},
      {"environment variable without a name", yaml(before_base("run_dir: ${env:}\n")),
       "DIR/c.yaml:1:10: run_dir: ${env:} names no variable"},
  };
}

Cases yaml_syntax_cases() {
  return {
      {"a list at the top", yaml("- a\n"), "DIR/c.yaml:1:1: a list stands at the top, expected a map of keys"},
      {"a text at the top", yaml("hello"), "DIR/c.yaml:1:1: 'hello' stands at the top, expected a map of keys"},
      {"open list", yaml("train: [1, 2\n"), "DIR/c.yaml:2:1: YAML syntax: end of sequence flow not found"},
      {"open map", yaml("train: {steps: 1\n"), "DIR/c.yaml:2:1: YAML syntax: end of map flow not found"},
      {"open quote", yaml("run_dir: 'a\n"), "DIR/c.yaml:2:1: YAML syntax: a quote is not closed before here"},
      {"two colons", yaml("seed: 1: 2\n"), "DIR/c.yaml:1:8: YAML syntax: illegal map value"},
      {"tab", yaml("train:\n\tsteps: 1\n"), "DIR/c.yaml:2:7: YAML syntax: illegal map value"},
      {"bad indentation", yaml("train:\n  steps: 1\n   batch_size: 2\n"),
       "DIR/c.yaml:3:14: YAML syntax: illegal map value"},
      {"unknown escape", yaml("run_dir: \"\\q\"\n"), "DIR/c.yaml:1:13: YAML syntax: unknown escape character: q"},
      {"reserved character", yaml("run_dir: @a\n"), "DIR/c.yaml:1:10: YAML syntax: unknown token"},
      {"anchor that is not defined", yaml("seed: *s\n"),
       "DIR/c.yaml:1:7: YAML syntax: the referenced anchor is not defined"},
      {"alias inside its anchor", yaml("train: &x [*x]\n"), "DIR/c.yaml:1:12: the alias stands inside its own anchor"},
      {"anchor without a value", yaml("seed: &\n"), "DIR/c.yaml:1:8: YAML syntax: anchor not found after &"},
      {"two anchors", yaml("seed: &a &b 1\n"),
       "DIR/c.yaml:1:10: YAML syntax: cannot assign multiple anchors to the same node"},
      {"merge key", yaml(before_base("<<: {seed: 1}\n")),
       "DIR/c.yaml:1:1: <<: YAML's merge key is not supported, expected `defaults:` with a file to include"},
      {"a tag", yaml(before_base("seed: !!python/object/apply:os.system [ls]\n")),
       "DIR/c.yaml:1:7: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not supported"},
      {"a tag of a scalar", yaml(before_base("seed: !!int 1\n")),
       "DIR/c.yaml:1:7: the tag 'tag:yaml.org,2002:int' is not supported"},
      {"two documents", yaml("seed: 1\n---\nseed: 2\n"), "DIR/c.yaml:2:1: a second document begins here, expected one"},
      {"a directive", yaml("%TAG ! tag:example.com,2000:\n---\nseed: !a 1\n"),
       "DIR/c.yaml:3:7: the tag 'tag:example.com,2000:a' is not supported"},
      {"a list as key", yaml("? [a]\n: 1\n"), "DIR/c.yaml:1:3: a list stands where a key is expected"},
      {"null as key", yaml("~: 1\n"), "DIR/c.yaml:1:1: null stands where a key is expected"},
      {"key twice", yaml(before_base("seed: 1\nseed: 2\n")),
       "DIR/c.yaml:2:1: seed: the key is given twice, first in line 1"},
      {"key twice in a section", yaml(before_base("checkpoint: {keep_last: 1, keep_last: 2}\n")),
       "DIR/c.yaml:1:28: checkpoint.keep_last: the key is given twice, first in line 1"},
      {"section twice", yaml(before_base("train: {epochs: 1}\n")),
       "DIR/c.yaml:8:1: train: the key is given twice, first in line 1"},
      {"nested deeply", yaml("a: " + std::string(100000, '[') + std::string(100000, ']')),
       "DIR/c.yaml:1:35: nested deeper than 32 levels"},
      {"maps nested deeply", yaml("a: " + std::string(5000, '{')), "DIR/c.yaml:1:35: nested deeper than 32 levels"},
      {"a billion laughs", yaml(bomb()), "DIR/c.yaml:5:11: aliases expand to more than 20000 values"},
      {"many values", yaml("a: [" + std::string(60000, ',') + "]\n"), "DIR/c.yaml:1:20004: more than 20000 values"},
      {"a control character", yaml("seed: 1\x04\n"), "DIR/c.yaml:1:8: has the byte 0x04, expected YAML text"},
  };
}

}  // namespace gfsa::bad_input_test
