// example_config.h -- a small configuration of the shape of the real ones, for the tests of this layer.
#pragma once

#include <array>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/error.h"
#include "config/reader.h"
#include "config/registry.h"
#include "config/schema.h"

namespace gfsa::config::example {

struct OptimizerConfig {
  virtual ~OptimizerConfig() = default;
  virtual void describe(Schema& s) = 0;
};

struct AdamWConfig : OptimizerConfig {
  double lr = 5e-4, weight_decay = 0.05;
  std::array<double, 2> betas{0.9, 0.999};
  void describe(Schema& s) override {
    s.field("lr", lr).positive().resume_may_change().doc("Peak learning rate.").source("DeiT, table 9");
    s.field("weight_decay", weight_decay).at_least(0).unit("per step, times lr").doc("Decoupled decay.");
    s.field("betas", betas).each_in(0, 1).doc("Decay of the moments.");
    s.check(betas[0] < betas[1], "betas", "the first must be smaller than the second");
  }
};

struct SgdConfig : OptimizerConfig {
  double lr = 0.1, momentum = 0.9;
  bool nesterov = false;
  void describe(Schema& s) override {
    s.field("lr", lr).positive().resume_may_change().doc("Peak learning rate.");
    s.field("momentum", momentum).at_least(0).below(1).doc("Share of the old step.");
    s.field("nesterov", nesterov).doc("Look ahead.");
  }
};

inline const Registry<OptimizerConfig>& optimizer_registry() {
  static const auto registry = [] {
    Registry<OptimizerConfig> r("optimizer");
    r.add<AdamWConfig>("adamw", "Adam with decoupled decay.");
    r.add<SgdConfig>("sgd", "Stochastic gradient descent.");
    return r;
  }();
  return registry;
}

struct AttentionConfig {
  std::string variant = "softmax";
  int K = 3;
  std::vector<std::string> layers{"all"}, learn{"wK"};
  void describe(Schema& s) {
    s.shorthand("variant");
    s.field("variant", variant).choices({"softmax", "gfsa"}).doc("Which filter.");
    s.field("K", K).in(2, 16).doc("Highest power.");
    s.field("layers", layers).scalar_or_list().doc("all, even, odd or a list of indices");
    s.field("learn", learn).choices({"w0", "w1", "wK"}).doc("Learned coefficients.");
  }
};

struct DataConfig {
  std::string path;
  std::optional<int64_t> limit;
  std::optional<std::string> note;
  std::vector<double> mean{0.5};
  void describe(Schema& s) {
    s.field("path", path).required().path().doc("Where the pictures are.");
    s.field("limit", limit).at_least(1).unit("samples").doc("Take only the first.");
    s.field("note", note).doc("Free text.");
    s.field("mean", mean).not_empty().doc("Subtracted, per channel.");
  }
};

struct ScheduleBase {
  virtual ~ScheduleBase() = default;
  virtual void describe(Schema& s) = 0;
};
struct Cosine : ScheduleBase {
  double floor = 0;
  void describe(Schema& s) override { s.field("floor", floor).at_least(0).doc("Lowest rate."); }
};
struct Constant : ScheduleBase {
  void describe(Schema&) override {}
};
inline const Registry<ScheduleBase>& schedule_registry() {
  static const auto registry = [] {
    Registry<ScheduleBase> r("schedule");
    r.add<Cosine>("cosine", "Half a cosine.");
    r.add<Constant>("constant", "Flat.");
    return r;
  }();
  return registry;
}

// A variant without a default, beside a key of the section's own.
struct ScheduleConfig {
  std::unique_ptr<ScheduleBase> shape;
  int warmup = 5;
  void describe(Schema& s) {
    s.variant("name", shape, schedule_registry(), "Course of the rate.");
    s.field("warmup", warmup).at_least(0).unit("epochs").doc("Linear rise.");
  }
};

struct RootConfig {
  int64_t seed = 0;
  bool deterministic = true;
  std::string run_dir = "runs/a";
  int epochs = 10;
  AttentionConfig attention;
  std::unique_ptr<OptimizerConfig> optimizer = std::make_unique<AdamWConfig>();
  ScheduleConfig schedule;
  DataConfig data;
  void describe(Schema& s) {
    s.field("seed", seed).at_least(0).doc("Of every random number.");
    s.field("deterministic", deterministic).doc("Bit for bit.");
    s.field("run_dir", run_dir).not_empty().doc("Output.");
    s.field("epochs", epochs).at_least(1).at_most(100000).resume_may_change().doc("Passes over the data.");
    s.section("attention", attention, "The attention of every block.");
    s.section("optimizer", optimizer, optimizer_registry(), "How weights move.");
    s.section("schedule", schedule, "How the rate moves.");
    s.section("data", data, "What is learned from.");
    s.check(schedule.warmup <= epochs, "schedule.warmup", "must not be longer than epochs");
  }
};

// The least that a valid text holds; line numbers in a text that ends with it do not move.
inline const std::string kMinimal = "schedule: {name: cosine}\ndata: {path: /pictures}\n";

// The error's message; "" if the text loads.
inline std::string error_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  RootConfig root;
  try {
    load_text(root, text, "c.yaml", overrides);
  } catch (const Error& error) {
    return error.exit_code() == kExitBadInput ? error.message() : "wrong exit code: " + error.message();
  }
  return "";
}

// A folder that is gone at the end of the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "gfsa_config_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) fail("no temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ec;
    std::filesystem::remove_all(path_, ec);
  }
  std::string write(const std::string& name, const std::string& content) const {
    const std::string full = path_ + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(full).parent_path());
    Env::real().write(full, content);
    return full;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace gfsa::config::example
