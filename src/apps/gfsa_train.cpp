// gfsa-train: from argv to a call.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "apps/program.h"
#include "base/error.h"
#include "config/help.h"
#include "config/printer.h"
#include "config/reader.h"
#include "tasks/registry.h"
#include "tasks/seed_comparison.h"
#include "tasks/seed_runs.h"
#include "train/benchmark.h"
#include "train/config_files.h"
#include "train/device_table.h"
#include "train/dry_run.h"
#include "train/profile.h"
#include "train/run_directory.h"
#include "train/trainer.h"

namespace {

using namespace gfsa;

struct Arguments {
  std::string config, resume, seeds, help_key, show_batch;
  std::vector<std::string> overrides;
  bool dry_run = false, print_config = false, devices = false;
  int benchmark = 0, profile = 0;
  CLI::Option *resume_option = nullptr, *help_option = nullptr;
};

constexpr const char* kDescription =
    "Trains a transformer as one YAML file says, and writes everything it learns about the run to one folder: "
    "weights,\n"
    "metrics, curves (run_dir; runs/<name of the YAML file> unless the file sets it).";

constexpr const char* kFooter = R"(Examples:
  gfsa-train --config vit_gfsa.yaml                               train
  gfsa-train --config vit_gfsa.yaml attention=softmax seed=1      the same with other values
  gfsa-train --config vit_gfsa.yaml --dry-run                     would it run? parameters, memory, one step
  gfsa-train --config vit_gfsa.yaml --print-config                every value and where it comes from
  gfsa-train --resume runs/vit_gfsa                               go on where it stopped, bit for bit
  gfsa-train --resume runs/vit_gfsa train.epochs=20               go on for longer
  gfsa-train --config vit_gfsa.yaml --seeds 0,1,2                 three runs, in runs/vit_gfsa/seed-0, seed-1, seed-2
  gfsa-train --config vit_gfsa.yaml --profile 5                   where a step's time goes; in runs/vit_gfsa/profile.md
  gfsa-train --help-config optimizer.lr                           what a key means
  gfsa-train --devices                                            what `device` can be here, and why not

Signals: Ctrl-C and SIGTERM end the run after the current step with a checkpoint, SIGUSR1 writes one and goes on; a
second Ctrl-C ends at once. GFSA_LOG=debug|info|warn|error|off sets how much is logged.
Exit codes: 0 done, 1 failed while running, 2 bad input, 130/143 interrupted with a checkpoint written.)";

void declare(CLI::App& app, Arguments& a) {
  app.description(kDescription);
  app.footer(kFooter);
  app.add_option("--config", a.config, "The YAML file: as given, or in configs/ here or where the program is")
      ->type_name("FILE");
  app.add_option("overrides", a.overrides, "Values that replace the file's")->type_name("KEY=VALUE");
  a.resume_option = app.add_option("--resume", a.resume,
                                   "Go on from the newest checkpoint of the run in DIR (default: the config's run_dir)")
                        ->expected(0, 1)
                        ->type_name("DIR");
  app.add_option("--seeds", a.seeds,
                 "Train with each of these seeds, one after the other, in run_dir/seed-N; what is finished is skipped, "
                 "what is not goes on")
      ->type_name("N,N,...");
  app.add_flag("--dry-run", a.dry_run,
               "Build everything, make one step, evaluate one batch, write one checkpoint; leave nothing behind");
  app.add_flag("--print-config", a.print_config, "Print every value and where it comes from");
  a.help_option = app.add_option("--help-config", a.help_key, "Explain the YAML's keys, or one key or section")
                      ->expected(0, 1)
                      ->type_name("KEY");
  app.add_flag("--devices", a.devices, "List the values of `device`: what is there, and why the others are not");
  app.add_option("--show-batch", a.show_batch, "Draw an augmented training batch with its labels; of text, write it")
      ->type_name("FILE");
  app.add_option("--benchmark", a.benchmark, "Time N training steps on one batch and print JSON")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000).description(""));
  app.add_option(
         "--profile", a.profile,
         "Train two steps, record the next N, write run_dir/profile.md (time, FLOP/s and bytes/s by op, against "
         "what this machine can do) and run_dir/profile.json (a trace for ui.perfetto.dev), and stop; leaves no "
         "run behind")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000).description(""));
}

// `--resume seed=1`: a folder is meant to stand there, but an override does.
void sort_out(Arguments& a) {
  if (a.resume.find('=') == std::string::npos || Env::real().exists(a.resume)) return;
  a.overrides.insert(a.overrides.begin(), a.resume);
  a.resume.clear();
}

std::string config_file(const Arguments& a) {
  if (!a.config.empty()) return train::find_config(a.config, train::config_folders());
  if (a.resume.empty()) {
    for (const auto& word : a.overrides) {
      if (word.find('=') == std::string::npos) bad_input("--config is missing; did you mean --config {}?", word);
    }
    bad_input(
        "--config FILE is missing, for example: gfsa-train --config vit_gfsa.yaml\n"
        "(or --resume DIR, to go on with a run; gfsa-train --help explains all options)");
  }
  train::RunDirectory(Env::real(), a.resume).require_run();
  return a.resume + "/config.yaml";
}

// With --seeds, and with --resume of a folder that such runs are in.
int run_seeds(const Arguments& a) {
  const char* other = a.print_config    ? "--print-config"
                      : a.benchmark > 0 ? "--benchmark"
                      : a.profile > 0   ? "--profile"
                                        : "--show-batch";
  if (a.print_config || a.benchmark > 0 || a.profile > 0 || !a.show_batch.empty()) {
    bad_input("{} is of one run; leave out --seeds", other);
  }
  for (const auto& word : a.overrides) {
    if (word.starts_with("seed=")) bad_input("{}: --seeds says which seeds; leave one of the two out", word);
  }
  tasks::SeedRequest request;
  if (!a.config.empty() || a.resume.empty()) request.config_file = config_file(a);
  request.run_dir = a.resume;
  request.overrides = a.overrides;
  request.seeds = a.seeds.empty() ? tasks::seeds_in(a.resume, Env::real()) : tasks::parse_seeds(a.seeds);
  request.resume = a.resume_option->count() > 0;
  request.dry_run = a.dry_run;
  return tasks::train_seeds(request);
}

// --profile trains, so it stands beside no option that does something else.
void require_profile_alone(const Arguments& a) {
  if (a.profile == 0) return;
  if (a.resume_option->count() > 0) bad_input("--profile starts from the initial weights; leave out --resume");
  const char* other = a.dry_run               ? "--dry-run"
                      : a.benchmark > 0       ? "--benchmark"
                      : !a.show_batch.empty() ? "--show-batch"
                      : a.print_config        ? "--print-config"
                                              : nullptr;
  if (other != nullptr) bad_input("--profile and {}: leave one of the two out", other);
}

int show(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  return kExitDone;
}

int run(Arguments a) {
  sort_out(a);
  train::RunConfig config(tasks::task_registry());
  if (a.help_option->count() > 0)
    return show(a.help_key.empty() ? config::help(config) : config::help(config, a.help_key));
  if (a.devices) return show(train::device_table());
  if (!a.seeds.empty() || (!a.resume.empty() && tasks::holds_seed_runs(a.resume))) return run_seeds(a);
  require_profile_alone(a);
  const auto resolved = config::load(config, config_file(a), a.overrides);
  if (!a.resume.empty()) {
    config.run_dir = a.resume;
  } else if (config.run_dir.empty()) {
    config.run_dir = train::default_run_dir(resolved.file);
  }
  if (a.print_config) return show(config::print_config_with_origins(config, resolved));
  train::apply_machine_settings(config, resolved);
  if (a.benchmark > 0) return train::run_benchmark(config, a.benchmark);
  if (a.dry_run) return train::dry_run(config);
  if (a.profile > 0) return train::run_profile(config, a.profile);
  if (!a.show_batch.empty()) return train::show_batch(config, a.show_batch);
  return train::run_training(config, config::print_config(config), a.resume_option->count() > 0);
}

}  // namespace

int main(int argc, char** argv) { return apps::run_program<Arguments>("gfsa-train", argc, argv, declare, run); }
