#include "train/verify.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "base/strings.h"
#include "config/reader.h"
#include "train/checkpoint/reader.h"
#include "train/checkpoint/store.h"
#include "train/metrics.h"
#include "train/run_config.h"
#include "train/run_directory.h"

namespace gfsa::train {
namespace {

using State = VerifyRow::State;

std::string config_detail(Env& env, const config::Registry<Task>& tasks, const std::string& file) {
  RunConfig config(tasks);
  config::load(config, file, {}, env);
  return fmt::format("task {}, seed {}", tasks.name_of(*config.task), config.seed);
}

std::string environment_detail(Env& env, const std::string& file) {
  const auto j = nlohmann::json::parse(env.read(file), nullptr, false);
  if (!j.is_object()) bad_input("{}: damaged, expected a JSON object", file);
  for (const char* key : {"version", "started", "data_fingerprint"}) {
    if (!j.contains(key) || !j[key].is_string()) bad_input("{}: '{}' is missing", file, key);
  }
  return fmt::format("version {}, started {}", j["version"].get<std::string>(), j["started"].get<std::string>());
}

std::string metrics_detail(Env& env, const std::string& file) {
  if (!env.exists(file)) return "nothing logged yet";
  const std::string text = env.read(file);
  const std::string_view all = text;
  int64_t rows = 0;
  size_t begin = 0, end;
  for (; (end = all.find('\n', begin)) != std::string_view::npos; begin = end + 1) {
    ++rows;
    if (!parse_metrics_row(all.substr(begin, end - begin))) bad_input("{}: line {}: is no row", file, rows);
  }
  return fmt::format("{} rows{}", human_count(rows),
                     begin < all.size() ? ", and a torn last line that --resume drops" : "");
}

std::string checkpoint_detail(Env& env, const std::string& path) {
  const CheckpointReader reader(env, path);
  reader.verify();
  return fmt::format("step {}, {}", human_count(reader.position().step),
                     human_bytes(static_cast<double>(reader.bytes())));
}

}  // namespace

std::vector<VerifyRow> verify_run(Env& env, const config::Registry<Task>& tasks, const std::string& run_dir) {
  const RunDirectory run(env, run_dir);
  if (!env.exists(run_dir)) bad_input("--verify: {} does not exist, expected a run directory", run_dir);
  if (!run.holds_run()) {
    bad_input("--verify: {} is no run: it has neither config.yaml nor metrics.jsonl nor checkpoints/", run_dir);
  }
  std::vector<VerifyRow> rows;
  const auto look = [&](const std::string& what, const std::function<std::string()>& detail) {
    try {
      rows.push_back({what, State::kGood, detail()});
    } catch (const Error& e) {
      if (e.exit_code() != kExitBadInput) throw;
      rows.push_back({what, State::kBad, e.message()});
    }
  };
  const auto path = [&](const std::string& name) { return run_dir + "/" + name; };
  look("config.yaml", [&] { return config_detail(env, tasks, path("config.yaml")); });
  look("environment.json", [&] { return environment_detail(env, path("environment.json")); });
  look("metrics.jsonl", [&] { return metrics_detail(env, path("metrics.jsonl")); });

  const CheckpointStore store(env, run_dir);
  const auto checkpoints = store.list();
  for (const auto& folder : checkpoints) {
    look(folder.substr(run_dir.size() + 1), [&] { return checkpoint_detail(env, folder); });
  }
  if (!env.is_directory(store.folder())) return rows;
  for (const auto& name : env.list(store.folder())) {
    const std::string folder = store.folder() + "/" + name;
    if (std::find(checkpoints.begin(), checkpoints.end(), folder) != checkpoints.end()) continue;
    rows.push_back(
        {"checkpoints/" + name, State::kLeft,
         name.starts_with(".") ? "left by a process that ended; --resume tidies up" : "not part of the run"});
  }
  return rows;
}

bool all_good(const std::vector<VerifyRow>& rows) {
  return std::none_of(rows.begin(), rows.end(), [](const VerifyRow& r) { return r.state == State::kBad; });
}

std::string to_text(const std::vector<VerifyRow>& rows) {
  size_t width = 0;
  int64_t bad = 0;
  for (const auto& row : rows) {
    width = std::max(width, row.what.size());
    bad += row.state == State::kBad ? 1 : 0;
  }
  std::string out;
  for (const auto& row : rows) {
    const char* word = row.state == State::kGood ? "good" : row.state == State::kBad ? "BAD" : "-";
    out += fmt::format("{:<{}}  {:<4}  {}\n", row.what, width, word, row.detail);
  }
  return out + (bad == 0 ? "the run is whole\n" : fmt::format("{} of {} are damaged\n", bad, rows.size()));
}

}  // namespace gfsa::train
