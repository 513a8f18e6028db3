#include "train/trainer.h"

#include <csignal>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "config/printer.h"
#include "config/reader.h"
#include "core/arena.h"
#include "core/profile.h"
#include "train/checkpoint/keeper.h"
#include "train/evaluate.h"
#include "train/memory_estimate.h"
#include "train/non_finite.h"
#include "train/progress.h"
#include "train/run_directory.h"
#include "train/run_lock.h"
#include "train/signals.h"
#include "train/summary.h"

namespace gfsa::train {
namespace {

class Run {
 public:
  // checkpoint: where it goes on from. resumed: the run directory holds the run already.
  Run(RunConfig& config, const std::string& yaml, const LoadedCheckpoint* checkpoint, bool resumed, Signals& signals,
      Env& env)
      : signals_(signals),
        config_(config),
        env_(env),
        directory_(env, config.run_dir),
        session_(config, checkpoint),
        eval_batches_(config.task->eval_batches(config.eval.split)),
        memory_(estimate_memory(session_, *eval_batches_)),
        checkpoints_(env, session_, yaml, progress_, checkpoint != nullptr) {
    require_memory(memory_, process_memory(), available_memory(), available_memory(config.placement()));
    if (resumed) {
      directory_.require_same_data(*config.task);
      directory_.rewind(session_.position);
    }
    directory_.write_config(yaml);
    directory_.write_companions(config.task->companions());
    directory_.write_environment(*config.task, config.device, resumed);
  }

  int train(const BeforeStep& before_step) {
    try {
      return loop(before_step);
    } catch (...) {
      checkpoints_.settle();  // one that was begun still counts, and is told of
      throw;
    }
  }

 private:
  int loop(const BeforeStep& before_step) {
    const auto& p = session_.position;
    log::info("{} parameters, {}, {} steps of {} samples, run directory {}", human_count(session_.store.count()),
              config_.task->data_summary(), session_.total_steps(), config_.train.batch_size * config_.train.accumulate,
              directory_.path());
    if (checkpoints_.saved()) log::info("going on after step {} of {}", p.step, session_.total_steps());
    if (p.step == 0) log_coefficients();
    checkpoints_.warn_if_short_of_space();
    while (true) {
      checkpoints_.report();
      // What step p.step entails comes first, so that a run that was stopped before it does it when it goes on.
      const bool is_best = evaluation_due() && p.evaluated_step != p.step && evaluate_now();
      const bool due = is_best || checkpoint_due();
      if (due && rolls_back()) session_.mark_rollback_point();
      const bool done = session_.finished() && p.evaluated_step == p.step;
      const bool asked = signals_.take_checkpoint_request();
      if (!checkpoints_.saved() && (due || asked || done)) checkpoints_.write();
      // Asked after what may have waited for the checkpoint before.
      const int stop = signals_.stop_requested();
      if (before_step && (stop != 0 || !before_step(session_))) {
        checkpoints_.settle();
        return stop != 0 ? signals_.exit_code() : kExitDone;
      }
      if (!checkpoints_.saved() && stop != 0) checkpoints_.write();
      if (done) {
        return finish(kExitDone, fmt::format("done: {} in {}; see {}/summary.md", to_text(p.last_eval),
                                             human_seconds(p.train_seconds), directory_.path()));
      }
      if (stop != 0) {
        return finish(signals_.exit_code(),
                      fmt::format("stopped by {} after step {}; go on with --resume {}",
                                  stop == SIGINT ? "SIGINT" : "SIGTERM", p.step, directory_.path()));
      }
      make_step();
    }
  }

  void make_step() {
    const double before = monotonic_seconds();
    try {
      const StepFigures figures = session_.step();
      observe(figures, monotonic_seconds() - before);
    } catch (const NonFiniteStep& e) {
      go_behind(e);
    }
    checkpoints_.outdated();
  }

  // What train.on_non_finite says to do about a step that is not finite. Throws it again if the run ends here.
  void go_behind(const NonFiniteStep& error) {
    const NonFinite& bad = error.report();
    const bool stop = session_.must_stop(bad);
    const std::string action = stop           ? "stop"
                               : rolls_back() ? fmt::format("rollback to step {}", session_.position.rollback_step)
                                              : "skip";
    try {
      write_report(env_, directory_.path(), bad, action);
    } catch (const Error& e) {
      progress_.warning(e.message());
    }
    directory_.log(to_row(bad, session_.epochs_done(), session_.position.non_finite_in_a_row + 1));
    if (stop) throw error;
    progress_.warning(fmt::format("{}: {}", error.message(), action));
    if (rolls_back()) {
      session_.roll_back(checkpoints_.load_for_rollback(), bad);
    } else {
      session_.skip(bad);
    }
  }
  bool rolls_back() const { return config_.train.on_non_finite == "rollback"; }

  // Whether something that is due every `every_epochs` epochs or `every_steps` steps is due after the steps made so
  // far.
  bool is_due(int64_t every_epochs, const std::optional<int64_t>& every_steps) const {
    const int64_t step = session_.position.step, epoch = session_.steps_per_epoch();
    if (step == 0) return false;
    if (every_steps && step % *every_steps == 0) return true;
    return every_epochs > 0 && step % (epoch * every_epochs) == 0;
  }
  bool evaluation_due() const {
    return session_.finished() || is_due(config_.eval.every_epochs, config_.eval.every_steps);
  }
  bool checkpoint_due() const {
    if (session_.position.step == 0) return rolls_back();
    return is_due(config_.checkpoint.every_epochs, config_.checkpoint.every_steps);
  }

  void observe(const StepFigures& f, double seconds) {
    const ProfileRange range("log");
    constexpr double kSmoothing = 0.9;  // of the throughput shown
    const double rate = static_cast<double>(f.samples) / seconds;
    rate_ = rate_ == 0 ? rate : kSmoothing * rate_ + (1 - kSmoothing) * rate;
    const auto& p = session_.position;
    ProgressLine line;
    line.step = p.step;
    line.steps = session_.total_steps();
    line.epoch = session_.epochs_done();
    line.loss = f.loss;
    line.learning_rate = f.learning_rate;
    line.grad_norm = f.grad_norm;
    line.samples_per_second = rate_;
    line.eta_seconds = static_cast<double>((line.steps - line.step) * f.samples) / rate_;
    line.waiting_share = session_.loader_figures().waiting_share();
    line.memory_bytes = arena(config_.placement()).figures().peak;
    progress_.update(line, session_.finished());
    if (p.step % config_.train.log_every != 0 && !session_.finished()) return;
    directory_.log({.kind = "train",
                    .step = p.step,
                    .epoch = line.epoch,
                    .figures = {{"loss", f.loss},
                                {"lr", f.learning_rate},
                                {"grad_norm", f.grad_norm},
                                {"samples_per_second", rate},
                                {"data_wait", line.waiting_share},
                                {"memory_mib", static_cast<double>(line.memory_bytes) / (1 << 20)}},
                    .coefficients = {}});
  }

  // Whether it was the best so far and its checkpoint is to be kept. A signal cuts it short; it then counts as not
  // done.
  bool evaluate_now() {
    const ProfileRange range("evaluation");
    session_.free_graph();
    std::optional<EmaWeights> averaged;
    if (config_.eval.ema) averaged.emplace(*session_.ema);
    const int64_t batch_size = config_.eval.batch_size.value_or(config_.train.batch_size);
    const auto run = evaluate(*config_.task, *eval_batches_, batch_size, config_.evaluation_context(),
                              [this] { return signals_.stop_requested() != 0; });
    averaged.reset();
    if (run.stopped) return false;
    auto& p = session_.position;
    p.evaluated_step = p.step;
    p.last_eval = run.metrics;
    checkpoints_.outdated();
    directory_.log(
        {.kind = "eval", .step = p.step, .epoch = session_.epochs_done(), .figures = run.metrics, .coefficients = {}});
    log_coefficients();
    progress_.message(fmt::format("evaluation at step {}: {} ({} samples, {})", p.step, to_text(run.metrics),
                                  run.samples, human_seconds(run.seconds)));
    return p.note_if_best(run.metrics, config_.task->primary_metric()) && config_.checkpoint.keep_best;
  }

  void log_coefficients() {
    MetricsRow row{.kind = "coefficients",
                   .step = session_.position.step,
                   .epoch = session_.epochs_done(),
                   .figures = {},
                   .coefficients = {}};
    for (const auto& [name, values] : config_.task->coefficients()) {
      row.coefficients.emplace_back(name, values.to_vector<double>());
    }
    if (!row.coefficients.empty()) directory_.log(row);
  }

  // The exit code is 1 if something of the run could not be written in the end.
  int finish(int exit_code, const std::string& message) {
    if (!checkpoints_.settle()) exit_code = kExitFailed;
    try {
      write_summary(env_, directory_.path(), facts());
    } catch (const Error& e) {
      progress_.warning(e.message());
      exit_code = kExitFailed;
    }
    for (const auto& problem : directory_.unwritten()) {
      progress_.warning(problem);
      exit_code = kExitFailed;
    }
    progress_.message(exit_code == kExitFailed ? message + "; but not everything of it could be written" : message);
    return exit_code;
  }

  Facts facts() const {
    const auto& p = session_.position;
    Facts facts{{"data", config_.task->data_summary()},
                {"parameters", human_count(session_.store.count())},
                {"steps", fmt::format("{} of {}", p.step, session_.total_steps())},
                {"training time", human_seconds(p.train_seconds)}};
    if (p.train_seconds > 0) {
      facts.emplace_back("throughput",
                         fmt::format("{:.1f} samples/s", static_cast<double>(p.samples) / p.train_seconds));
    }
    facts.emplace_back("waiting for data", fmt::format("{:.1f}%", 100 * session_.loader_figures().waiting_share()));
    const auto peak = [&](const char* of, uint64_t measured, uint64_t estimated) {
      facts.emplace_back(fmt::format("peak memory of {}", of),
                         fmt::format("{} (estimated {})", mebibytes(measured), mebibytes(estimated)));
    };
    if (!memory_.device.empty()) {
      peak(("tensors on " + memory_.device).c_str(), arena(config_.placement()).figures().peak, memory_.device_peak());
    }
    peak("tensors", arena({}).figures().peak, memory_.tensor_peak());
    peak("the process", process_memory().peak, memory_.process_peak());
    if (p.best) {
      facts.emplace_back("best " + config_.task->primary_metric().first,
                         fmt::format("{:.4f} at step {}", *p.best, p.best_step));
    }
    if (!p.last_eval.empty()) {
      facts.emplace_back("last evaluation", fmt::format("{} at step {}", to_text(p.last_eval), p.evaluated_step));
    }
    if (const auto skipped = session_.skipped(); !skipped.empty()) {
      facts.emplace_back("skipped samples",
                         fmt::format("{} (first: {}: {})", skipped.size(), skipped[0].name, skipped[0].why));
    }
    return facts;
  }

  Signals& signals_;
  RunConfig& config_;
  Env& env_;
  RunDirectory directory_;
  Session session_;
  std::unique_ptr<data::BatchMaker> eval_batches_;
  MemoryEstimate memory_;
  Progress progress_;
  CheckpointKeeper checkpoints_;
  double rate_ = 0;
};

}  // namespace

void require_same_config(RunConfig& config, const std::string& run_dir, const char* option, Env& env) {
  RunConfig before(config.tasks);
  config::load(before, run_dir + "/config.yaml", {}, env);
  ErrorList changed;
  for (const auto& line : config::resume_diff(before, config)) {
    changed.add(fmt::format("{}: {} was made with another value of {}", option, run_dir, line));
  }
  changed.throw_if_any();
}

int run_training(RunConfig& config, const std::string& config_yaml, bool resume, Env& env,
                 const BeforeStep& before_step) {
  Signals signals;  // from here on a signal lets the run end in order, also while it loads
  const RunDirectory directory(env, config.run_dir);
  if (!resume) {
    directory.require_fresh();
    const RunLock lock(config.run_dir);
    directory.require_fresh();  // nor has another process made one in the meantime
    return Run(config, config_yaml, nullptr, false, signals, env).train(before_step);
  }
  directory.require_run();
  require_same_config(config, config.run_dir, "--resume", env);
  const RunLock lock(config.run_dir);
  CheckpointStore checkpoints(env, config.run_dir);
  checkpoints.recover();
  std::optional<LoadedCheckpoint> checkpoint;
  if (checkpoints.list().empty()) {
    log::info("{} has no checkpoint yet: starting again", config.run_dir);
  } else {
    checkpoint = checkpoints.load_newest();
  }
  Run run(config, config_yaml, checkpoint ? &*checkpoint : nullptr, true, signals, env);
  checkpoint.reset();  // its copy of the weights
  return run.train(before_step);
}

}  // namespace gfsa::train
