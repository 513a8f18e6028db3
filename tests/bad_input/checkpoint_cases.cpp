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
      {"no such run", evaluated({}, {.path = "er"}),
       "DIR/older: does not exist, expected a run directory, a checkpoint folder or a .safetensors file"},
      {"a run's empty folder",
       [](auto& d) {
         Env::real().create_directories(d + "/empty");
         tasks::TrainedModel({.path = d + "/empty"});
       },
       "DIR/empty: is no run: it has neither config.yaml nor checkpoints/; expected a run directory, a checkpoint "
       "folder or a .safetensors file"},
      {"a run without checkpoints", evaluated([](auto& run, auto&) { fs::remove_all(run + "/checkpoints"); }),
       "DIR/old: the run has written no checkpoint yet"},
      {"weights by another name", evaluated({}, {.path = "/config.yaml"}),
       "DIR/old/config.yaml: is a file, expected a run directory, a checkpoint folder or a .safetensors file"},
      {"weights without a config",
       evaluated([](auto& run, auto& c) { fs::copy(c + "/model.safetensors", run + "/tensorboard/w.safetensors"); },
                 {.path = "/tensorboard/w.safetensors"}),
       "DIR/old/tensorboard/w.safetensors: weights alone do not tell the model; give its YAML with --config"},
      {"a checkpoint without a manifest", evaluated(removed("manifest.json")),
       "DIR/old/checkpoints/step-00000001/manifest.json: cannot be read: No such file or directory"},
      {"an empty manifest", evaluated(replaced("manifest.json", "")),
       "DIR/old/checkpoints/step-00000001/manifest.json: damaged: has 0 bytes, which is no manifest"},
      {"a damaged manifest", evaluated(flipped("manifest.json", 0.5)),
       "DIR/old/checkpoints/step-00000001/manifest.json: damaged: its own checksum does not fit what it says"},
      {"a manifest that is YAML", evaluated(replaced("manifest.json", std::string(200, 'a') + ": 1\n")),
       "DIR/old/checkpoints/step-00000001/manifest.json: damaged: its own checksum does not fit what it says"},
      {"a manifest of format 99", evaluated(replaced("manifest.json", sealed_manifest("{\n  \"format\": 99,\n"))),
       "DIR/old/checkpoints/step-00000001/manifest.json: checkpoint format 99, expected 2; it was written by another "
       "version of this program"},
      {"a manifest that names another file",
       evaluated(replaced("manifest.json", sealed_manifest("{\n  \"format\": 2,\n  \"files\": {\"../../x\": "
                                                           "{\"bytes\": 1, \"xxh3_128\": \"0\"}},\n"))),
       "DIR/old/checkpoints/step-00000001/manifest.json: file '../../x' is none of a checkpoint's, expected "
       "model.safetensors, optimizer.safetensors, ema.safetensors, config.yaml, state.json, config.json or "
       "tokenizer.json"},
      {"a manifest without files",
       evaluated(replaced("manifest.json", sealed_manifest("{\n  \"format\": 2,\n  \"files\": {},\n"))),
       "DIR/old/checkpoints/step-00000001/manifest.json: lacks model.safetensors"},
      {"a checkpoint of format 1", evaluated([](auto&, auto& c) {
         fs::remove_all(c + "/manifest.json");
         write(c + "/state.json", "{\n  \"format\": 1,\n  \"step\": 1\n}\n");
       }),
       "DIR/old/checkpoints/step-00000001: was written by an older version of this program (checkpoint format 1), "
       "expected format 2; go on with that version, or start again with "
       "init_from=DIR/old/checkpoints/step-00000001/model.safetensors"},
      {"a checkpoint without weights", evaluated(removed("model.safetensors")),
       "DIR/old/checkpoints/step-00000001/model.safetensors: cannot be read: No such file or directory"},
      {"weights cut in half", evaluated(cut("model.safetensors")),
       "DIR/old/checkpoints/step-00000001/model.safetensors: damaged: has 15176 bytes, expected 30352"},
      {"a bit of a header flipped", evaluated(flipped("model.safetensors", 0.01)),
       "DIR/old/checkpoints/step-00000001/model.safetensors: header: damaged: its checksum is HASH, expected HASH"},
      {"a bit of a tensor flipped", evaluated(flipped("model.safetensors", 0.9)),
       "DIR/old/checkpoints/step-00000001/model.safetensors: tensor 'blocks.0.attn.qkv.bias': damaged: its checksum is "
       "HASH, expected HASH"},
      {"a checkpoint without state", evaluated(removed("state.json")),
       "DIR/old/checkpoints/step-00000001/state.json: cannot be read: No such file or directory"},
      {"a damaged state", evaluated(flipped("state.json", 0.5)),
       "DIR/old/checkpoints/step-00000001/state.json: damaged: its checksum is HASH, expected HASH"},
      {"a checkpoint without config", evaluated([](auto& run, auto& c) {
         fs::remove_all(c + "/config.yaml");
         fs::remove_all(run + "/config.yaml");
       }),
       "DIR/old/checkpoints/step-00000001/config.yaml: cannot be read: No such file or directory"},
      {"weights for another model", evaluated({}, {.overrides = {"model.depth=2"}}),
       "DIR/old/checkpoints/step-00000001/model.safetensors: missing tensor blocks.1.norm1.weight "
       "[8]\nDIR/old/checkpoints/step-00000001/model.safetensors: missing tensor blocks.1.norm1.bias "
       "[8]\nDIR/old/checkpoints/step-00000001/model.safetensors: missing tensor blocks.1.attn.qkv.weight [24, "
       "8]\nDIR/old/checkpoints/step-00000001/model.safetensors: missing tensor blocks.1.attn.qkv.bias "
       "[24]\nDIR/old/checkpoints/step-00000001/model.safetensors: missing tensor blocks.1.attn.proj.weight [8, "
       "8]\nDIR/old/checkpoints/step-00000001/model.safetensors: missing tensor blocks.1.attn.proj.bias "
       "[8]\nDIR/old/checkpoints/step-00000001/model.safetensors: missing tensor blocks.1.norm2.weight "
       "[8]\nDIR/old/checkpoints/step-00000001/model.safetensors: missing tensor blocks.1.norm2.bias "
       "[8]\nDIR/old/checkpoints/step-00000001/model.safetensors: missing tensor blocks.1.mlp.fc1.weight [32, "
       "8]\nDIR/old/checkpoints/step-00000001/model.safetensors: missing tensor blocks.1.mlp.fc1.bias "
       "[32]\nDIR/old/checkpoints/step-00000001/model.safetensors: missing tensor blocks.1.mlp.fc2.weight [8, "
       "32]\nDIR/old/checkpoints/step-00000001/model.safetensors: missing tensor blocks.1.mlp.fc2.bias [8]"},
      {"weights of another width", evaluated({}, {.overrides = {"model.width=4", "model.heads=1", "model.depth=1"}}),
       "DIR/old/checkpoints/step-00000001/model.safetensors: misshapen tensor blocks.0.attn.proj.bias: [8], expected "
       "[4]\nDIR/old/checkpoints/step-00000001/model.safetensors: misshapen tensor blocks.0.attn.proj.weight: [8, 8], "
       "expected [4, 4]\nDIR/old/checkpoints/step-00000001/model.safetensors: misshapen tensor blocks.0.attn.qkv.bias: "
       "[24], expected [12]\nDIR/old/checkpoints/step-00000001/model.safetensors: misshapen tensor "
       "blocks.0.attn.qkv.weight: [24, 8], expected [12, 4]\nDIR/old/checkpoints/step-00000001/model.safetensors: "
       "misshapen tensor blocks.0.mlp.fc1.bias: [32], expected "
       "[16]\nDIR/old/checkpoints/step-00000001/model.safetensors: misshapen tensor blocks.0.mlp.fc1.weight: [32, 8], "
       "expected [16, 4]\nDIR/old/checkpoints/step-00000001/model.safetensors: misshapen tensor blocks.0.mlp.fc2.bias: "
       "[8], expected [4]\nDIR/old/checkpoints/step-00000001/model.safetensors: misshapen tensor "
       "blocks.0.mlp.fc2.weight: [8, 32], expected [4, 16]\nDIR/old/checkpoints/step-00000001/model.safetensors: "
       "misshapen tensor blocks.0.norm1.bias: [8], expected [4]\nDIR/old/checkpoints/step-00000001/model.safetensors: "
       "misshapen tensor blocks.0.norm1.weight: [8], expected "
       "[4]\nDIR/old/checkpoints/step-00000001/model.safetensors: misshapen tensor blocks.0.norm2.bias: [8], expected "
       "[4]\nDIR/old/checkpoints/step-00000001/model.safetensors: misshapen tensor blocks.0.norm2.weight: [8], "
       "expected [4]\nDIR/old/checkpoints/step-00000001/model.safetensors: misshapen tensor cls_token: [1, 1, 8], "
       "expected [1, 1, 4]\nDIR/old/checkpoints/step-00000001/model.safetensors: misshapen tensor head.weight: [10, "
       "8], expected [10, 4]\nDIR/old/checkpoints/step-00000001/model.safetensors: misshapen tensor norm.bias: [8], "
       "expected [4]\nDIR/old/checkpoints/step-00000001/model.safetensors: misshapen tensor norm.weight: [8], expected "
       "[4]\nDIR/old/checkpoints/step-00000001/model.safetensors: misshapen tensor patch_embed.proj.bias: [8], "
       "expected [4]\nDIR/old/checkpoints/step-00000001/model.safetensors: misshapen tensor patch_embed.proj.weight: "
       "[8, 3, 16, 16], expected [4, 3, 16, 16]\nDIR/old/checkpoints/step-00000001/model.safetensors: misshapen tensor "
       "pos_embed: [1, 5, 8], expected [1, 5, 4]"},
      {"averages that were not kept", evaluated({}, {.ema = true}),
       "DIR/old/checkpoints/step-00000001/ema.safetensors: there are no averaged weights: the run was trained without "
       "train.ema.decay; leave out --ema"},
      {"the best of one checkpoint", evaluated({}, {.path = "/checkpoints/step-00000001", .best = true}),
       "DIR/old/checkpoints/step-00000001: --best chooses among a run's checkpoints, and this is one checkpoint"},
      {"the best, removed",
       evaluated([](auto& run, auto& c) { fs::rename(c, run + "/checkpoints/step-00000002"); }, {.best = true}),
       "DIR/old: --best: step 1 was the best, but its checkpoint is gone (checkpoint.keep_best keeps it); there is "
       "step-00000002"},
      {"going on in a folder that holds no run",
       resumed([](auto& run, auto&) { fs::remove_all(run + "/config.yaml"); }),
       "DIR/old/config.yaml: no such file, looked for DIR/old/config.yaml"},
      {"going on with another model", resumed({}, {"model.width=4", "model.heads=1", "seed=3"}),
       "--resume: DIR/old was made with another value of model.width: 8 -> 4\n--resume: DIR/old was made with another "
       "value of model.heads: 2 -> 1\n--resume: DIR/old was made with another value of seed: 0 -> 3"},
      {"going on with other data", resumed({}, {"data.train_size=9"}),
       "--resume: DIR/old was made with another value of data.train_size: 8 -> 9"},
      {"going on where all is damaged", resumed(flipped("optimizer.safetensors", 0.9)),
       "DIR/old/checkpoints: no checkpoint is whole, so the run cannot go "
       "on:\nDIR/old/checkpoints/step-00000001/optimizer.safetensors: tensor 'exp_avg_sq': damaged: its checksum is "
       "HASH, expected HASH"},
      {"going on from another version", resumed(replaced("manifest.json", sealed_manifest("{\n  \"format\": 99,\n"))),
       "DIR/old/checkpoints/step-00000001/manifest.json: checkpoint format 99, expected 2; it was written by another "
       "version of this program"},
      {"going on with a broken config", resumed([](auto& run, auto&) { write(run + "/config.yaml", "train: [\n"); }),
       "DIR/old/config.yaml:2:1: YAML syntax: end of sequence flow not found"},
      {"a run where a run is",
       [](auto& d) {
         const std::string run = old_run(d, {});
         train::RunConfig config(tasks::task_registry());
         config::load(config, run + "/config.yaml");
         config.run_dir = run;
         train::run_training(config, config::print_config(config), false);
       },
       "run_dir: DIR/old holds a run already; continue it with --resume, or name another folder with run_dir=..."},
      {"a run directory that is a file",
       [](auto& d) {
         write(d + "/file", "x");
         write(d + "/c.yaml", kBase);
         train::RunConfig config(tasks::task_registry());
         config::load(config, d + "/c.yaml");
         config.run_dir = d + "/file";
         train::run_training(config, config::print_config(config), false);
       },
       "DIR/file: cannot be created: Not a directory"},
  };
}

}  // namespace gfsa::bad_input_test
