// forward_context.h -- what a forward pass depends on beside its inputs and parameters.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/device.h"
#include "core/dtype.h"
#include "core/philox.h"

namespace gfsa {

struct ForwardContext {
  bool training = false;
  uint64_t seed = 0;
  uint64_t step = 0;     // optimizer step: dropout differs from step to step
  uint32_t sample0 = 0;  // number of the batch's first sample within the step: accumulation changes no random number
  // On a GPU, in place of step and as a part of sample0, or null: RandomKey::on_device.
  const uint32_t* step_on_device = nullptr;
  // dtype of activations between matrix products: f32, bf16 (`precision: bf16`) or f64 (exact comparisons). The
  // residual stream, norms, softmax and losses are in accumulator_of(compute).
  DType compute = DType::f32;
  Device device;  // where parameters are, and inputs must be

  DType residual() const { return accumulator_of(compute); }
  // Random numbers of one place in the model, e.g. key("blocks.3.drop_path1").
  RandomKey key(std::string_view place) const {
    RandomKey key(seed, place, step);
    key.on_device = step_on_device;
    return key;
  }
};

}  // namespace gfsa
