// comparison_table.h -- several models side by side: a line each.
#pragma once

#include <string>
#include <vector>

#include "tasks/evaluation_report.h"

namespace gfsa::tasks {

// All of them must have the same figures; bad input that names the first that has not.
void require_comparable(const std::vector<EvaluationReport>& reports);

// For a terminal: run, model, attention, parameters, epochs, the figures, samples/s. Below it the half width of the
// widest 95% interval of the primary figure, so that nobody reads noise.
std::string comparison_text(const std::vector<EvaluationReport>& reports);
// A header line, then numbers with all digits; unknown ones are empty. Quoted as RFC 4180 says.
std::string comparison_csv(const std::vector<EvaluationReport>& reports);
// A list of to_json(report), without the details.
std::string comparison_json(const std::vector<EvaluationReport>& reports);

// One file, by its name's end: .csv a line each; .json to_json(report) of one, comparison_json of several.
void save_reports(Env& env, const std::string& path, const std::vector<EvaluationReport>& reports);

}  // namespace gfsa::tasks
