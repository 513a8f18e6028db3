// softmax.h -- softmax and its logarithm over the last dimension.
//
//   softmax:      y = exp(x - max) / sum(exp(x - max)),    dx = y (dy - sum(dy y))
//   log_softmax:  y = x - max - log(sum(exp(x - max))),    dx = dy - exp(y) sum(dy)
//
//   x [..., C] f64, f32 or bf16; y alike. Maxima, exponentials and sums in f32 (f64 for f64).
// A row whose elements are all -inf (nothing to attend to) gives zeros in softmax, -inf in log_softmax, and no
// gradient. A NaN makes its whole row NaN. Saved: y. Memory traffic: x once in, y once out; backward y and dy in, dx
// out.
#pragma once

#include "core/tensor.h"

namespace gfsa {

Tensor softmax(const Tensor& x);
Tensor log_softmax(const Tensor& x);

}  // namespace gfsa
