// decode.h -- what attention_step() needs of a device.
#pragma once

#include <vector>

#include "attention/kernels/problem.h"

namespace gfsa::kernels {

struct Step {
  Problem p;    // of the new tokens: q, k, v [B, M, H D], scale, coefficients
  Tensor keys;  // the cache, see attention/decode.h; with room for the new tokens
  Tensor values, sums;
  std::vector<int64_t> before, counts;  // tokens in the cache, and new ones of the M: CPU alone
  Tensor device_before;                 // the same on other devices, i64: becomes before + counts
  Tensor device_counts;                 // undefined: all M
};

// Appends the new tokens and writes their rows of the result, [B, M, H D], zeros where there is no token.
//
// Row t needs Y_j of its own, the last of what it averages. With E = [V, Y_1, ..., Y_(k-1)] of the rows before, one
// walk over the cache gives sum over i < t of A_ti E_i, and then Y_j = (its part of that) + A_tt Y_(j-1) one after the
// other.
//
// CPU: a thread a (sequence, head). Many new tokens (a prompt) are products instead, over blocks of rows: all of A's
// block, then Y_1 of the block, Y_2, ... GPUs: a block a (sequence, head), one token after the other.
template <DeviceType D>
struct DecodeKernels {
  static void step(const Step& step, const Tensor& out);
};

}  // namespace gfsa::kernels
