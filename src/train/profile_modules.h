// profile_modules.h -- which part of the model each op of a recording belongs to, by the names of the parameters that
// it uses: "encoder.layer.3.attention.self.query".
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/profile.h"

namespace gfsa::train {

// Slots of parameters and their names.
using ParameterNames = std::map<const void*, std::string>;

struct Module {
  std::string path;    // "" if unknown, and for what is no op
  int64_t block = -1;  // the recording's module range (a block of nn/stack.h) that the op's forward lies in
};

// One a range. An op without parameters belongs to what those before and after it in its block have in common, else to
// the block; a backward where its forward does.
std::vector<Module> modules_of(const profile::Recording& recording, const ParameterNames& names);

// A path and what it lies in, outermost first; a number is one with the part before it: "encoder", "encoder.layer.3",
// "encoder.layer.3.attention".
std::vector<std::string> levels_of(const std::string& path);

// A part of the model as a table lists it: the block, or the first two levels of what lies in none.
std::string part_of(const std::string& path);

}  // namespace gfsa::train
