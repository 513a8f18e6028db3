// segments.h -- what the kernels of all optimizers share.
#pragma once

#include <cstring>
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

// The rule of a group, of Optimizer::rules().
template <class Rule>
GFSA_DEVICE Rule load_rule(Global<const uint32_t> rules, int64_t group, Where where = Where::current()) {
  constexpr int kWords = static_cast<int>(sizeof(Rule) / sizeof(uint32_t));
  uint32_t words[kWords];
  for (int i = 0; i < kWords; ++i) words[i] = load(rules, group * kWords + i, where);
  Rule rule;
  memcpy(static_cast<void*>(&rule), words, sizeof(Rule));
  return rule;
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
