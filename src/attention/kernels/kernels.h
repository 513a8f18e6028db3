// kernels.h -- the implementations' common face. `out` and `dout` are [B, rows, H D] with last stride 1, in the
// problem's type.
#pragma once

#include "attention/kernels/problem.h"

namespace gfsa::kernels {

// Horner's rule, T_k = ck V, T_j = c_j V + M T_{j+1}, out = T_0 + cu U V, over blocks of rows of M (A, or drop(A)).
// Backward: D_0 = G, D_{j+1} = M^T D_j;  dM = sum_j D_j T_{j+1}^T,  dV = sum_j c_j D_j,  dc_j = sum D_j o V.
// For GFSA these are the formulas of the paper's two passes: T_1 = Z, D_1 = dZ, c2 D_2 = A^T dY.
//
// Memory: a block of M is sized for the second-level cache. All of M is kept between the passes of one call where that
// is at most kKeptBytes a thread (n up to 1024 in f32), else each pass makes its blocks anew; nothing n x n outlives a
// call. Returns T_1 .. T_{k-1} side by side, [B, H, rows, (k-1) D], if `save`; undefined if there are none.
Tensor two_pass_forward(const Problem& p, const Tensor& out, bool save);
void two_pass_backward(const Problem& p, const Tensor& saved, const Tensor& dout, const Gradients& to);

// F = drop(cu U + c0 I + c1 M + ... + ck M^k) as a matrix, out = F V. M and its powers live in a thread's scratch.
Tensor explicit_forward(const Problem& p, const Tensor& out, bool save);
void explicit_backward(const Problem& p, const Tensor& saved, const Tensor& dout, const Gradients& to);

}  // namespace gfsa::kernels
