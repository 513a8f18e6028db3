// finite.h -- whether tensors hold only finite numbers, judged on the device where they lie.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/tensor.h"

namespace gfsa::train {

// Row-major number of the first element that is NaN or infinite; nothing if there is none (integers: always nothing).
// Reads each element once; on a GPU a kernel looks first, and only a tensor that has such an element comes to the host.
// Waits for the device.
std::optional<int64_t> first_not_finite(const Tensor& t);

// i32 [n] on the tensors' device: 1 for a tensor with an element that is not finite, else 0. Integers count as finite.
// All must be contiguous and on one device. Nothing is waited for: the caller reads the result.
Tensor not_finite_flags(const std::vector<Tensor>& tensors);

template <DeviceType D>
struct FiniteKernels {
  // flag, i32 of one element on the same device, becomes 1 if an element of x is not finite, and stays as it is
  // otherwise. x: contiguous, floating, numel > 0.
  static void mark(const Tensor& x, const Tensor& flag);
};

}  // namespace gfsa::train
