// cross_entropy_kernels.h -- what ops/cross_entropy.cpp needs of a device.
#pragma once

#include "autograd/autograd.h"
#include "core/tensor.h"

namespace gfsa {

struct CrossEntropyProblem {
  Tensor logits, targets;  // contiguous
  bool hard = true;
  int64_t rows = 0, classes = 0;
  double smoothing = 0;
  int64_t ignore_index = -100;
};

template <DeviceType D>
struct CrossEntropyKernels {
  // losses [M]; states [M, 3], see CrossEntropyState; both f32 (f64 for f64).
  static void forward(const CrossEntropyProblem& p, const Tensor& losses, const Tensor& states);
  // factor [1] f64: 1 / normalizer, where that is 0 the number of rows that count; 0 if none does. y []: the losses'
  // sum times it.
  static void reduce(const CrossEntropyProblem& p, const Tensor& losses, double normalizer, const Tensor& factor,
                     const Tensor& y);
  static void backward(const CrossEntropyProblem& p, const Tensor& states, const Tensor& factor, const Tensor& dy,
                       const GradOut::Target& dx);
};

// What backward needs of a row: softmax(x) = exp((x - largest) - log_sum), which is exact also for large x, where the
// one number largest + log_sum would lose the digits that count.
template <class A>
struct CrossEntropyState {
  A largest, log_sum, weight;  // weight: sum of t'
};

}  // namespace gfsa
