// tensor_kernels.h -- what tensors need of a device: tensor.cpp for the CPU, tensor.cu for GPUs. numel > 0 throughout.
#pragma once

#include "core/tensor.h"

namespace gfsa {

template <DeviceType D>
struct TensorKernels {
  // Same shape and device, any strides; converts the dtype as Tensor::copy_from does.
  static void copy(const Tensor& to, const Tensor& from);
  static void fill(const Tensor& to, double value);  // any strides
  static void add(const Tensor& to,
                  const Tensor& from);  // to += from; both contiguous, of one shape and floating dtype
};

}  // namespace gfsa
