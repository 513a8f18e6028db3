// gfsa-eval: from argv to a call.
#include <CLI/CLI.hpp>

#include <cstdio>

#include "apps/program.h"
#include "base/error.h"
#include "base/log.h"
#include "tasks/comparison_table.h"
#include "tasks/evaluation_report.h"
#include "tasks/generation_report.h"
#include "tasks/registry.h"
#include "tasks/seed_comparison.h"
#include "train/verify.h"

namespace {

using namespace gfsa;

struct Arguments {
  std::vector<std::string> words, data;  // words: runs and overrides, told apart by '='
  std::string config, split, output, output_dir, predict, diagnose, verify;
  int64_t batch_size = 0, diagnose_samples = 32;
  train::GenerateRequest generate;
  bool ema = false, best = false;
};

void declare(CLI::App& app, Arguments& a) {
  app.description("Evaluates trained models.");
  app.footer(
      "Examples:\n"
      "  gfsa-eval runs/vit_gfsa\n"
      "  gfsa-eval runs/vit_gfsa --best --ema --output results.json\n"
      "  gfsa-eval runs/vit_gfsa/checkpoints/step-00001200 --split test --data path=cifar10.tar.gz\n"
      "  gfsa-eval deit_small.safetensors --config image/deit_small_12_softmax.yaml --data path=imagenet\n"
      "  gfsa-eval runs/softmax runs/gfsa --output table.csv\n"
      "  gfsa-eval runs/softmax/seed-* runs/gfsa --output table.csv   mean, spread and test over seeds as well\n"
      "  gfsa-eval runs/vit_gfsa --predict in.safetensors --output out.safetensors\n"
      "  gfsa-eval runs/vit_gfsa --diagnose figures\n"
      "  gfsa-eval runs/bert_cola --predict test --output CoLA.tsv\n"
      "  gfsa-eval runs/gpt --generate 'ROMEO:' --max-tokens 200 --temperature 0.8 --top-k 40\n"
      "  gfsa-eval --verify runs/vit_gfsa\n"
      "Exit codes: 0 done, 1 failed while running, 2 bad input.");
  app.add_option("runs", a.words,
                 "A run directory (its newest checkpoint), a checkpoint folder or a .safetensors file; several make a "
                 "table, a folder of seed-N runs stands for all of them. KEY=VALUE replaces a value of their configs")
      ->type_name("RUN|KEY=VALUE ...");
  app.add_option("--config", a.config, "The YAML of a bare .safetensors file")->type_name("FILE");
  app.add_option("--data", a.data, "Short for data.KEY=VALUE; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option("--split", a.split, "Which part of the data (default: the config's eval.split)")->type_name("NAME");
  app.add_flag("--ema", a.ema, "Use the averaged weights");
  app.add_flag("--best", a.best, "Of a run, the checkpoint with the best evaluation instead of the newest");
  app.add_option("--batch-size", a.batch_size,
                 "Samples loaded at once, rounded up to whole blocks of 32; changes no result")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  app.add_option(
         "--output", a.output,
         "Results as .json, or as .csv with a line a run; of several also NAME_variants.csv and .png; for --generate "
         "texts and tokens a second as .json; for --predict a .safetensors file")
      ->type_name("FILE");
  app.add_option("--output-dir", a.output_dir, "Where the confusion matrix goes (default: eval/ in the run directory)")
      ->type_name("DIR");
  app.add_option("--predict", a.predict,
                 "Write predictions. Of pictures: `logits` for the tensor `images` (F32 [N, C, H, W], normalised) of a "
                 ".safetensors file; opens no data. Of texts: a .tsv in GLUE's submission format for a split or table")
      ->type_name("FILE|SPLIT");
  app.add_option("--generate", a.generate.prompts, "Write on from this text; may be repeated")
      ->type_name("PROMPT")
      ->allow_extra_args(false);
  app.add_option("--max-tokens", a.generate.max_tokens,
                 "New tokens of each text, at most (100); fewer where a text fills the model's positions")
      ->type_name("N")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 24).description(""));
  app.add_option("--temperature", a.generate.temperature,
                 "Below 1: likely tokens become likelier; 0: always the likeliest (1)")
      ->type_name("T")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--top-k", a.generate.top_k, "Only so many likeliest tokens; 0: all (0)")
      ->type_name("K")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--top-p", a.generate.top_p, "Only the likeliest tokens that have this probability together (1)")
      ->type_name("P")
      ->check(CLI::Range(0.0, 1.0).description(""));
  app.add_option("--repetition-penalty", a.generate.repetition_penalty,
                 "Above 1: tokens that the text has already become less likely (1)")
      ->type_name("R")
      ->check(CLI::PositiveNumber);
  app.add_option("--seed", a.generate.seed, "Of --generate: the same text for the same seed (0)")->type_name("N");
  app.add_option("--diagnose", a.diagnose,
                 "Write frequency responses, token similarity, singular values and coefficients as CSV and PNG")
      ->type_name("DIR");
  app.add_option("--verify", a.verify,
                 "Read every byte of a run directory and say what is whole and what is damaged (exit code 2)")
      ->type_name("RUN");
  app.add_option("--diagnose-samples", a.diagnose_samples, "Pictures that --diagnose looks at, evenly spaced (32)")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
}

// Sorts the words into models to load, and judges what can be judged before anything is loaded.
std::vector<tasks::ModelChoice> choices_of(const Arguments& a) {
  std::vector<std::string> runs, overrides;
  for (const auto& word : a.words) {
    const bool is_override = word.find('=') != std::string::npos && !Env::real().exists(word);
    (is_override ? overrides : runs).push_back(word);
  }
  for (const auto& assignment : a.data) overrides.push_back("data." + assignment);
  if (runs.empty())
    bad_input(
        "nothing to evaluate: name a run directory, a checkpoint folder or a .safetensors file; see gfsa-eval --help");
  const auto ends = [&](const char* extension) { return a.output.ends_with(extension); };
  if (!a.predict.empty()) {
    if (!a.diagnose.empty()) bad_input("--predict and --diagnose: choose one");
    if (a.output.empty()) bad_input("--predict: --output must name the file to write");
  } else if (!a.output.empty() && !ends(".json") && !ends(".csv")) {
    bad_input("--output {}: expected a name that ends in .json or .csv", a.output);
  } else if (!a.generate.prompts.empty() && ends(".csv")) {
    bad_input("--output {}: --generate writes .json", a.output);
  } else if (!a.diagnose.empty() && !a.output.empty()) {
    bad_input("--diagnose writes into its own folder; leave out --output");
  }
  const char* of_one = !a.predict.empty()            ? "--predict"
                       : !a.diagnose.empty()         ? "--diagnose"
                       : !a.generate.prompts.empty() ? "--generate"
                                                     : nullptr;
  runs = tasks::expand_seed_folders(runs, Env::real());
  if (runs.size() > 1 && of_one != nullptr) bad_input("{}: takes one model, {} are named", of_one, runs.size());
  std::vector<tasks::ModelChoice> out;
  for (const auto& run : runs) out.push_back({run, a.config, overrides, a.ema, a.best});
  return out;
}

int run(const Arguments& a) {
  Env& env = Env::real();
  if (!a.verify.empty()) {
    const auto rows = train::verify_run(env, tasks::task_registry(), a.verify);
    std::fputs(train::to_text(rows).c_str(), stdout);
    return train::all_good(rows) ? kExitDone : kExitBadInput;
  }
  std::vector<tasks::EvaluationReport> reports;
  std::vector<tasks::SeedRun> seed_runs;
  const auto choices = choices_of(a);
  for (const auto& choice : choices) {
    tasks::TrainedModel trained(choice);
    const std::string split = a.split.empty() ? trained.config().eval.split : a.split;
    const int64_t batch_size = a.batch_size > 0 ? a.batch_size : trained.batch_size();
    const ForwardContext context = trained.config().evaluation_context();
    if (!a.predict.empty()) {
      const train::PredictRequest request{a.predict, a.output, trained.weights(), batch_size};
      std::printf("%s\n", trained.task().predict(request, context, env).c_str());
      return kExitDone;
    }
    if (!a.diagnose.empty()) {
      const auto paths = trained.task().diagnose(split, a.diagnose_samples, a.diagnose, context, env);
      std::printf("%s\n", fmt::format("{}", fmt::join(paths, "\n")).c_str());
      return kExitDone;
    }
    if (!a.generate.prompts.empty()) {
      const auto made = trained.task().generate(a.generate, context);
      std::fputs(tasks::to_text(a.generate, made).c_str(), stdout);
      log::info("{}", tasks::speed_text(made));
      if (!a.output.empty()) env.write(a.output, tasks::to_json(a.generate, made));
      return kExitDone;
    }
    reports.push_back(tasks::evaluate(trained, split, batch_size));
    seed_runs.push_back(tasks::seed_run_of(trained, reports.back()));
    if (choices.size() > 1) continue;
    std::fputs(tasks::to_text(reports.back()).c_str(), stdout);
    for (const auto& [title, path] : tasks::save_pictures(env, a.output_dir, trained, reports.back())) {
      std::printf("\n%s: %s\n", title.c_str(), path.c_str());
    }
  }
  tasks::require_comparable(reports);
  if (!a.output.empty()) tasks::save_reports(env, a.output, reports);
  if (reports.size() > 1) {
    const auto variants = tasks::group_by_config(seed_runs);
    std::printf("%s\n%s", tasks::comparison_text(reports).c_str(), tasks::variants_text(variants).c_str());
    if (!a.output.empty()) tasks::save_variants(env, a.output, variants);
  }
  return kExitDone;
}

}  // namespace

int main(int argc, char** argv) { return apps::run_program<Arguments>("gfsa-eval", argc, argv, declare, run); }
