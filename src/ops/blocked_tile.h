// blocked_tile.h -- the register tile of gemm_blocked.cpp: kRows x 2 registers of sums, of the 32 that AVX-512 has and
// the 16 of the others; the rest holds a row of B and one number of A.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ops/register_tile.h"

namespace gfsa {

template <class A, simd::Isa isa>
struct BlockedTile {
  static constexpr int kWidth = kRegisterWidth<A, isa>;
  static constexpr int kRows = isa == simd::Isa::avx512 ? 14 : 6;
  static constexpr int kColumns = 2 * kWidth;
  using V = typename Register<A, kWidth>::type;

  // kRows rows of A: as they lie in memory, `row_step` apart, or packed (row_step 0), [k, kRows].
  struct Left {
    const A* at;
    int64_t row_step;
  };

  // to = from + a b + add, kRows rows of kColumns, `step` apart; b is packed, [depth, kColumns]. from and add may be
  // null. next: what the next tile reads of A, where it lies in rows. Only hints go beyond what is given here: the
  // place of the result, packed rows some steps ahead, and next, none of which the processor fetches by itself in time.
  [[gnu::always_inline]] static void multiply(Left a, const A* next, const A* b, int64_t depth, const A* from,
                                              const A* add, A* to, int64_t step) {
    V sums[kRows][2];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      sums[r][0] = sums[r][1] = V{};
      prefetch<2 * sizeof(V), 1>(to + r * step);
    }
    if (a.row_step != 0) {
      add_products_of_rows(a, next, b, depth, sums);
    } else {
      for (int64_t p = 0; p < depth; ++p) {
        prefetch<kRows * sizeof(A)>(a.at + (p + kStepsAhead) * kRows);
        add_products(b + p * kColumns, sums, [&](int r) { return a.at[p * kRows + r]; });
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) {
        V value = sums[r][h];
        if (from != nullptr) value += *reinterpret_cast<const V*>(from + r * step + h * kWidth);
        if (add != nullptr) value += *reinterpret_cast<const V*>(add + h * kWidth);
        *reinterpret_cast<V*>(to + r * step + h * kWidth) = value;
      }
    }
  }

 private:
  static constexpr int kStepsAhead = 24;

  // One row of b times kRows numbers of A.
  template <class Number>
  [[gnu::always_inline]] static void add_products(const A* b, V (&sums)[kRows][2], const Number& number) {
    prefetch<2 * sizeof(V)>(b + kStepsAhead * kColumns);
    const V b0 = *reinterpret_cast<const V*>(b), b1 = *reinterpret_cast<const V*>(b + kWidth);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const A x = number(r);
      sums[r][0] += x * b0;
      sums[r][1] += x * b1;
    }
  }

  // There are more rows than registers for their addresses: every fifth has one, the others are a multiple of the step
  // away.
  [[gnu::always_inline]] static void add_products_of_rows(Left a, const A* next, const A* b, int64_t depth,
                                                          V (&sums)[kRows][2]) {
    constexpr int64_t kLine = 64 / sizeof(A);
    const int64_t step = a.row_step * static_cast<int64_t>(sizeof(A));
    const char *row0 = reinterpret_cast<const char*>(a.at), *row5 = row0 + 5 * step, *row10 = row5 + 5 * step;
    for (int64_t p = 0; p < depth; next += kLine) {
      const char* line = reinterpret_cast<const char*>(next);
      for (const int64_t end = std::min(depth, p + kLine); p < end; ++p) {
        // Or the compiler computes all rows' addresses beforehand and keeps them in memory.
        asm("" : "+r"(row0), "+r"(row5), "+r"(row10));
        __builtin_prefetch(line);
        line += step;
        add_products(b + p * kColumns, sums, [&](int r) {
          const char* const near = r < 5 ? row0 : r < 10 ? row5 : row10;
          return *reinterpret_cast<const A*>(near + r % 5 * step);
        });
        row0 += sizeof(A), row5 += sizeof(A), row10 += sizeof(A);
      }
    }
  }

  // The lines of kBytes bytes of memory from `at` on, for reading or (kWrite) writing.
  template <int kBytes, int kWrite = 0>
  [[gnu::always_inline]] static void prefetch(const A* at) {
#pragma GCC unroll 4
    for (int line = 0; line < (kBytes + 63) / 64; ++line) {
      __builtin_prefetch(reinterpret_cast<const char*>(at) + line * 64, kWrite);
    }
  }
};

}  // namespace gfsa
