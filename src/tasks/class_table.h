// class_table.h -- what a classifier did with the samples of each class: a table, and the confusion matrix.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "formats/plot.h"
#include "train/evaluation.h"

namespace gfsa::tasks {

struct ClassFigures {
  std::string name;
  int64_t samples = 0, hits = 0;
  int64_t mistake = -1, mistake_count = 0;  // the wrong class predicted most often, the first of equals; -1: none
};

class ClassTable : public train::EvaluationDetails {
 public:
  // Pairs of true and predicted class; classes without a name are called "class 12". hit_name: what the share of hits
  // is called in files and for people: {"top1", "top-1"}.
  ClassTable(const std::vector<std::pair<int64_t, int64_t>>& samples, const std::vector<std::string>& class_names,
             int64_t classes, std::pair<std::string, std::string> hit_name);

  const std::vector<ClassFigures>& classes() const { return classes_; }
  // [classes, classes]: rows are the truth, columns the prediction.
  const std::vector<int64_t>& confusion() const { return confusion_; }
  // Rows in whole percent of their class's samples; a class without samples stays white.
  HeatMap confusion_map(const std::string& title) const;

  std::string text() const override;
  // `classes`, and `confusion` as a list of rows; it is left out above 100 classes.
  void add_to(nlohmann::ordered_json& report) const override;
  std::vector<std::pair<std::string, std::string>> draw(Env& env, const std::string& folder, const std::string& suffix,
                                                        const std::string& title) const override;

 private:
  std::vector<ClassFigures> classes_;
  std::vector<int64_t> confusion_;
  std::pair<std::string, std::string> hit_name_;
};

}  // namespace gfsa::tasks
