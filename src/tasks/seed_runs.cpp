#include "tasks/seed_runs.h"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "config/printer.h"
#include "config/reader.h"
#include "tasks/registry.h"
#include "tasks/seed_comparison.h"
#include "tasks/text_table.h"
#include "train/checkpoint/store.h"
#include "train/config_files.h"
#include "train/dry_run.h"
#include "train/signals.h"
#include "train/trainer.h"

namespace gfsa::tasks {
namespace {

struct SeedState {
  int64_t seed = 0;
  std::string run_dir;
  bool begun = false, finished = false;
  train::Position position;
};

// Of the newest checkpoint that can be read.
std::optional<train::Position> newest_position(const std::string& run_dir, Env& env) {
  const auto all = train::CheckpointStore(env, run_dir).list();
  for (auto folder = all.rbegin(); folder != all.rend(); ++folder) {
    try {
      return train::CheckpointStore::load_position(env, *folder);
    } catch (const Error& e) {
      log::warn("{}", e.message());
    }
  }
  return std::nullopt;
}

class SeedTraining {
 public:
  SeedTraining(const SeedRequest& request, Env& env) : request_(request), env_(env) {
    const auto present = seeds_in(request.run_dir, env);
    file_ = request.config_file;
    if (file_.empty() && !present.empty()) {
      file_ = fmt::format("{}/seed-{}/config.yaml", request.run_dir, present.front());
    }
    if (file_.empty()) bad_input("--resume: {} holds no runs: it has no folder seed-N", request.run_dir);
    base_ = request.run_dir;
    if (base_.empty()) {
      train::RunConfig config(task_registry());
      const auto resolved = config::load(config, file_, request.overrides, env);
      base_ = config.run_dir.empty() ? train::default_run_dir(resolved.file) : config.run_dir;
    }
    if (env.exists(base_ + "/config.yaml")) {
      bad_input(
          "run_dir: {} holds a single run, expected a folder for seed-0, seed-1, ...; name another one with "
          "run_dir=...",
          base_);
    }
    if (request.resume && seeds_in(base_, env).empty()) {
      bad_input("--resume: {} holds no runs: it has no folder seed-N", base_);
    }
  }

  int dry_run() {
    const int64_t seed = request_.seeds.front();
    if (request_.seeds.size() > 1) {
      std::printf("dry run of seed %lld; the others differ in nothing else\n", static_cast<long long>(seed));
    }
    train::RunConfig config(task_registry());
    const auto resolved = load(config, seed);
    config.run_dir = folder_of(seed);
    train::apply_machine_settings(config, resolved);
    return train::dry_run(config);
  }

  int train() {
    const train::Signals signals;  // spans the runs: for what comes between two of them
    int exit_code = kExitDone;
    for (size_t i = 0; i < request_.seeds.size() && exit_code == kExitDone; ++i) {
      exit_code = signals.exit_code();
      if (exit_code == kExitDone) exit_code = train_one(request_.seeds[i], i + 1);
    }
    print_table();
    if (exit_code != kExitDone) log::info("not all seeds are done; the same command goes on with them");
    return exit_code;
  }

 private:
  std::string folder_of(int64_t seed) const { return fmt::format("{}/seed-{}", base_, seed); }

  config::Resolved load(train::RunConfig& config, int64_t seed) {
    auto overrides = request_.overrides;
    overrides.push_back(fmt::format("seed={}", seed));
    return config::load(config, file_, overrides, env_);
  }

  static bool is_finished(const train::RunConfig& config, const train::Position& p) {
    const bool to_the_end = config.train.steps ? p.step >= *config.train.steps : p.epoch >= *config.train.epochs;
    return to_the_end && p.evaluated_step == p.step;
  }

  SeedState state_of(const train::RunConfig& config, int64_t seed) {
    SeedState state{seed, folder_of(seed), false, false, {}};
    state.begun = env_.exists(state.run_dir + "/config.yaml");
    if (!state.begun) return state;
    if (const auto position = newest_position(state.run_dir, env_)) {
      state.position = *position;
      state.finished = is_finished(config, *position);
    }
    return state;
  }

  int train_one(int64_t seed, size_t number) {
    train::RunConfig config(task_registry());
    const auto resolved = load(config, seed);
    primary_ = config.task->primary_metric().first;
    const SeedState state = state_of(config, seed);
    config.run_dir = state.run_dir;
    const std::string what = fmt::format("seed {} ({} of {})", seed, number, request_.seeds.size());
    if (state.begun) train::require_same_config(config, state.run_dir, "--seeds", env_);
    if (state.finished) {
      log::info("{}: finished at step {}: skipped", what, state.position.step);
      return kExitDone;
    }
    log::info("{}: {} {}", what, state.begun ? "going on in" : "starting in", state.run_dir);
    train::apply_machine_settings(config, resolved);
    try {
      return train::run_training(config, config::print_config(config), state.begun, env_);
    } catch (const Error& e) {
      throw Error(e.exit_code(), fmt::format("seed {}: {}", seed, e.message()));
    }
  }

  void print_table() {
    std::vector<SeedState> states;
    const train::Metrics* names = nullptr;
    for (const int64_t seed : request_.seeds) {
      train::RunConfig config(task_registry());
      load(config, seed);
      states.push_back(state_of(config, seed));
    }
    for (const auto& s : states) {
      if (!s.position.last_eval.empty() && names == nullptr) names = &s.position.last_eval;
    }
    if (names == nullptr) return;
    std::vector<TextRow> rows{{"seed", "run", "state", "step", "best " + primary_}};
    for (const auto& metric : *names) rows[0].push_back(metric.first);
    std::vector<std::vector<double>> columns(names->size() + 1);
    for (const auto& s : states) {
      rows.push_back({std::to_string(s.seed), s.run_dir,
                      s.finished ? "done"
                      : s.begun  ? "unfinished"
                                 : "not begun",
                      std::to_string(s.position.step), s.position.best ? number_text(*s.position.best) : "-"});
      if (s.position.best && s.finished) columns[0].push_back(*s.position.best);
      for (size_t m = 0; m < names->size(); ++m) {
        const bool known = m < s.position.last_eval.size();
        rows.back().push_back(known ? number_text(s.position.last_eval[m].second) : "-");
        if (known && s.finished) columns[m + 1].push_back(s.position.last_eval[m].second);
      }
    }
    TextRow mean{"mean", "", fmt::format("{} done", columns[1].size()), ""}, sd{"sd", "", "", ""};
    for (const auto& column : columns) {
      const Sample sample = column.empty() ? Sample{0, NAN, NAN, NAN, NAN} : describe_sample(column);
      mean.push_back(number_text(sample.mean));
      sd.push_back(number_text(sample.sd));
    }
    rows.push_back(mean);
    rows.push_back(sd);
    std::fputs(text_table(rows, 3).c_str(), stdout);
  }

  const SeedRequest& request_;
  Env& env_;
  std::string file_, base_, primary_;
};

}  // namespace

std::vector<int64_t> parse_seeds(const std::string& text) {
  std::vector<int64_t> seeds;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    int64_t seed = -1;
    const auto [last, error] = std::from_chars(part.data(), part.data() + part.size(), seed);
    if (error != std::errc() || last != part.data() + part.size() || seed < 0) {
      bad_input("--seeds {}: '{}' is no seed, expected whole numbers from 0 on, as in --seeds 0,1,2", text, part);
    }
    for (const int64_t other : seeds) {
      if (other == seed) bad_input("--seeds {}: {} stands twice; its runs would be the same", text, seed);
    }
    seeds.push_back(seed);
    begin = end + 1;
  }
  return seeds;
}

bool holds_seed_runs(const std::string& folder, Env& env) {
  return !env.exists(folder + "/config.yaml") && !seeds_in(folder, env).empty();
}

int train_seeds(const SeedRequest& request, Env& env) {
  SeedTraining training(request, env);
  return request.dry_run ? training.dry_run() : training.train();
}

}  // namespace gfsa::tasks
