// kernels.h -- the implementations' common face, a device at a time. `out` and `dout` are [B, rows, H D] with last
// stride 1, in the problem's type. On GPUs f32 and bf16.
#pragma once

#include "attention/kernels/problem.h"

namespace gfsa::kernels {

// Horner's rule, T_k = ck V, T_j = c_j V + M T_{j+1}, out = T_0 + cu U V, over blocks of rows of M (A, or drop(A)).
// Backward: D_0 = G, D_{j+1} = M^T D_j;  dM = sum_j D_j T_{j+1}^T,  dV = sum_j c_j D_j,  dc_j = sum D_j o V.
// For GFSA these are the formulas of the paper's two passes: T_1 = Z, D_1 = dZ, c2 D_2 = A^T dY.
//
// CPU: blocks of rows of M as tiles, a block sized for the second-level cache. All of M is kept between the passes of
// one call where that is at most kKeptBytes a thread (n up to 1024 in f32), else each pass makes its blocks anew;
// nothing n x n outlives a call. Saves the softmaxes' figures, and T_1 .. T_{k-1} side by side, [B, H, rows, (k-1) D].
//
// GPUs: tiles of M live in registers, whatever n is; the first pass leaves the softmaxes' log-sum-exps, by which all
// others make M again. Products: 2 k forward, 2 k + 2 (2 + k) backward; 1 less where dK and the last pass share tiles
// (compute capability 9.0, bf16, heads of 33 to 64). Saved: those, out, and T_1 .. T_{k-1} one after the other, [k-1,
// B, H, rows, D]; of packed sequences [k-1, 1, H, N, D] and [1, H, N], for the host does not know which row is whose.
// Which coefficients are 0 is not known to the host, so every pass of the degree is made. Head sizes up to 256.
template <DeviceType D>
struct TwoPass {
  static Saved forward(const Problem& p, const Tensor& out, bool save);
  static void backward(const Problem& p, const Saved& saved, const Tensor& dout, const Gradients& to);
};

// The same of causal attention in one sweep over the tiles of M: row block i needs rows of T_j at or before its own
// alone, so with the running maximum and sum of the softmax all passes visit a tile at once. In backward likewise, from
// the last column to the first. Saves the same.
//
// CPU: a head is one thread's work. Products: 1 + k forward, 3 + 2 k backward. Memory: tiles, and a head's operands in
// the order in which products read them, O(rows D). Saves out, too.
//
// GPUs, k at most 2: rows in super-blocks of p.block_rows (0: 256; 32, or the next multiple of 64), launch after
// launch, so that no block waits for another and sums have a fixed order. What a super-block needs of those before, or
// after it in backward, is finished; what it needs of itself takes a launch more, which makes its tiles on the diagonal
// again. dQ and the bias's gradient are passes of their own. Products for k = 2, off those tiles and on them: 3 and 4
// forward, 10 and 11 backward (two_pass: 4 and 12); for k = 1: 2 and 7 (2 and 8). A head whose c2 is 0 gives the bits
// of k = 1 with the same c0, c1 = 1 and cu. Head sizes up to 64: three sums a row in registers. Memory: 3 super-blocks'
// rows of D numbers of f32 a head.
template <DeviceType D>
struct OneSweep {
  static Saved forward(const Problem& p, const Tensor& out, bool save);
  static void backward(const Problem& p, const Saved& saved, const Tensor& dout, const Gradients& to);
};

// F = drop(cu U + c0 I + c1 M + ... + ck M^k) as a matrix, out = F V. M and its powers live in a thread's scratch; on
// GPUs in memory, for all heads at once; packed sequences are spread out to a batch first. Saves nothing.
template <DeviceType D>
struct Explicit {
  static Saved forward(const Problem& p, const Tensor& out, bool save);
  static void backward(const Problem& p, const Saved& saved, const Tensor& dout, const Gradients& to);
};

}  // namespace gfsa::kernels
