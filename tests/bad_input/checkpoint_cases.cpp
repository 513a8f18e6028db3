// Checkpoints and run directories: damaged, of another version, of another model; as gfsa-eval and --resume read them.
#include <cmath>
#include <filesystem>

#include "bad_input/bad_input.h"
#include "base/env.h"
#include "config/printer.h"
#include "config/reader.h"
#include "formats/checksum.h"
#include "support/temporary_folder.h"
#include "tasks/registry.h"
#include "tasks/trained_model.h"
#include "train/trainer.h"

namespace gfsa::bad_input_test {
namespace {

namespace fs = std::filesystem;

using Damage = std::function<void(const std::string& run, const std::string& checkpoint)>;

// DIR/old, a run of one step that was damaged.
std::string old_run(const std::string& folder, const Damage& damage) {
  static const test::TemporaryFolder whole;
  if (!Env::real().exists(whole / "run")) train(whole.path(), kBase);
  fs::copy(whole / "run", folder + "/old", fs::copy_options::recursive);
  if (damage) damage(folder + "/old", folder + "/old/checkpoints/step-00000001");
  return folder + "/old";
}

std::function<void(const std::string&)> evaluated(Damage damage, tasks::ModelChoice choice = {}) {
  return [damage = std::move(damage), choice = std::move(choice)](const std::string& folder) {
    tasks::ModelChoice c = choice;
    c.path = old_run(folder, damage) + choice.path;
    tasks::TrainedModel trained(c);
  };
}

std::function<void(const std::string&)> resumed(Damage damage, std::vector<std::string> overrides = {}) {
  return [damage = std::move(damage), overrides = std::move(overrides)](const std::string& folder) {
    const std::string run = old_run(folder, damage);
    train::RunConfig config(tasks::task_registry());
    config::load(config, run + "/config.yaml", overrides);
    config.run_dir = run;
    train::run_training(config, config::print_config(config), true);
  };
}

// Of one file of the checkpoint.
Damage removed(std::string file) {
  return [file = std::move(file)](const auto&, const auto& c) { fs::remove_all(c + "/" + file); };
}
Damage replaced(std::string file, std::string content) {
  return [file = std::move(file), content = std::move(content)](const auto&, const auto& c) {
    write(c + "/" + file, content);
  };
}
Damage flipped(std::string file, double where) {
  return [file = std::move(file), where](const auto&, const auto& c) {
    std::string bytes = Env::real().read(c + "/" + file);
    bytes[static_cast<size_t>(where * static_cast<double>(bytes.size() - 1))] ^= 4;
    write(c + "/" + file, bytes);
  };
}
Damage cut(std::string file) {
  return [file = std::move(file)](const auto&, const auto& c) {
    fs::resize_file(c + "/" + file, fs::file_size(c + "/" + file) / 2);
  };
}

std::string sealed_manifest(const std::string& start) {
  return start + "  \"manifest\": \"" + checksum128(start) + "\"\n}\n";
}

}  // namespace

Cases checkpoint_cases() {
  return {
      {"no such run", evaluated({}, {.path = "er"}), "?"},
      {"a run's empty folder",
       [](auto& d) {
         Env::real().create_directories(d + "/empty");
         tasks::TrainedModel({.path = d + "/empty"});
       },
       "?"},
      {"a run without checkpoints", evaluated([](auto& run, auto&) { fs::remove_all(run + "/checkpoints"); }), "?"},
      {"weights by another name", evaluated({}, {.path = "/config.yaml"}), "?"},
      {"weights without a config",
       evaluated([](auto& run, auto& c) { fs::copy(c + "/model.safetensors", run + "/tensorboard/w.safetensors"); },
                 {.path = "/tensorboard/w.safetensors"}),
       "?"},
      {"a checkpoint without a manifest", evaluated(removed("manifest.json")), "?"},
      {"an empty manifest", evaluated(replaced("manifest.json", "")), "?"},
      {"a damaged manifest", evaluated(flipped("manifest.json", 0.5)), "?"},
      {"a manifest that is YAML", evaluated(replaced("manifest.json", std::string(200, 'a') + ": 1\n")), "?"},
      {"a manifest of format 99", evaluated(replaced("manifest.json", sealed_manifest("{\n  \"format\": 99,\n"))), "?"},
      {"a manifest that names another file",
       evaluated(replaced("manifest.json", sealed_manifest("{\n  \"format\": 2,\n  \"files\": {\"../../x\": "
                                                           "{\"bytes\": 1, \"xxh3_128\": \"0\"}},\n"))),
       "?"},
      {"a manifest without files",
       evaluated(replaced("manifest.json", sealed_manifest("{\n  \"format\": 2,\n  \"files\": {},\n"))), "?"},
      {"a checkpoint of format 1", evaluated([](auto&, auto& c) {
         fs::remove_all(c + "/manifest.json");
         write(c + "/state.json", "{\n  \"format\": 1,\n  \"step\": 1\n}\n");
       }),
       "?"},
      {"a checkpoint without weights", evaluated(removed("model.safetensors")), "?"},
      {"weights cut in half", evaluated(cut("model.safetensors")), "?"},
      {"a bit of a header flipped", evaluated(flipped("model.safetensors", 0.01)), "?"},
      {"a bit of a tensor flipped", evaluated(flipped("model.safetensors", 0.9)), "?"},
      {"a checkpoint without state", evaluated(removed("state.json")), "?"},
      {"a damaged state", evaluated(flipped("state.json", 0.5)), "?"},
      {"a checkpoint without config", evaluated([](auto& run, auto& c) {
         fs::remove_all(c + "/config.yaml");
         fs::remove_all(run + "/config.yaml");
       }),
       "?"},
      {"weights for another model", evaluated({}, {.overrides = {"model.depth=2"}}), "?"},
      {"weights of another width", evaluated({}, {.overrides = {"model.width=4", "model.heads=1", "model.depth=1"}}),
       "?"},
      {"averages that were not kept", evaluated({}, {.ema = true}), "?"},
      {"the best of one checkpoint", evaluated({}, {.path = "/checkpoints/step-00000001", .best = true}), "?"},
      {"the best, removed",
       evaluated([](auto& run, auto& c) { fs::rename(c, run + "/checkpoints/step-00000002"); }, {.best = true}), "?"},
      {"going on in a folder that holds no run",
       resumed([](auto& run, auto&) { fs::remove_all(run + "/config.yaml"); }), "?"},
      {"going on with another model", resumed({}, {"model.width=4", "model.heads=1", "seed=3"}), "?"},
      {"going on with other data", resumed({}, {"data.train_size=9"}), "?"},
      {"going on where all is damaged", resumed(flipped("optimizer.safetensors", 0.9)), "?"},
      {"going on from another version", resumed(replaced("manifest.json", sealed_manifest("{\n  \"format\": 99,\n"))),
       "?"},
      {"going on with a broken config", resumed([](auto& run, auto&) { write(run + "/config.yaml", "train: [\n"); }),
       "?"},
      {"a run where a run is",
       [](auto& d) {
         const std::string run = old_run(d, {});
         train::RunConfig config(tasks::task_registry());
         config::load(config, run + "/config.yaml");
         config.run_dir = run;
         train::run_training(config, config::print_config(config), false);
       },
       "?"},
      {"a run directory that is a file",
       [](auto& d) {
         write(d + "/file", "x");
         write(d + "/c.yaml", kBase);
         train::RunConfig config(tasks::task_registry());
         config::load(config, d + "/c.yaml");
         config.run_dir = d + "/file";
         train::run_training(config, config::print_config(config), false);
       },
       "?"},
  };
}

}  // namespace gfsa::bad_input_test
