// implementations.h -- the ordered list of what can compute an attention; `form: auto` takes the first that accepts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "attention/attention.h"
#include "attention/kernels/problem.h"

namespace gfsa {

struct Implementation {
  const char* name;
  AttentionForm form;
  // nullopt: it can serve. Else a clause that follows its name and ends with the way out.
  std::optional<std::string> (*why_not)(const AttentionCase&);
  // Likewise, of a case that it can serve: why `form: auto` takes another all the same.
  std::optional<std::string> (*why_not_automatic)(const AttentionCase&);
  // Writes out; returns what backward needs besides the problem, if `save`.
  kernels::Saved (*forward)(const kernels::Problem&, const Tensor& out, bool save);
  void (*backward)(const kernels::Problem&, const kernels::Saved&, const Tensor& dout, const kernels::Gradients&);
};

const std::vector<Implementation>& attention_implementations();
const Implementation& find_implementation(const std::string& name);

}  // namespace gfsa
