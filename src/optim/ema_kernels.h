// ema_kernels.h -- what optim/ema.cpp needs of a device.
#pragma once

#include "core/tensor.h"

namespace gfsa {

// For map().
template <class T>
struct Average {
  T decay, weight;
  constexpr T operator()(T average, T value) const { return decay * average + weight * value; }
};

template <DeviceType D>
struct EmaKernels {
  // Exchanges the elements of two contiguous tensors of one shape and dtype.
  static void swap(const Tensor& a, const Tensor& b);
};

}  // namespace gfsa
