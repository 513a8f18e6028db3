// segments.h -- what the kernels of all optimizers share.
#pragma once

#include <limits>

#include "ops/cuda/rows.h"
#include "optim/optimizer.h"
#include "optim/update_kernels.h"
#include "optim/update_math.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

inline constexpr int kUpdateThreads = 256;

// Of one step, as a kernel's argument: what is known on the host. `factor` gives way to the device's, if there is one.
struct ScaleOnHost {
  double factor;
  float limit;
};

// The factor of every gradient; NaN: the step changes nothing.
GFSA_DEVICE float factor_of(ScaleOnHost scale, Global<const double> on_device, Where where = Where::current()) {
  return static_cast<float>(on_device != nullptr ? load(on_device, 0, where) : scale.factor);
}
GFSA_DEVICE bool is_nan(float x) { return x != x; }

struct SegmentOnDevice {
  int64_t begin, count;
  int group, parameter;
};
GFSA_DEVICE SegmentOnDevice load_segment(Global<const int64_t> table, int64_t index, Where where = Where::current()) {
  const int64_t at = index * kSegmentColumns;
  return {load(table, at, where), load(table, at + 1, where), static_cast<int>(load(table, at + 2, where)),
          static_cast<int>(load(table, at + 3, where))};
}

// The coefficients of up to kMost groups as an argument; more groups take more launches.
template <class Rule>
struct Rules {
  static constexpr int kMost = 64;
  Rule of_group[kMost];
};
// f(rules, first group) for every portion of them.
template <class Rule, class F>
void for_each_portion(const std::vector<Rule>& rules, const F& f) {
  for (size_t first = 0; first < rules.size(); first += Rules<Rule>::kMost) {
    Rules<Rule> portion{};
    for (size_t i = 0; i < Rules<Rule>::kMost && first + i < rules.size(); ++i) {
      portion.of_group[i] = rules[first + i];
    }
    f(portion, static_cast<int>(first));
  }
}

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa {

inline GFSA_DEVICE_NAMESPACE::ScaleOnHost on_host(const GradientScale& scale) {
  return {scale.factor, static_cast<float>(scale.limit)};
}
inline const double* on_device_or_null(const GradientScale& scale) {
  return scale.on_device ? scale.on_device.data<double>() : nullptr;
}
inline Launch a_block_each(const char* op, int64_t blocks) {
  return {.grid = {static_cast<uint32_t>(blocks)}, .block = {GFSA_DEVICE_NAMESPACE::kUpdateThreads}, .op = op};
}

}  // namespace gfsa
