// glue.h -- GLUE's nine tasks in its own files (Wang et al. 2019, arXiv 1804.07461): a folder with train.tsv, dev.tsv
// and test.tsv (MNLI: dev_matched.tsv, dev_mismatched.tsv and test_*), each also as .gz.
//
// Quoting is off in all of them. CoLA's train and dev have no heading; MRPC's begins with a byte order mark; QQP's has
// rows that end too early, which are left out as everybody does. Test sets have no labels.
#pragma once

#include <string>
#include <vector>

#include "data/text/text_source.h"

namespace gfsa::data {

// What is known of a task.
struct GlueTask {
  std::string name;                  // "mnli", as `data.task` says it
  std::string text, pair;            // columns; pair "": single texts
  std::string label;                 // column, in train and dev
  std::vector<std::string> labels;   // as the files have them, in the order of Hugging Face's ids; empty: a score
  std::vector<std::string> classes;  // what they mean
  std::string metric;                // that the GFSA paper reports (arXiv 2312.04234, table 1)
  std::string submission;            // GLUE's name for the file of predictions on the test set
};
const std::vector<GlueTask>& glue_tasks();

struct GlueConfig final : TextSourceConfig {
  std::string task;
  std::string path;
  void describe(config::Schema& s) override;
  std::unique_ptr<TextSource> open(const std::string& split) const override;
  std::string primary_metric() const override;
  std::vector<std::string> label_names() const override;
  std::pair<double, double> score_range() const override;

 private:
  const GlueTask& the_task() const;
};

}  // namespace gfsa::data
