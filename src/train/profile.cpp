#include "train/profile.h"

#include <cstdio>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/threads.h"
#include "config/printer.h"
#include "core/profile.h"
#include "train/profile_report.h"
#include "train/profile_trace.h"
#include "train/run_lock.h"
#include "train/trainer.h"
#include "train/version.h"

namespace gfsa::train {
namespace {

constexpr int kWarmUp = 2;

// The run's own folder for as long as it lives.
class Workplace {
 public:
  Workplace(Env& env, std::string path) : env_(env), path_(std::move(path)) {
    if (const std::string holder = RunLock::live_holder(path_); !holder.empty()) {
      bad_input("--profile: {} is in use by {}", path_, holder);
    }
    for (auto folder = std::filesystem::path(path_).parent_path(); !folder.empty() && !env_.exists(folder.string());
         folder = folder.parent_path()) {
      parents_.push_back(folder.string());
    }
    env_.remove_all(path_);  // of one that was killed
  }
  // With it go the folders that were made for it.
  ~Workplace() {
    try {
      env_.remove_all(path_);
      for (const auto& folder : parents_) {
        if (!env_.exists(folder) || !env_.list(folder).empty()) break;
        env_.remove_all(folder);
      }
    } catch (const std::exception& e) {
      log::warn("{} stays: {}", path_, e.what());
    }
  }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;
  const std::string& path() const { return path_; }

 private:
  Env& env_;
  std::string path_;
  std::vector<std::string> parents_;  // that were not there, the innermost first
};

// Begins the recording after the steps that warm up, and ends it.
class Recorder {
 public:
  explicit Recorder(int steps) : steps_(steps) {}
  ~Recorder() {
    if (profile::is_on()) profile::stop();
  }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // As BeforeStep.
  bool before_step(const Session& session) {
    const int64_t step = asked_++;
    if (step == 0 && session.total_steps() < kWarmUp + steps_) {
      bad_input("--profile {}: the run has {} steps, but {} to warm up come first; lower it, or raise train.{}", steps_,
                session.total_steps(), kWarmUp, session.config.train.steps ? "steps" : "epochs");
    }
    range_.reset();
    if (step == kWarmUp) profile::start(session.config.placement());
    if (step < kWarmUp) return true;
    if (step < kWarmUp + steps_) {
      range_.emplace("step");
      return true;
    }
    recording = profile::stop();
    for (const auto& p : session.store.parameters()) names.emplace(p.value.slot().get(), p.name);
    return false;
  }

  std::optional<profile::Recording> recording;
  ParameterNames names;

 private:
  int64_t steps_, asked_ = 0;
  std::optional<ProfileRange> range_;
};

}  // namespace

int run_profile(RunConfig& config, int steps, Env& env) {
  profile::name_thread("training");
  const std::string run_dir = config.run_dir;
  const Device device = config.placement();
  const Roofline roofline = measure_roofline(device, config.compute());
  Recorder recorder(steps);
  int exit_code = kExitDone;
  {
    const Workplace workplace(env, run_dir + "/profile-run");
    config.run_dir = workplace.path();
    config.graph = "off";
    exit_code = run_training(config, config::print_config(config), false, env,
                             [&](const Session& session) { return recorder.before_step(session); });
    config.run_dir = run_dir;
  }
  if (!recorder.recording) return exit_code;  // a signal came before

  const auto modules = modules_of(*recorder.recording, recorder.names);
  const auto report = summarise(*recorder.recording, modules, roofline);
  const std::vector<std::pair<std::string, std::string>> facts{
      {"device", fmt::format("{} ({}), {} threads", device.text(), backend(device).description(), threads())},
      {"precision", config.precision},
      {"batch", fmt::format("{} x {}", config.train.batch_size, config.train.accumulate)},
      {"step", fmt::format("{:.3f} ms, after {} to warm up", 1e3 * report.step_seconds / steps, kWarmUp)},
      {"products at best", fmt::format("{:.1f} GFLOP/s", roofline.flops / 1e9)},
      {"memory at best", fmt::format("{:.1f} GB/s", roofline.bytes / 1e9)},
      {"commit", commit()}};
  const std::string text = to_markdown(report, facts), md = run_dir + "/profile.md", json = run_dir + "/profile.json";
  env.create_directories(run_dir);
  env.write(json, trace_json(*recorder.recording, modules, facts));
  env.write(md, text);
  std::fputs(text.c_str(), stdout);
  std::printf("\n%s, and %s for chrome://tracing or ui.perfetto.dev\n", md.c_str(), json.c_str());
  return exit_code;
}

}  // namespace gfsa::train
