// ema_kernels.h -- what optim/ema.cpp needs of a device.
#pragma once

#include "core/tensor.h"

namespace gfsa {

template <class T>
constexpr T averaged(T decay, T weight, T average, T value) {
  return decay * average + weight * value;
}

// Of the average and of the value; to be rounded to their type.
struct EmaStep {
  double decay, weight;
};

// Contiguous tensors of one shape and dtype.
template <DeviceType D>
struct EmaKernels {
  // average = decay average + weight value; on a GPU nothing where `scale` (f64 [1], may be undefined) holds NaN.
  // step: in the device's memory.
  static void update(const Tensor& average, const Tensor& value, const EmaStep* step, const Tensor& scale);
  static void swap(const Tensor& a, const Tensor& b);  // exchanges their elements
};

}  // namespace gfsa
