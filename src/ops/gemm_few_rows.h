// gemm_few_rows.h -- products with few rows on the CPU, C [m, n] = A [m, k] op(B) + ..., as generation multiplies each
// token with the weights. They take as long as B takes to be read: here once, from where it lies and without being
// packed, which kernels for many rows do not do.
//
// A row's bits depend neither on m nor on the number of threads. Sums in f32.
#pragma once

#include "ops/gemm.h"

namespace gfsa {

// Whether gemm() gives this product, with leading dimensions filled in, to gemm_few_rows().
bool has_few_rows(const Gemm& problem);
void gemm_few_rows(const Gemm& problem, const void* a, const void* b, void* c, const void* bias);

}  // namespace gfsa
