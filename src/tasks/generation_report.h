// generation_report.h -- what --generate has made, for people and for programs.
#pragma once

#include <string>

#include "train/task.h"

namespace gfsa::tasks {

// Each prompt with its continuation.
std::string to_text(const train::GenerateRequest& request, const train::Generated& made);
// How fast the model read the prompts and wrote on, in one line.
std::string speed_text(const train::Generated& made);
// {"texts": [{"prompt", "continuation"} ...], "prompts": {"tokens", "seconds", "tokens_per_second"}, "steps": {...}};
// see train::Generated. Bytes that are no UTF-8 become U+FFFD.
std::string to_json(const train::GenerateRequest& request, const train::Generated& made);

}  // namespace gfsa::tasks
