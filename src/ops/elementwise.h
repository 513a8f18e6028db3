// elementwise.h -- arithmetic with broadcasting, and functions of one element.
//
// Shapes of binary ops broadcast by NumPy's rule; operands may be strided views. f64, f32, bf16 (computed in f32); both
// operands of one dtype, except where said. Gradients come in the dtype and shape of their input; over stretched
// dimensions they are summed in fixed blocks (ops/reduce_kernels.h), so the bits do not depend on the number of
// threads. Traffic: each operand and the result once. A backward reuses dy's memory where nobody else holds it. Errors:
// shapes that do not broadcast, dtypes that differ or are not floating.
#pragma once

#include "autograd/autograd.h"

namespace gfsa {

// a + b. f32 + bf16 (a residual stream and its branch) gives f32. Saves nothing.
Tensor add(const Tensor& a, const Tensor& b);
// Puts `sum`, which `op` has computed as a + b, on the tape as add() would.
Tensor record_sum(const char* op, const Tensor& sum, const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);  // saves nothing
Tensor mul(const Tensor& a, const Tensor& b);  // saves the operand whose partner wants a gradient
Tensor div(const Tensor& a, const Tensor& b);  // saves b, and a if b wants a gradient
// Where mask (bool) is true a, else b; all three broadcast. Saves mask.
Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b);

// x + gamma * y in one pass (LayerScale, Touvron et al. 2021, "Going deeper with image transformers"). x, y [..., C]; x
// f32, f64 or bf16 and y of x's dtype or bf16; gamma [C] in f64 for f64, else f32; undefined: 1. The result has x's
// dtype. Saves y and gamma if the other wants a gradient.
Tensor residual_scale(const Tensor& x, const Tensor& y, const Tensor& gamma);

Tensor scale(const Tensor& x, double factor);
Tensor add_scalar(const Tensor& x, double value);
Tensor neg(const Tensor& x);
Tensor exp(const Tensor& x);     // saves the result
Tensor log(const Tensor& x);     // saves x; NaN below 0
Tensor sqrt(const Tensor& x);    // saves the result; slope inf at 0
Tensor square(const Tensor& x);  // saves x

}  // namespace gfsa
