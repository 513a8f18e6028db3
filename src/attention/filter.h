// filter.h -- what makes the coefficients of attention.h. A published filter is one file with two classes: its keys
// (FilterConfig) and its parameters in one layer (Filter); and one line in registry.cpp.
#pragma once

#include <memory>
#include <string>

#include "config/registry.h"
#include "config/schema.h"
#include "params/parameters.h"

namespace gfsa {

// One layer's filter.
class Filter {
 public:
  virtual ~Filter() = default;
  // [H, degree + 2] = (cu, c0, c1, ..., ck), in the parameters' type, differentiable in them. Undefined: plain softmax.
  virtual Tensor coefficients() const = 0;
};

// The keys that stand beside `variant` in YAML.
class FilterConfig {
 public:
  virtual ~FilterConfig() = default;
  virtual void describe(config::Schema& s) = 0;
  virtual std::unique_ptr<FilterConfig> clone() const = 0;
  virtual int64_t degree() const = 0;  // 0: plain softmax
  // Declares the parameters below the attention layer's scope ("blocks.3.attn"). The filter outlives this config.
  virtual std::unique_ptr<Filter> build(const Scope& attention, int64_t heads) const = 0;
};

// What YAML can name; the list stands in registry.cpp.
const config::Registry<FilterConfig>& filter_registry();

}  // namespace gfsa
