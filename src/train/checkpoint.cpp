#include "train/checkpoint.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace gfsa::train {
namespace {

using nlohmann::ordered_json;

constexpr int kFormatVersion = 1;
constexpr const char* kPrefix = "step-";
constexpr const char* kWriting = ".writing-";    // + the final name, while the folder is filled
constexpr const char* kRemoving = ".removing-";  // + the final name, while it is emptied

std::string name_of_step(int64_t step) { return fmt::format("{}{:08}", kPrefix, step); }

bool is_checkpoint_name(const std::string& name) {
  return name.starts_with(kPrefix) && name.size() == name_of_step(0).size() &&
         std::all_of(name.begin() + 5, name.end(), [](unsigned char c) { return std::isdigit(c); });
}

std::string to_text(const Position& p) {
  ordered_json j;
  j["format"] = kFormatVersion;
  j["step"] = p.step;
  j["epoch"] = p.epoch;
  j["batch"] = p.batch;
  j["samples"] = p.samples;
  j["train_seconds"] = p.train_seconds;
  if (p.best) j["best"] = *p.best;
  j["best_step"] = p.best_step;
  j["evaluated_step"] = p.evaluated_step;
  j["last_eval"] = ordered_json::object();
  for (const auto& [name, value] : p.last_eval) j["last_eval"][name] = value;
  j["written"] = utc_time_now();
  return j.dump(2) + "\n";
}

Position from_text(const std::string& text, const std::string& path) {
  try {
    const auto j = ordered_json::parse(text);
    if (j.at("format") != kFormatVersion) {
      bad_input("{}: checkpoint format {}, expected {}; it was written by another version of this program", path,
                j.at("format").dump(), kFormatVersion);
    }
    Position p;
    p.step = j.at("step");
    p.epoch = j.at("epoch");
    p.batch = j.at("batch");
    p.samples = j.at("samples");
    p.train_seconds = j.at("train_seconds");
    if (j.contains("best")) p.best = j.at("best").get<double>();
    p.best_step = j.at("best_step");
    p.evaluated_step = j.at("evaluated_step");
    if (p.step < 0 || p.epoch < 0 || p.batch < 0) bad_input("{}: the position is negative", path);
    for (const auto& [name, value] : j.at("last_eval").items()) {
      p.last_eval.emplace_back(name, value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
    }
    return p;
  } catch (const nlohmann::json::exception& e) {
    bad_input("{}: damaged, this is not a checkpoint's state: {}", path, e.what());
  }
}

}  // namespace

bool Position::note_if_best(const Metrics& metrics, const std::pair<std::string, bool>& primary) {
  for (const auto& [name, value] : metrics) {
    if (name != primary.first || !std::isfinite(value)) continue;
    if (best && (primary.second ? value <= *best : value >= *best)) return false;
    best = value;
    best_step = step;
    return true;
  }
  return false;
}

CheckpointStore::CheckpointStore(Env& env, std::string run_dir)
    : env_(env), folder_(std::move(run_dir) + "/checkpoints") {}

std::string CheckpointStore::save(const Snapshot& s, int64_t keep_last, bool keep_best) {
  const std::string name = name_of_step(s.position.step);
  const std::string final_path = folder_ + "/" + name, temporary = folder_ + "/" + kWriting + name;
  env_.create_directories(folder_);
  env_.remove_all(temporary);
  env_.create_directories(temporary);
  const std::map<std::string, std::string> metadata{{"format", "pt"}, {"step", std::to_string(s.position.step)}};
  write_tensors(env_, temporary + "/model.safetensors", s.model, metadata);
  write_tensors(env_, temporary + "/optimizer.safetensors", s.optimizer, metadata);
  if (!s.ema.empty()) write_tensors(env_, temporary + "/ema.safetensors", s.ema, metadata);
  env_.write(temporary + "/config.yaml", s.config);
  env_.write(temporary + "/state.json", to_text(s.position));
  // The same step again: it was stopped before its evaluation, which has now changed the position.
  if (env_.exists(final_path)) discard(name);
  env_.rename(temporary, final_path);

  const std::string best = folder_ + "/" + name_of_step(s.position.best_step);
  const auto all = list();
  const size_t kept = static_cast<size_t>(std::max<int64_t>(1, keep_last));
  for (size_t i = 0; i + kept < all.size(); ++i) {
    if (!keep_best || all[i] != best) discard(all[i].substr(folder_.size() + 1));
  }
  return final_path;
}

void CheckpointStore::discard(const std::string& name) {
  const std::string doomed = folder_ + "/" + kRemoving + name;
  env_.remove_all(doomed);
  env_.rename(folder_ + "/" + name, doomed);
  env_.remove_all(doomed);
}

void CheckpointStore::recover() {
  if (!env_.is_directory(folder_)) return;
  for (const auto& name : env_.list(folder_)) {
    const std::string path = folder_ + "/" + name;
    if (name.starts_with(kRemoving)) env_.remove_all(path);
    if (!name.starts_with(kWriting)) continue;
    const std::string final_path = folder_ + "/" + name.substr(std::string_view(kWriting).size());
    if (env_.exists(path + "/state.json") && !env_.exists(final_path)) {
      env_.rename(path, final_path);
    } else {
      env_.remove_all(path);
    }
  }
}

std::vector<std::string> CheckpointStore::list() const {
  std::vector<std::string> out;
  if (!env_.is_directory(folder_)) return out;
  for (const auto& name : env_.list(folder_)) {
    if (is_checkpoint_name(name)) out.push_back(folder_ + "/" + name);
  }
  return out;
}

std::string CheckpointStore::latest() const {
  const auto all = list();
  return all.empty() ? "" : all.back();
}

Position CheckpointStore::load_position(Env& env, const std::string& directory) {
  const std::string path = directory + "/state.json";
  return from_text(env.read(path, 1 << 20), path);
}

LoadedCheckpoint CheckpointStore::load(Env& env, const std::string& directory) {
  LoadedCheckpoint c;
  c.directory = directory;
  c.position = load_position(env, directory);
  c.model = read_tensors(directory + "/model.safetensors");
  c.optimizer = read_tensors(directory + "/optimizer.safetensors");
  if (env.exists(directory + "/ema.safetensors")) c.ema = read_tensors(directory + "/ema.safetensors");
  return c;
}

}  // namespace gfsa::train
