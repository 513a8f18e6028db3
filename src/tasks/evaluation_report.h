// evaluation_report.h -- what gfsa-eval says about one model on one split.
//
// Intervals hold 95% (z = 1.95996):
//   proportions (top-1, top-5)   Wilson's score interval (Wilson 1927, JASA 22): never below 0 or above 100%, and right
//                                for few samples and for accuracies near 0 or 1, where p +- z sqrt(p (1 - p) / n) is
//                                not
//   mean loss                    normal: mean +- z s / sqrt(n), s the samples' standard deviation (n - 1)
// They say how far another draw of as many samples could fall, not how far another training run could.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/env.h"
#include "formats/plot.h"
#include "tasks/trained_model.h"

namespace gfsa::tasks {

struct Estimate {
  double value = 0, low = 0, high = 0;  // NaN where there is none
};

// In percent. n >= 1.
Estimate wilson_interval(int64_t hits, int64_t n);
// At least one value; of one value, low and high are NaN.
Estimate mean_interval(const std::vector<double>& values);

struct ClassFigures {
  std::string name;
  int64_t samples = 0, hits = 0;
  int64_t mistake = -1, mistake_count = 0;  // the wrong class predicted most often, the first of equals; -1: none
};

struct EvaluationReport {
  std::string name, weights, split, model, attention, precision;
  bool averaged = false;
  int64_t step = -1, epochs = -1;  // -1: not known
  int64_t parameters = 0;
  int64_t samples = 0;
  double seconds = 0;
  Estimate top1, top5, loss;
  std::vector<ClassFigures> classes;
  std::vector<int64_t> confusion;  // [classes, classes]: rows are the truth, columns the prediction

  double samples_per_second() const { return static_cast<double>(samples) / seconds; }
};

// Figures of samples; classes without a name are called "class 12". At least one sample.
EvaluationReport summarize(const std::vector<ImageEvaluation::Sample>& samples,
                           const std::vector<std::string>& class_names, int64_t classes);

// Evaluates. Bad input: a split that the data does not have, more classes in the data than in the model.
EvaluationReport evaluate(TrainedModel& trained, const std::string& split, int64_t batch_size);

// For a terminal: figures with intervals, then a table of the classes.
std::string to_text(const EvaluationReport& report);
// `confusion` is a list of rows; it is left out above 100 classes.
std::string to_json(const EvaluationReport& report);
// Rows in whole percent of their class's samples; a class without samples stays white.
HeatMap confusion_map(const EvaluationReport& report);
// As confusion_SPLIT.png (confusion_SPLIT_ema.png) in `folder`, or if that is "" in eval/ of the run directory. Returns
// the path; "" if there is neither folder nor run directory and nothing was written.
std::string save_confusion(Env& env, const std::string& folder, const TrainedModel& trained,
                           const EvaluationReport& report);

}  // namespace gfsa::tasks
