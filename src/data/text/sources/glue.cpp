#include "data/text/sources/glue.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "data/text/sources/labelled_table.h"

namespace gfsa::data {
namespace {

// Files of a split, the likeliest first.
std::vector<std::string> file_stems(const GlueTask& task, const std::string& split) {
  if (task.name == "mnli") {
    if (split == "val" || split == "val_matched" || split == "dev_matched") return {"dev_matched"};
    if (split == "val_mismatched" || split == "dev_mismatched") return {"dev_mismatched"};
    if (split == "test" || split == "test_matched") return {"test_matched"};
    if (split == "test_mismatched") return {"test_mismatched"};
    if (split == "diagnostic") return {"diagnostic", "AX"};
  }
  if (split == "val" || split == "dev") return {"dev"};
  if (split == "train" || split == "test") return {split};
  bad_input("data: GLUE's {} has no split '{}', expected train, val{} or test{}", task.name, split,
            task.name == "mnli" ? ", val_mismatched" : "", task.name == "mnli" ? ", test_mismatched, diagnostic" : "");
}

std::string find_split(const GlueTask& task, const std::string& folder, const std::string& split) {
  Env& env = Env::real();
  const auto stems = file_stems(task, split);
  for (const auto& stem : stems) {
    for (const char* ending : {".tsv", ".tsv.gz"}) {
      if (env.exists(folder + "/" + stem + ending)) return folder + "/" + stem + ending;
    }
  }
  if (!env.is_directory(folder)) bad_input("data.path: {} is no folder, expected that of GLUE's {}", folder, task.name);
  bad_input("data.path: {} has no {}.tsv, which the split '{}' of GLUE's {} is in{}", folder, stems[0], split,
            task.name, did_you_mean(stems[0] + ".tsv", env.list(folder)));
}

}  // namespace

const std::vector<GlueTask>& glue_tasks() {
  static const std::vector<std::string> kEntailment{"entailment", "not_entailment"};
  static const std::vector<GlueTask> tasks{
      {"cola", "sentence", "", "label", {"0", "1"}, {"unacceptable", "acceptable"}, "matthews", "CoLA"},
      {"sst2", "sentence", "", "label", {"0", "1"}, {"negative", "positive"}, "accuracy", "SST-2"},
      {"mrpc", "#1 String", "#2 String", "Quality", {"0", "1"}, {"not_equivalent", "equivalent"}, "f1", "MRPC"},
      {"qqp", "question1", "question2", "is_duplicate", {"0", "1"}, {"not_duplicate", "duplicate"}, "f1", "QQP"},
      {"stsb", "sentence1", "sentence2", "score", {}, {}, "spearman", "STS-B"},
      {"mnli",
       "sentence1",
       "sentence2",
       "gold_label",
       {"entailment", "neutral", "contradiction"},
       {"entailment", "neutral", "contradiction"},
       "accuracy",
       "MNLI-m"},
      {"qnli", "question", "sentence", "label", kEntailment, kEntailment, "accuracy", "QNLI"},
      {"rte", "sentence1", "sentence2", "label", kEntailment, kEntailment, "accuracy", "RTE"},
      {"wnli", "sentence1", "sentence2", "label", {"0", "1"}, {"not_entailment", "entailment"}, "accuracy", "WNLI"}};
  return tasks;
}

const GlueTask& GlueConfig::the_task() const {
  std::vector<std::string> names;
  for (const auto& t : glue_tasks()) {
    if (t.name == task) return t;
    names.push_back(t.name);
  }
  bad_input("data.task: '{}', expected {}{}", task, one_of(names), did_you_mean(task, names));
}

void GlueConfig::describe(config::Schema& s) {
  std::vector<std::string> names;
  for (const auto& t : glue_tasks()) names.push_back(t.name);
  s.field("task", task).choices(names).required().doc("Which of the nine.");
  s.field("path", path).path().required().doc("The task's folder with train.tsv, dev.tsv and, to predict, test.tsv.");
}

std::unique_ptr<TextSource> GlueConfig::open(const std::string& split) const {
  const GlueTask& t = the_task();
  const std::string file = find_split(t, path, split);
  const bool test = split.starts_with("test") || split == "diagnostic";
  LabelledTable table;
  table.path = file;
  table.kind = fmt::format("glue {} {}", t.name, split);
  table.format.skip_short_rows = t.name == "qqp";
  if (t.name == "cola" && !test) table.format.columns = {"source", "label", "star", "sentence"};
  table.text = t.text;
  table.pair = t.pair;
  if (!test) table.label = t.label;
  if (test) table.id = t.name == "qqp" ? "id" : "index";
  table.labels = t.labels;
  table.class_names = t.classes;
  return table.open(Env::real());
}

std::string GlueConfig::primary_metric() const { return the_task().metric; }
std::vector<std::string> GlueConfig::label_names() const { return the_task().labels; }
std::pair<double, double> GlueConfig::score_range() const {
  if (the_task().labels.empty()) return {0, 5};
  return TextSourceConfig::score_range();
}

void register_glue(config::Registry<TextSourceConfig>& registry) {
  registry.add<GlueConfig>("glue", "A task of GLUE, in its own files.");
}

}  // namespace gfsa::data
