#include "train/checkpoint/keeper.h"

#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "core/profile.h"

namespace gfsa::train {

CheckpointKeeper::CheckpointKeeper(Env& env, const Session& session, std::string config_yaml, Progress& progress,
                                   bool saved)
    : env_(env),
      session_(session),
      config_yaml_(std::move(config_yaml)),
      progress_(progress),
      store_(env, session.config.run_dir),
      writer_(env, store_, session.config.checkpoint.keep_last),
      saved_(saved) {}

void CheckpointKeeper::warn_if_short_of_space() {
  const auto& config = session_.config;
  const int64_t folders = config.checkpoint.keep_last + 1 + (config.checkpoint.keep_best ? 1 : 0) +
                          (config.train.on_non_finite == "rollback" ? 1 : 0);
  const std::string warning = space_warning(env_, store_, bytes_on_disk(session_.snapshot(config_yaml_)), folders);
  if (!warning.empty()) progress_.warning(warning);
}

void CheckpointKeeper::write() {
  const ProfileRange range("checkpoint");
  const double start = monotonic_seconds();
  collect(true);
  const double waited = monotonic_seconds();
  const auto& config = session_.config;
  const auto& position = session_.position;
  if (const auto name = session_.first_not_finite_tensor(); !name.empty()) {
    fail("step {}: {} is not finite; no checkpoint is written of it. Lower optimizer.lr or set train.clip_norm",
         position.step, name);
  }
  std::vector<int64_t> keep_steps;
  if (config.checkpoint.keep_best) keep_steps.push_back(position.best_step);
  if (config.train.on_non_finite == "rollback") keep_steps.push_back(position.rollback_step);
  writer_.begin(session_.snapshot(config_yaml_), keep_steps);
  saved_ = true;
  log::debug("checkpoint of step {}: {:.1f} ms for the one before, {:.1f} ms to copy", position.step,
             1e3 * (waited - start), 1e3 * (monotonic_seconds() - waited));
}

void CheckpointKeeper::collect(bool wait) {
  const auto outcome = writer_.take(wait);
  if (!outcome) return;
  problem_ = outcome->path.empty() ? outcome->problem : "";
  if (!problem_.empty()) {
    saved_ = false;
    const std::string newest = store_.latest();
    progress_.warning(fmt::format("no checkpoint of step {}: {}; {}", outcome->step, outcome->problem,
                                  newest.empty() ? "there is none yet" : "the newest is " + newest));
    return;
  }
  progress_.message("checkpoint " + outcome->path);
  if (!outcome->problem.empty()) progress_.warning("an old checkpoint stays: " + outcome->problem);
}

bool CheckpointKeeper::settle() {
  collect(true);
  return problem_.empty();
}

LoadedCheckpoint CheckpointKeeper::load_for_rollback() {
  settle();
  const std::string path = store_.path_of_step(session_.position.rollback_step);
  try {
    return CheckpointStore::load(env_, path);
  } catch (const Error& e) {
    progress_.warning("the rollback goes further back than it should: " + e.message());
    return store_.load_newest();
  }
}

}  // namespace gfsa::train
