// gemm_blocked.h -- products on the CPU by kernels of our own, in the manner of Goto and van de Geijn ("Anatomy of
// High-Performance Matrix Multiplication", ACM TOMS 34(3), 2008): operands are packed into the order in which a
// register tile reads them, a panel of B for all threads, blocks of rows of A by the thread that multiplies them. Rows
// of A that is not transposed are read where they lie, or from a copy where they need an activation or another type.
//
// f64, f32, and bf16 widened to f32 as it is packed (for processors without bf16 products, and for others where this is
// the faster way). Every element is summed in the same order, whatever m, n and the number of threads are.
#pragma once

#include "ops/gemm.h"

namespace gfsa {

// As gemm(); m, n, k > 0 and leading dimensions filled in. Outside a parallel region the team works on it together.
//
// Sums over k of op(A) [m] or op(B) [n], as GemmEpilogue has them, of what is packed anyway: A must be transposed, B
// must not. Rows are added in order, 16 at a time.
struct ColumnSums {
  enum class Of : uint8_t { nothing, a, b };
  Of of = Of::nothing;
  float* to = nullptr;
};
void gemm_blocked(const Gemm& problem, const void* a, const void* b, void* c, const void* bias,
                  const ColumnSums& sums = {});

}  // namespace gfsa
