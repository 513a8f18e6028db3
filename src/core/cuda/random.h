// random.h -- random numbers in kernels: a RandomKey and the number of the first sample as an argument.
#pragma once

#include "core/cuda/device.h"
#include "core/philox.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

// The numbers of one step.
struct Draws {
  RandomKey key;
  uint32_t sample0 = 0;

  GFSA_DEVICE std::array<uint32_t, 4> at(int64_t sample, uint64_t counter) const {
    return philox(key, sample0 + static_cast<uint32_t>(sample), counter);
  }
};

class DrawsOfStep {
 public:
  DrawsOfStep() = default;
  DrawsOfStep(const RandomKey& key, uint32_t sample0)
      : by_value_{key, sample0}, table_(key.on_device) {}  // on the host

  // Those of the step in which the kernel runs.
  GFSA_DEVICE Draws now(Where where = Where::current()) const {
    Draws d = by_value_;
    if (table_ == nullptr) return d;
    d.key.step = load(table_, 0, where);
    d.sample0 += load(table_, 1, where);
    return d;
  }

 private:
  Draws by_value_;
  Global<const uint32_t> table_{};
};

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
