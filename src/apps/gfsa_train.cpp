// gfsa-train: from argv to a call.
#include <CLI/CLI.hpp>

#include <cstdio>

#include "base/error.h"
#include "base/log.h"
#include "config/help.h"
#include "config/printer.h"
#include "config/reader.h"
#include "tasks/registry.h"
#include "train/benchmark.h"
#include "train/dry_run.h"
#include "train/trainer.h"

namespace {

using namespace gfsa;

struct Arguments {
  std::string config, resume, help_key, show_batch;
  std::vector<std::string> overrides;
  bool dry_run = false, print_config = false;
  int benchmark = 0;
  CLI::Option *resume_option = nullptr, *help_option = nullptr;
};

void declare(CLI::App& app, Arguments& a) {
  app.description("Trains a transformer from one YAML file.");
  app.footer(
      "Examples:\n"
      "  gfsa-train --config vit_gfsa.yaml\n"
      "  gfsa-train --config image/cifar10_vit_gfsa.yaml data.path=cifar10.tar.gz attention=softmax seed=1\n"
      "  gfsa-train --resume runs/vit_gfsa\n"
      "  gfsa-train --help-config optimizer\n"
      "Exit codes: 0 done, 1 failed while running, 2 bad input, 130/143 interrupted with a checkpoint written.");
  app.add_option("--config", a.config, "The YAML file; looked for as given, then in configs/")->type_name("FILE");
  app.add_option("overrides", a.overrides, "Values that replace the file's: key.path=value")->type_name("KEY=VALUE");
  a.resume_option = app.add_option("--resume", a.resume, "Go on with the run in DIR (default: the config's run_dir) from its newest checkpoint")
                        ->expected(0, 1)
                        ->type_name("DIR");
  app.add_flag("--dry-run", a.dry_run, "Build everything, run one batch, one evaluation batch and one checkpoint; leave nothing behind");
  app.add_flag("--print-config", a.print_config, "Print every value and where it comes from");
  a.help_option = app.add_option("--help-config", a.help_key, "Explain the YAML's keys, or one key or section")->expected(0, 1)->type_name("KEY");
  app.add_option("--show-batch", a.show_batch, "Write a picture of an augmented training batch")->type_name("PNG");
  app.add_option("--benchmark", a.benchmark, "Time N training steps on one batch and print JSON")->type_name("N")->check(CLI::PositiveNumber);
}

int run(const Arguments& a) {
  train::RunConfig config(tasks::task_registry());
  if (a.help_option->count() > 0) {
    std::fputs((a.help_key.empty() ? config::help(config) : config::help(config, a.help_key)).c_str(), stdout);
    return kExitDone;
  }
  const bool resume = a.resume_option->count() > 0;
  std::string file = a.config;
  if (file.empty() && resume && !a.resume.empty()) file = a.resume + "/config.yaml";
  if (file.empty()) bad_input("--config FILE is missing; try gfsa-train --help");
  const auto resolved = config::load(config, file, a.overrides);
  if (resume && !a.resume.empty()) config.run_dir = a.resume;
  if (a.print_config) {
    std::fputs(config::print_config_with_origins(config, resolved).c_str(), stdout);
    return kExitDone;
  }
  train::apply_machine_settings(config);
  if (a.benchmark > 0) return train::run_benchmark(config, a.benchmark);
  if (a.dry_run) return train::dry_run(config);
  if (!a.show_batch.empty()) return train::show_batch(config, a.show_batch);
  std::string checkpoint;
  if (resume) {
    checkpoint = train::CheckpointStore(Env::real(), config.run_dir).latest();
    if (checkpoint.empty()) bad_input("--resume: {} has no checkpoint", config.run_dir);
    train::RunConfig before(tasks::task_registry());
    config::load(before, config.run_dir + "/config.yaml");
    ErrorList changed;
    for (const auto& line : config::resume_diff(before, config)) changed.add("--resume: the run was made with another value of " + line);
    changed.throw_if_any();
  }
  return train::run_training(config, config::print_config(config), checkpoint);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app;
  Arguments arguments;
  declare(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kExitDone : kExitBadInput;
  }
  log::set_up();
  try {
    return run(arguments);
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.message().c_str());
    return e.exit_code();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "failed: %s\n", e.what());
    return kExitFailed;
  }
}
