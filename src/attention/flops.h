// flops.h -- what an attention has to multiply, whichever kernel does it.
#pragma once

#include <cstdint>

#include "attention/kernels/problem.h"

namespace gfsa {

// FLOPs of the products of one forward: 2 D for each pair of a query and a key that it may see, for the scores and for
// each of the k passes that the value takes (on the CPU without those whose coefficients are 0; k = 1 for a softmax).
// Holes of masks count as seen. Backward has twice as many: for each of these products one for either operand's
// gradient. On GPUs it waits for the device where lengths lie there.
int64_t forward_flops(const kernels::Problem& p);

}  // namespace gfsa
