// evaluation_report.h -- what gfsa-eval says about one model on one split, whatever its task.
//
// Intervals hold 95%. They say how far another draw of as many samples could fall, not how far another training run
// could.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/env.h"
#include "tasks/trained_model.h"
#include "train/evaluation.h"

namespace gfsa::tasks {

struct EvaluationReport {
  std::string name, weights, split, model, attention, precision;
  bool averaged = false;
  int64_t step = -1, epochs = -1;  // -1: not known
  int64_t parameters = 0;
  int64_t samples = 0;
  double seconds = 0;
  std::vector<train::Figure> figures;                       // the primary one first
  std::shared_ptr<const train::EvaluationDetails> details;  // null: the figures are all

  double samples_per_second() const { return static_cast<double>(samples) / seconds; }
};

// The figures and details of an evaluation, nothing else filled in but the number of samples.
EvaluationReport summarize(const train::Evaluation& evaluation, int64_t samples);

// Evaluates. Bad input: a split that the data does not have, data that does not fit the model.
EvaluationReport evaluate(TrainedModel& trained, const std::string& split, int64_t batch_size);

// For a terminal: figures with intervals, then the details.
std::string to_text(const EvaluationReport& report);
std::string to_json(const EvaluationReport& report, bool with_details = true);
// The details' pictures, NAME_SPLIT.png (NAME_SPLIT_ema.png) in `folder`, or if that is "" in eval/ of the run
// directory; nothing is drawn if there is neither. Returns titles and paths.
std::vector<std::pair<std::string, std::string>> save_pictures(Env& env, const std::string& folder,
                                                               const TrainedModel& trained,
                                                               const EvaluationReport& report);

}  // namespace gfsa::tasks
