// image_report.h -- the report of an image classifier from its samples.
#pragma once

#include "tasks/evaluation_report.h"
#include "tasks/image_classification.h"

namespace gfsa::tasks {

inline EvaluationReport image_report(const std::vector<ImageEvaluation::Sample>& samples,
                                     const std::vector<std::string>& class_names, int64_t classes) {
  EvaluationReport r;
  r.samples = static_cast<int64_t>(samples.size());
  r.figures = ImageEvaluation::image_figures(samples);
  r.details = ImageEvaluation::image_details(samples, class_names, classes);
  return r;
}

}  // namespace gfsa::tasks
