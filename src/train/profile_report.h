// profile_report.h -- a recording as a table: where the time of a step goes, and how near each op comes to what the
// machine can do.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/profile.h"
#include "train/profile_modules.h"
#include "train/roofline.h"

namespace gfsa::train {

// Figures are those of all recorded steps together.
struct ProfileRow {
  std::string name;  // "linear"; "data wait"
  std::string
      pass;  // "forward", "backward", "recompute" (a forward within a backward), "evaluation"; "" of what is no op
  int64_t calls = 0;
  double seconds = 0;  // without ops and phases within it
  double flops = 0, bytes = 0;
  double bound = 0;  // seconds that the machine would need: Roofline::seconds of each call, added up
};

struct ProfilePart {
  std::string name;                  // part_of()
  double forward = 0, backward = 0;  // seconds of its ops; what is recomputed counts as backward
};

// Rows add up to step_seconds.
struct ProfileReport {
  int64_t steps = 0;
  double step_seconds = 0;         // of all steps
  std::vector<ProfileRow> ops;     // the slowest first
  std::vector<ProfileRow> rest;    // the slowest first
  std::vector<ProfilePart> parts;  // in the model's order
};

// Of ranges called "step" on the recording's first thread.
ProfileReport summarise(const profile::Recording& recording, const std::vector<Module>& modules,
                        const Roofline& roofline);

// facts: what was measured where, a line each.
std::string to_markdown(const ProfileReport& report, const std::vector<std::pair<std::string, std::string>>& facts);

}  // namespace gfsa::train
