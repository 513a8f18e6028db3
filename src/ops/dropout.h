// dropout.h -- random omission, from counters instead of saved masks.
//
// Whether an element is kept is a function of (key, sample, index of the element within its sample): lane index % 4 of
// philox(key, sample, index / 4), kept if its uniform number is >= p. Dimension 0 counts samples: row b is sample
// sample0 + b, so that a rank or a micro-batch that starts at sample0 draws what one big batch would. Backward draws
// the same numbers again. Saved: nothing. f64, f32, bf16. Same bits for any number of threads. Errors: p outside [0,
// 1); no dimension 0.
#pragma once

#include <cstdint>

#include "autograd/autograd.h"
#include "core/philox.h"

namespace gfsa {

// Runs in kernels too.
constexpr bool dropout_keeps(const RandomKey& key, uint32_t sample, uint64_t index, float p) {
  return uniform_from_bits(philox(key, sample, index / 4)[index % 4]) >= p;
}

// Kept elements times 1 / (1 - p), all others 0 (Srivastava et al. 2014). p = 0 or not training: x itself.
Tensor dropout(const Tensor& x, double p, const RandomKey& key, uint32_t sample0, bool training);

// Stochastic depth (Huang et al. 2016): whole samples kept, times 1 / (1 - p), or dropped, by index 0 of the sample's
// numbers. p = 0 or not training: x itself.
Tensor drop_path(const Tensor& x, double p, const RandomKey& key, uint32_t sample0, bool training);

// out[i] = 0 or 1 / (1 - p) for elements first_index + i of a sample, i in [0, n). One thread's work on the
// CPU; call it from loops.
void dropout_mask(float* out, int64_t n, const RandomKey& key, uint32_t sample, uint64_t first_index, float p);

// What ops/dropout.cpp needs of a device: y = x * mask; contiguous, of one shape [samples, ...] and dtype; y may be x.
template <DeviceType D>
struct DropoutKernels {
  static void dropout(const Tensor& x, const Tensor& y, float p, const RandomKey& key, uint32_t sample0);
  static void drop_path(const Tensor& x, const Tensor& y, float p, const RandomKey& key, uint32_t sample0);
};

}  // namespace gfsa
