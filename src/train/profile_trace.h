// profile_trace.h -- a recording in the Trace Event Format, which chrome://tracing and ui.perfetto.dev open.
// https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
#pragma once

#include <string>
#include <vector>

#include "core/profile.h"
#include "train/profile_modules.h"

namespace gfsa::train {

// Complete events ("X") of the categories phase, module, forward and backward, which nest by their times; metadata
// events with the threads' names. Ranges of modules are made from `modules`, as of ops that follow each other; args of
// ops have module, flops and bytes. facts: stand in otherData.
std::string trace_json(const profile::Recording& recording, const std::vector<Module>& modules,
                       const std::vector<std::pair<std::string, std::string>>& facts);

}  // namespace gfsa::train
