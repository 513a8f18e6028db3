#include "train/trainer.h"

#include <csignal>

#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "core/arena.h"
#include "train/evaluate.h"

namespace gfsa::train {
namespace {

// Whether something that is due every `every_epochs` epochs or `every_steps` steps is due after this step.
bool is_due(const Session& s, int64_t every_epochs, const std::optional<int64_t>& every_steps) {
  const int64_t step = s.position.step;
  if (every_steps && step % *every_steps == 0) return true;
  return every_epochs > 0 && step % s.steps_per_epoch() == 0 && step / s.steps_per_epoch() % every_epochs == 0;
}

class Run {
 public:
  Run(RunConfig& config, const std::string& yaml, const std::string& resume_from, Env& env)
      : config_(config), yaml_(yaml), directory_(env, config.run_dir), checkpoints_(env, config.run_dir), session_(config) {
    if (resume_from.empty()) {
      directory_.require_fresh();
    } else {
      session_.restore(CheckpointStore::load(env, resume_from));
      directory_.rewind_metrics(session_.position.step);
      log::info("continuing from {} (step {} of {})", resume_from, session_.position.step, session_.total_steps());
    }
    directory_.write_config(yaml);
    directory_.write_environment(*config.task, config.device);
    eval_batches_ = config.task->eval_batches(config.eval.split);
  }

  int train() {
    log::info("{} parameters, {}, {} steps of {} samples, run directory {}", human_count(session_.store.count()), config_.task->data_summary(),
              session_.total_steps(), config_.train.batch_size * config_.train.accumulate, directory_.path());
    log_coefficients();
    while (!session_.finished()) {
      const double before = monotonic_seconds();
      const StepFigures figures = session_.step();
      observe(figures, monotonic_seconds() - before);
      const bool last = session_.finished();
      bool save = is_due(session_, config_.checkpoint.every_epochs, config_.checkpoint.every_steps) || last;
      if (is_due(session_, config_.eval.every_epochs, config_.eval.every_steps) || last) save |= evaluate_now();
      if (signals_.take_checkpoint_request()) save = true;
      const int stop = signals_.stop_requested();
      if (save || stop != 0) write_checkpoint();
      if (stop != 0 && !last) {
        progress_.message(fmt::format("stopped by {} after step {}; go on with --resume {}", stop == SIGINT ? "SIGINT" : "SIGTERM",
                                      session_.position.step, directory_.path()));
        summarize();
        return stop == SIGINT ? kExitInterrupted : kExitTerminated;
      }
    }
    summarize();
    progress_.message(fmt::format("done: {} in {}; see {}/summary.md", to_text(session_.position.last_eval),
                                  human_seconds(session_.position.train_seconds), directory_.path()));
    return kExitDone;
  }

 private:
  void observe(const StepFigures& f, double seconds) {
    constexpr double kSmoothing = 0.9;  // of the throughput shown
    const double rate = static_cast<double>(f.samples) / seconds;
    rate_ = rate_ == 0 ? rate : kSmoothing * rate_ + (1 - kSmoothing) * rate;
    const auto& p = session_.position;
    const auto memory = arena({}).figures();
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
    line.memory_bytes = memory.peak;
    progress_.update(line, session_.finished());
    if (p.step % config_.train.log_every == 0 || session_.finished()) {
      directory_.log("train", p.step, line.epoch,
                     {{"loss", f.loss}, {"lr", f.learning_rate}, {"grad_norm", f.grad_norm}, {"samples_per_second", rate}, {"data_wait", line.waiting_share},
                      {"memory_mib", static_cast<double>(memory.peak) / (1 << 20)}});
    }
  }

  // Whether it was the best so far (its checkpoint must then exist). An evaluation is cut short by a signal.
  bool evaluate_now() {
    std::optional<EmaWeights> averaged;
    if (config_.eval.ema) averaged.emplace(*session_.ema);
    const auto run = evaluate(*config_.task, *eval_batches_, config_.eval.batch_size.value_or(config_.train.batch_size), config_.compute(),
                              [this] { return signals_.stop_requested() != 0; });
    if (run.stopped) return false;
    auto& p = session_.position;
    p.last_eval = run.metrics;
    directory_.log("eval", p.step, session_.epochs_done(), run.metrics);
    log_coefficients();
    progress_.message(fmt::format("evaluation at step {}: {} ({} samples, {})", p.step, to_text(run.metrics), run.samples, human_seconds(run.seconds)));
    const auto [name, more_is_better] = config_.task->primary_metric();
    for (const auto& [key, value] : run.metrics) {
      if (key != name) continue;
      const bool better = !p.best || (more_is_better ? value > *p.best : value < *p.best);
      if (better) p.best = value, p.best_step = p.step;
      return better && config_.checkpoint.keep_best;
    }
    return false;
  }

  void log_coefficients() { directory_.log_coefficients(session_.position.step, session_.epochs_done(), config_.task->coefficients()); }

  void write_checkpoint() {
    const auto path = checkpoints_.save(session_.snapshot(yaml_), config_.checkpoint.keep_last, config_.checkpoint.keep_best);
    progress_.message("checkpoint " + path);
  }

  void summarize() {
    const auto& p = session_.position;
    const auto loader = session_.loader_figures();
    std::vector<std::pair<std::string, std::string>> facts{
        {"data", config_.task->data_summary()},
        {"parameters", human_count(session_.store.count())},
        {"steps", fmt::format("{} of {}", p.step, session_.total_steps())},
        {"training time", human_seconds(p.train_seconds)},
        {"throughput", fmt::format("{:.1f} samples/s", static_cast<double>(p.samples) / p.train_seconds)},
        {"waiting for data", fmt::format("{:.1f}%", 100 * loader.waiting_share())},
        {"peak memory of tensors", human_bytes(static_cast<double>(arena({}).figures().peak))}};
    if (p.best) facts.emplace_back("best " + config_.task->primary_metric().first, fmt::format("{:.4f} at step {}", *p.best, p.best_step));
    if (!p.last_eval.empty()) facts.emplace_back("last evaluation", to_text(p.last_eval));
    if (const auto skipped = session_.skipped(); !skipped.empty()) {
      facts.emplace_back("skipped samples", fmt::format("{} (first: {}: {})", skipped.size(), skipped[0].name, skipped[0].why));
    }
    directory_.write_summary(directory_.path(), facts);
  }

  RunConfig& config_;
  std::string yaml_;
  RunDirectory directory_;
  CheckpointStore checkpoints_;
  Session session_;
  std::unique_ptr<data::BatchMaker> eval_batches_;
  Signals signals_;
  Progress progress_;
  double rate_ = 0;
};

}  // namespace

int run_training(RunConfig& config, const std::string& config_yaml, const std::string& resume_from, Env& env) {
  return Run(config, config_yaml, resume_from, env).train();
}

}  // namespace gfsa::train
