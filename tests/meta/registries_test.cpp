// Whatever a YAML can name is named by a test.
#include <cxxabi.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <regex>

#include "attention/filter.h"
#include "data/registry.h"
#include "meta/tree.h"
#include "models/image_model.h"
#include "models/text_model.h"
#include "optim/registry.h"
#include "tasks/registry.h"

namespace gfsa::test {
namespace {

// How a test may call an entry: by its name in quotes or as a key's value ("adamw", name: adamw), or by its type.
struct Named {
  std::string name, type;
};

template <class Base>
std::vector<Named> entries_of(const config::Registry<Base>& registry) {
  std::vector<Named> out;
  for (const auto& entry : registry.entries()) {
    int status = 0;
    char* full = abi::__cxa_demangle(entry.type.name(), nullptr, nullptr, &status);
    const std::string type = full != nullptr ? full : "";
    std::free(full);
    out.push_back({entry.name, type.substr(type.rfind(':') + 1)});
  }
  return out;
}

bool mentions(const std::string& text, const Named& entry) {
  return std::regex_search(text,
                           std::regex("\"" + entry.name + "\"|[:=] ?" + entry.name + "\\b|\\b" + entry.type + "\\b"));
}

TEST(Registries, EveryNameHasATest) {
  std::map<std::string, std::vector<Named>> entries;
  entries["attention"] = entries_of(filter_registry());
  entries["models"] = entries_of(image_model_registry());
  for (const auto& model : entries_of(text_model_registry())) entries["models"].push_back(model);
  entries["optim"] = entries_of(optimizer_registry());
  for (const auto& schedule : entries_of(schedule_registry())) entries["optim"].push_back(schedule);
  entries["data"] = entries_of(data::image_source_registry());
  for (const auto& source : entries_of(data::text_source_registry())) entries["data"].push_back(source);
  entries["tasks"] = entries_of(tasks::task_registry());

  std::map<std::string, std::string> texts;  // of the tests, by folder
  for (const auto& file : project_files("tests", {".cpp", ".h"})) {
    if (!file.starts_with("tests/meta/")) texts[file.substr(6, file.find('/', 6) - 6)] += read_source(file);
  }
  // Training tests and end-to-end tests run whole configs.
  const std::string whole = texts["train"] + texts["tasks"] + texts["e2e"];
  for (const auto& [folder, list] : entries) {
    EXPECT_FALSE(list.empty()) << folder;
    for (const auto& entry : list) {
      EXPECT_TRUE(mentions(texts[folder], entry) || mentions(whole, entry))
          << "no test below tests/" << folder << ", train, tasks or e2e names '" << entry.name << "'";
    }
  }
  EXPECT_FALSE(mentions(whole, {"no_such_name", "NoSuchType"}));
}

}  // namespace
}  // namespace gfsa::test
