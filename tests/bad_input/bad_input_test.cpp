// Every broken input of the table: the exact message, exit code 2, nothing left behind.
#include "bad_input/bad_input.h"

#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "base/env.h"
#include "base/error.h"
#include "config/printer.h"
#include "config/reader.h"
#include "support/temporary_folder.h"
#include "tasks/registry.h"
#include "train/session.h"
#include "train/trainer.h"

namespace gfsa::bad_input_test {

const char* const kBase =
    "model: {width: 8, heads: 2, depth: 1, patch: 16, image_size: 32}\n"
    "attention: softmax\n"
    "data: {source: procedural, train_size: 8, val_size: 4, workers: 0}\n"
    "augment: {flip: 0}\n"
    "optimizer: {lr: 1e-3}\n"
    "schedule: constant\n"
    "train: {steps: 1, batch_size: 4}\n"
    "threads: 1\n";

std::string before_base(const std::string& lines) { return lines + kBase; }

std::string base_with(const std::string& section, const std::string& line) {
  std::string out = kBase;
  const size_t begin = out.find(section + ":");
  if (begin == std::string::npos) fail("no section {}", section);
  return out.replace(begin, out.find('\n', begin) - begin, line);
}

namespace {

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// Checksums of what a run writes: weights depend on the machine, states hold the time.
std::string without_hashes(const std::string& text) {
  static const std::regex hash("(is|expected|content) ([0-9a-f]{32}|[0-9a-f]{16})\\b");
  return std::regex_replace(text, hash, "$1 HASH");
}

// As it would stand in the source.
std::string literal(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    out += c == '\n'               ? "\\n"
           : c == '"' || c == '\\' ? std::string{'\\', c}
           : u < 32                ? fmt::format("\\{:03o}", u)
                                   : std::string{c};
  }
  return out;
}

void expect_refused(const Cases& cases) {
  for (const Case& c : cases) {
    const test::TemporaryFolder folder;
    std::string got = "(no error)";
    try {
      c.use(folder.path());
    } catch (const Error& e) {
      got = without_hashes(replaced(e.message(), folder.path(), "DIR"));
      EXPECT_EQ(e.exit_code(), kExitBadInput) << c.name << ": " << got;
    } catch (const std::exception& e) {
      got = std::string("(not an Error) ") + e.what();
    }
    EXPECT_FALSE(Env::real().exists(folder / "run")) << c.name << ": the run directory was made";
    if (got != c.message)
      ADD_FAILURE() << c.name << "\nsays:     \"" << literal(got) << "\"\nexpected: \"" << literal(c.message) << '"';
  }
}

TEST(BadInputTable, YamlFiles) { expect_refused(yaml_file_cases()); }
TEST(BadInputTable, YamlSyntax) { expect_refused(yaml_syntax_cases()); }
TEST(BadInputTable, Values) { expect_refused(value_cases()); }
TEST(BadInputTable, Models) { expect_refused(model_cases()); }
TEST(BadInputTable, Pictures) { expect_refused(picture_cases()); }
TEST(BadInputTable, Archives) { expect_refused(archive_cases()); }
TEST(BadInputTable, Safetensors) { expect_refused(safetensors_cases()); }
TEST(BadInputTable, Weights) { expect_refused(weight_cases()); }
TEST(BadInputTable, DataSets) { expect_refused(data_set_cases()); }
TEST(BadInputTable, Checkpoints) { expect_refused(checkpoint_cases()); }
TEST(BadInputTable, Texts) { expect_refused(text_cases()); }

TEST(BadInputTable, IsLong) {
  std::set<std::string> names;
  for (const auto& table :
       {yaml_file_cases(), yaml_syntax_cases(), value_cases(), model_cases(), picture_cases(), archive_cases(),
        safetensors_cases(), weight_cases(), data_set_cases(), checkpoint_cases(), text_cases()}) {
    for (const Case& c : table) EXPECT_TRUE(names.insert(c.name).second) << c.name << " stands twice";
  }
  EXPECT_GE(names.size(), 300u);
}

TEST(BadInputTable, TheBaseTrains) {
  const test::TemporaryFolder folder;
  EXPECT_NO_THROW(train(folder.path(), kBase));
  EXPECT_TRUE(Env::real().exists(folder / "run/summary.md"));
}

TEST(OddInput, OddPicturesWork) {
  for (const GoodCase& c : good_picture_cases()) {
    const test::TemporaryFolder folder;
    EXPECT_NO_THROW(c.use(folder.path())) << c.name;
  }
}

}  // namespace

void train(const std::string& folder, const std::string& text, const std::vector<std::string>& overrides) {
  write(folder + "/c.yaml", replaced(text, "DIR", folder));
  std::vector<std::string> words;
  for (const auto& word : overrides) words.push_back(replaced(word, "DIR", folder));
  train::RunConfig config(tasks::task_registry());
  const auto resolved = config::load(config, folder + "/c.yaml", words);
  config.run_dir = folder + "/run";
  train::apply_machine_settings(config, resolved);
  train::run_training(config, config::print_config(config), false);
}

std::function<void(const std::string&)> yaml(std::string text, std::vector<std::string> overrides) {
  return [text = std::move(text), overrides = std::move(overrides)](const std::string& folder) {
    train(folder, text, overrides);
  };
}

}  // namespace gfsa::bad_input_test
