// train_program.h -- gfsa-train as a child process, with a model so small that a step takes milliseconds.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/env.h"
#include "formats/tensor_file.h"
#include "support/process.h"
#include "train/checkpoint/store.h"
#include "train/metrics.h"

namespace gfsa {

// Everything that could disturb exact resume is on: 15 batches an epoch in steps of 2, so that the last has one.
constexpr const char* kTinyConfig = R"(
task: image_classification
model: {name: vit, width: 16, heads: 2, depth: 2, patch: 8, image_size: 32, drop_path: 0.2, dropout: 0.1}
attention: gfsa
data: {source: procedural, train_size: 120, val_size: 40}
augment: {mixup: 0.8, cutmix: 1.0, repeated: 3, label_smoothing: 0.1, policy: rand-m9-mstd0.5-inc1, erasing: 0.25}
optimizer: {name: adamw, lr: 1e-3}
schedule: {name: cosine, warmup_steps: 4}
train: {epochs: 3, batch_size: 8, accumulate: 2, log_every: 1, clip_norm: 1.0, ema: {decay: 0.9}}
eval: {ema: true}
threads: 1
)";

class TrainProgramTest : public testing::Test {
 protected:
  TrainProgramTest() { Env::real().write(folder_ / "tiny.yaml", kTinyConfig); }

  // GFSA_PROGRAMS: the folder of the program to test, if it is not the one built beside.
  std::vector<std::string> command(std::vector<std::string> arguments) const {
    const char* programs = std::getenv("GFSA_PROGRAMS");
    arguments.insert(arguments.begin(), std::string(programs != nullptr ? programs : GFSA_BINARY_DIR) + "/gfsa-train");
    return arguments;
  }
  // In the test's own folder, logging whatever the tester's environment says.
  test::ProcessOptions options() const { return {.folder = folder_.path(), .environment = {{"GFSA_LOG", "info"}}}; }
  // Waits for the end.
  test::ProcessResult train(const std::vector<std::string>& arguments) const {
    return test::run_process(command(arguments), options());
  }
  std::string read(const std::string& file) const { return Env::real().read(folder_ / file); }
  bool exists(const std::string& file) const { return Env::real().exists(folder_ / file); }

  // metrics.jsonl without what depends on the machine.
  std::vector<std::string> metrics(const std::string& run) const {
    std::vector<std::string> lines;
    for (auto row : train::read_metrics(Env::real(), folder_ / run)) {
      std::erase_if(row.figures, [](const auto& f) {
        return f.first == "samples_per_second" || f.first == "data_wait" || f.first == "memory_mib";
      });
      lines.push_back(train::to_json(row));
    }
    return lines;
  }
  // Names and bytes of all tensors of the newest checkpoint.
  std::vector<std::string> tensors(const std::string& run) const {
    std::vector<std::string> out;
    const auto newest = train::CheckpointStore(Env::real(), folder_ / run).latest();
    for (const char* file : {"model", "ema", "optimizer"}) {
      for (const auto& [name, t] : read_tensors(newest + "/" + file + ".safetensors")) {
        out.push_back(name + " " + std::string(static_cast<const char*>(t.raw()), t.bytes()));
      }
    }
    return out;
  }

  test::TemporaryFolder folder_;
};

}  // namespace gfsa
