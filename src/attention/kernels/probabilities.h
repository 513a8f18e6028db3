// probabilities.h -- blocks of rows of one head's attention matrix, and the way back through its softmax.
#pragma once

#include "attention/kernels/problem.h"
#include "ops/register_tile.h"

namespace gfsa::kernels {

// Leading dimension of rows of `columns` elements: whole vectors, but no multiple of a page (rows would share cache
// sets).
inline int64_t row_step(int64_t columns) {
  const int64_t step = round_up(std::max<int64_t>(columns, 1), 16);
  return step % 1024 == 0 ? step + 16 : step;
}

// Rows row0 .. row0 + rows - 1 of the n x n matrix, of which only the columns below `width` can be nonzero.
struct RowBlock {
  int64_t row0 = 0, rows = 0, width = 0;
};

// a = softmax(scale q k^T + bias) of the block, [rows, width] with leading dimension ld = row_step(keys); hidden keys
// and rows that see nothing are zeros.
template <class T>
void probabilities(const Problem& p, const Head<T>& head, const RowBlock& block, acc_t<T>* a, int64_t ld);

// What multiplies V and powers: to = drop(from) (each entry 0 or 1/(1-p) times as large) if `drop`, else a conversion.
// `from` and `to` may be the same memory if the types are. `mask`: scratch of mask_scratch(p) elements.
template <class From, class To>
void to_operand(const Problem& p, int64_t b, int64_t h, const RowBlock& block, bool drop, const From* from, To* to,
                int64_t ld, float* mask);
inline int64_t mask_scratch(const Problem& p) { return p.dropout > 0 ? p.keys : 0; }

// Through dropout and softmax: m is what to_operand made of a, dm the gradient of m after a factor alpha is put to it:
//   r = rowsum(m o alpha dm), ds = m o alpha dm - r a, dbias += ds (if given), ds = scale ds.
// ds may be dm's memory if the types are the same.
template <class A, class M, class S>
void score_gradient(const RowBlock& block, const A* a, const M* m, const A* dm, S* ds, int64_t ld, A alpha, A scale,
                    A* dbias, int64_t dbias_step);

}  // namespace gfsa::kernels
