// reduce_loops.h -- the CPU's loops under sums. Work is cut into blocks of a fixed size whose partial sums are added in
// order, so the bits do not depend on the number of threads. Within a block, vector lanes in the accumulator type A;
// across blocks, double.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/threads.h"
#include "core/cpu/simd.h"
#include "core/tensor.h"

namespace gfsa {

inline constexpr int64_t kSumBlock = 8192;     // elements of a row
inline constexpr int64_t kSumRows = 128;       // rows of a column block
inline constexpr int64_t kSumColumns = 256;    // columns of a column block: its accumulators stay in the first cache
inline constexpr int64_t kSumGrain = 1 << 14;  // elements worth a thread

// Sum over [begin, end) in 32 interleaved partial sums: the same order on every instruction set.
template <class A, class Load>
inline A sum_lanes(int64_t begin, int64_t end, const Load& load) {
  constexpr int64_t kLanes = 32;
  A lanes[kLanes] = {};
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) {
#pragma omp simd
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] += load(i + l);
  }
  for (int64_t l = 0; i + l < end; ++l) lanes[l] += load(i + l);
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

// y[o] = factor * sum_r load(o * reduced + r)
template <class A, class Y, class Load>
void sum_rows(int64_t outer, int64_t reduced, double factor, const Load& load, Y* y) {
  const int64_t blocks = std::max<int64_t>(1, (reduced + kSumBlock - 1) / kSumBlock), units = outer * blocks;
  const Tensor partial_sums = Tensor::empty({blocks == 1 ? 0 : units}, dtype_of<A>);
  A* partial = partial_sums.data<A>();
  const int64_t unit_size = std::max<int64_t>(1, std::min(reduced, kSumBlock));
  parallel_for(units, std::max<int64_t>(1, kSumGrain / unit_size), [&](int64_t first, int64_t last) {
    simd::run([=] {
      for (int64_t u = first; u < last; ++u) {
        const int64_t o = u / blocks, block = u % blocks;
        const int64_t begin = o * reduced + block * kSumBlock,
                      end = o * reduced + std::min(reduced, (block + 1) * kSumBlock);
        const A s = sum_lanes<A>(begin, end, load);
        if (blocks == 1) {
          y[o] = Y(static_cast<A>(s * factor));
        } else {
          partial[u] = s;
        }
      }
    });
  });
  if (blocks == 1) return;
  for (int64_t o = 0; o < outer; ++o) {
    double s = 0;
    for (int64_t k = 0; k < blocks; ++k) s += static_cast<double>(partial[o * blocks + k]);
    y[o] = Y(static_cast<A>(s * factor));
  }
}

// y[o, c] = factor * sum_r load((o * reduced + r) * inner + c)
template <class A, class Y, class Load>
void sum_columns(int64_t outer, int64_t reduced, int64_t inner, double factor, const Load& load, Y* y) {
  const int64_t blocks = std::max<int64_t>(1, (reduced + kSumRows - 1) / kSumRows);
  const int64_t pieces = (inner + kSumColumns - 1) / kSumColumns, units = outer * blocks * pieces;
  const Tensor partial_sums = Tensor::empty({blocks == 1 ? 0 : outer * blocks * inner}, dtype_of<A>);
  A* partial = partial_sums.data<A>();
  const int64_t unit_size = std::max<int64_t>(1, std::min(reduced, kSumRows) * std::min(inner, kSumColumns));
  parallel_for(units, std::max<int64_t>(1, kSumGrain / unit_size), [&](int64_t first, int64_t last) {
    simd::run([=] {
      for (int64_t u = first; u < last; ++u) {
        const int64_t o = u / (blocks * pieces), block = u / pieces % blocks, column = u % pieces * kSumColumns;
        const int64_t columns = std::min(kSumColumns, inner - column);
        A s[kSumColumns];
        for (int64_t c = 0; c < columns; ++c) s[c] = 0;
        for (int64_t r = block * kSumRows; r < std::min(reduced, (block + 1) * kSumRows); ++r) {
          const int64_t at = (o * reduced + r) * inner + column;
#pragma omp simd
          for (int64_t c = 0; c < columns; ++c) s[c] += load(at + c);
        }
        if (blocks == 1) {
          for (int64_t c = 0; c < columns; ++c) y[o * inner + column + c] = Y(static_cast<A>(s[c] * factor));
        } else {
          A* to = partial + (o * blocks + block) * inner + column;
          for (int64_t c = 0; c < columns; ++c) to[c] = s[c];
        }
      }
    });
  });
  if (blocks == 1) return;
  parallel_for(outer * pieces, std::max<int64_t>(1, kSumGrain / (kSumColumns * blocks)),
               [&](int64_t first, int64_t last) {
                 simd::run([=] {
                   for (int64_t u = first; u < last; ++u) {
                     const int64_t o = u / pieces, column = u % pieces * kSumColumns,
                                   columns = std::min(kSumColumns, inner - column);
                     double s[kSumColumns];
                     for (int64_t c = 0; c < columns; ++c) s[c] = 0;
                     for (int64_t k = 0; k < blocks; ++k) {
                       const A* from = partial + (o * blocks + k) * inner + column;
#pragma omp simd
                       for (int64_t c = 0; c < columns; ++c) s[c] += static_cast<double>(from[c]);
                     }
                     for (int64_t c = 0; c < columns; ++c) y[o * inner + column + c] = Y(static_cast<A>(s[c] * factor));
                   }
                 });
               });
}

// Sums over the middle of [outer, reduced, inner]; load(i) gives the value at flat position i as A (it may square,
// multiply, ...).
template <class A, class Y, class Load>
void sum_middle(int64_t outer, int64_t reduced, int64_t inner, double factor, const Load& load, Y* y) {
  if (outer * inner == 0) return;
  if (reduced == 1) {  // nothing to add up: one long row of columns
    inner *= outer;
    outer = 1;
  }
  if (inner == 1) {
    sum_rows<A>(outer, reduced, factor, load, y);
  } else {
    sum_columns<A>(outer, reduced, inner, factor, load, y);
  }
}

}  // namespace gfsa
