// softmax_kernels.h -- what ops/softmax.cpp needs of a device.
#pragma once

#include "autograd/autograd.h"
#include "core/tensor.h"

namespace gfsa {

// Contiguous tensors, rows of the last dimension.
template <DeviceType D>
struct SoftmaxKernels {
  static void forward(bool log, const Tensor& x, const Tensor& y);
  static void backward(bool log, const Tensor& y, const Tensor& dy, const GradOut::Target& dx);
};

}  // namespace gfsa
