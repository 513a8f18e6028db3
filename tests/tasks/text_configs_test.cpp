// Every configuration below configs/text loads, and twins differ in their attention alone.
#include <gmock/gmock.h>

#include <map>

#include "config/printer.h"
#include "config/reader.h"
#include "tasks/registry.h"
#include "train/run_config.h"

namespace gfsa::tasks {
namespace {

const std::string kFolder = GFSA_SOURCE_DIR "/configs/text/";

std::map<std::string, std::string> values_of(const std::string& file) {
  train::RunConfig config(task_registry());
  config::load(config, file, {}, Env::real());
  std::map<std::string, std::string> values;
  for (const auto& value : config::config_values(config)) values[value.path] = value.text;
  return values;
}

std::vector<std::string> files() {
  std::vector<std::string> out;
  for (const char* folder : {"glue", "clm", "small"}) {
    for (const auto& name : Env::real().list(kFolder + folder)) {
      if (name == "glue.yaml" || name == "minilm.yaml") continue;  // what others include
      out.push_back(std::string(folder) + "/" + name);
    }
  }
  return out;
}

TEST(TextConfigs, AllLoad) {
  const auto all = files();
  // Three encoders on nine tasks and GPT-2 on three corpora, each with GFSA in all layers and in even ones; small ones.
  EXPECT_GE(all.size(), (3u * 9 + 3) * 3 + 18);
  for (const auto& file : all) EXPECT_NO_THROW(values_of(kFolder + file)) << file;
}

TEST(TextConfigs, TwinsDifferInTheirAttentionAlone) {
  int twins = 0;
  for (const auto& file : files()) {
    const size_t at = file.find("_gfsa");
    if (at == std::string::npos) continue;
    const auto gfsa = values_of(kFolder + file), base = values_of(kFolder + file.substr(0, at) + ".yaml");
    EXPECT_EQ(gfsa.at("attention.variant"), "gfsa") << file;
    EXPECT_EQ(base.at("attention.variant"), "softmax") << file;
    EXPECT_EQ(gfsa.at("attention.layers"), file.ends_with("_even.yaml") ? "even" : "all") << file;
    for (const auto& [path, text] : base) {
      if (path.starts_with("attention.") && !path.starts_with("attention.dropout")) continue;
      EXPECT_EQ(gfsa.at(path), text) << file << ": " << path;
    }
    ++twins;
  }
  EXPECT_GE(twins, 60 + 9);
}

// K and w0 of the scripts of the reference code.
TEST(TextConfigs, PublishedCoefficients) {
  const std::map<std::string, std::pair<std::string, std::string>> published{
      {"glue/bert_cola_gfsa", {"4", "-0.01"}},    {"glue/albert_cola_gfsa", {"10", "0.05"}},
      {"glue/roberta_cola_gfsa", {"6", "-0.05"}}, {"clm/gpt2_ptb_gfsa", {"7", "0"}},
      {"clm/gpt2_wikitext2_gfsa", {"9", "0"}},    {"clm/gpt2_wikitext103_gfsa", {"3", "0"}}};
  for (const auto& [name, k_w0] : published) {
    const auto values = values_of(kFolder + name + ".yaml");
    EXPECT_EQ(values.at("attention.K"), k_w0.first) << name;
    EXPECT_EQ(values.at("attention.w0"), k_w0.second) << name;
    EXPECT_EQ(values.at("attention.dropout_order"), "dropout_first") << name;
  }
}

}  // namespace
}  // namespace gfsa::tasks
