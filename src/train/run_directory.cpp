#include "train/run_directory.h"

#include <sys/utsname.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "base/threads.h"
#include "core/device.h"
#include "train/run_lock.h"
#include "train/version.h"

namespace gfsa::train {
namespace {

using nlohmann::ordered_json;

// The environment.json of a run that goes on; an empty object if it cannot be read.
ordered_json earlier_environment(Env& env, const std::string& file) {
  if (!env.exists(file)) return ordered_json::object();
  auto j = ordered_json::parse(env.read(file), nullptr, false);
  return j.is_object() ? j : ordered_json::object();
}

}  // namespace

RunDirectory::RunDirectory(Env& env, std::string path) : env_(env), path_(std::move(path)) {}

bool RunDirectory::holds_run() const {
  return env_.exists(path_ + "/config.yaml") || env_.exists(path_ + "/metrics.jsonl") ||
         env_.exists(path_ + "/checkpoints");
}

void RunDirectory::require_fresh() const {
  if (!holds_run()) return;
  if (const std::string holder = RunLock::live_holder(path_); !holder.empty()) {
    bad_input("run_dir: {} holds a run already, and {} is at work on it; name another folder with run_dir=...", path_,
              holder);
  }
  bad_input("run_dir: {} holds a run already; continue it with --resume, or name another folder with run_dir=...",
            path_);
}

void RunDirectory::require_run() const {
  if (env_.exists(path_ + "/config.yaml")) return;
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(path_).lexically_normal();
  const std::string parent = folder.has_parent_path() ? folder.parent_path().string() : ".";
  std::string hint;
  if (env_.is_directory(parent)) hint = did_you_mean(folder.filename().string(), env_.list(parent));
  bad_input("--resume: {} holds no run (it has no config.yaml){}", path_, hint);
}

void RunDirectory::require_same_data(const Task& task) const {
  const auto j = earlier_environment(env_, path_ + "/environment.json");
  const std::string now = task.data_fingerprint();
  const auto then = j.find("data_fingerprint");
  if (then == j.end() || !then->is_string() || then->get<std::string>() == now) return;
  bad_input("--resume: {} was made with other training data: {} -> {}", path_, then->get<std::string>(), now);
}

void RunDirectory::write_config(const std::string& yaml) {
  env_.create_directories(path_);
  env_.write(path_ + "/config.yaml", yaml);
}

void RunDirectory::write_companions(const Companions& companions) {
  for (const auto& [name, text] : companions) env_.write(path_ + "/" + name, text);
}

void RunDirectory::write_environment(const Task& task, const std::string& device, bool resumed) {
  const std::string file = path_ + "/environment.json";
  const auto earlier = resumed ? earlier_environment(env_, file) : ordered_json::object();
  utsname name{};
  ::uname(&name);
  ordered_json j;
  j["version"] = version();
  j["commit"] = commit();
  j["compiler"] = __VERSION__;
  for (const auto& [library, number] : libraries()) j["libraries"][library] = number;
  j["started"] = earlier.value("started", utc_time_now());
  j["resumed"] = earlier.value("resumed", ordered_json::array());
  if (resumed) j["resumed"].push_back(utc_time_now());
  j["host"] = name.nodename;
  j["system"] = fmt::format("{} {} {}", name.sysname, name.release, name.machine);
  j["device"] = device;
  j["device_description"] = backend(parse_device(device)).description();
  j["threads"] = threads();
  j["data"] = task.data_summary();
  j["data_fingerprint"] = task.data_fingerprint();
  env_.write(file, j.dump(2) + "\n");
}

AppendLog& RunDirectory::metrics() {
  if (!metrics_) metrics_ = std::make_unique<AppendLog>(env_, path_ + "/metrics.jsonl");
  return *metrics_;
}

TensorBoardWriter& RunDirectory::tensorboard() {
  if (!tensorboard_) tensorboard_ = std::make_unique<TensorBoardWriter>(env_, path_ + "/tensorboard");
  return *tensorboard_;
}

void RunDirectory::log(const MetricsRow& row) {
  metrics().append(to_json(row) + "\n");
  tensorboard().scalars(row.step, tags_of(row));
}

std::vector<std::string> RunDirectory::unwritten() {
  std::vector<std::string> out;
  if (metrics_ && !metrics_->flush()) out.push_back(metrics_->trouble());
  if (tensorboard_ && !tensorboard_->log().flush()) out.push_back(tensorboard_->log().trouble());
  return out;
}

void RunDirectory::rewind(const Position& position) {
  metrics_.reset();
  tensorboard_.reset();
  std::vector<MetricsRow> kept;
  std::string text;
  for (auto& row : read_metrics(env_, path_)) {
    if (row.step > position.step) continue;
    // The evaluation of this very step is still to be made, unless the checkpoint knows of it.
    if (row.step == position.step && row.kind != "train" && row.kind != "non_finite" &&
        position.evaluated_step != position.step)
      continue;
    text += to_json(row) + "\n";
    kept.push_back(std::move(row));
  }
  if (!kept.empty() || env_.exists(path_ + "/metrics.jsonl")) env_.write(path_ + "/metrics.jsonl", text);
  env_.remove_all(path_ + "/tensorboard");
  for (const auto& row : kept) tensorboard().add(row.step, tags_of(row));
  if (!kept.empty()) tensorboard().log().flush();
}

}  // namespace gfsa::train
