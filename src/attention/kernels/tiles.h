// tiles.h -- what the one-sweep form is made of: products of tiles that stay in the caches, for one instruction set.
//
// Matrices of n rows and D columns are kept as strips: kColumns columns side by side, all rows of them one after the
// other, the last strip filled up with zeros. So they serve as the right operand of a product (a row of a strip is what
// a step along k reads), as its left one, and as its result. K^T and the like: strips of kColumns keys, D rows.
// Tiles of the attention matrix are row-major. Every element is summed in the same order, whatever n is.
#pragma once

#include "core/cpu/math.h"
#include "ops/register_tile.h"

namespace gfsa::kernels {

// Rows and keys of a tile on the diagonal.
inline constexpr int64_t kSquare = 96;

template <class A, simd::Isa isa>
struct Tiles {
  static constexpr int kWidth = kRegisterWidth<A, isa>;
  static constexpr int kRows = isa == simd::Isa::avx512 ? 12 : 6;  // of the tile that stays in registers
  static constexpr int kColumns = 2 * kWidth;
  static_assert(kSquare % kRows == 0 && kSquare % kColumns == 0);
  using V = typename Register<A, kWidth>::type;

  // Strips of a matrix, `step` numbers from one to the next.
  struct Strips {
    A* data = nullptr;
    int64_t step = 0;
    A* at(int64_t strip, int64_t row) const { return data + strip * step + row * kColumns; }
  };
  static constexpr int64_t strips(int64_t columns) { return (columns + kColumns - 1) / kColumns; }

  // Asks for rows that are needed soon: they stand so far apart that the processor does not guess the next one.
  template <class In>
  [[gnu::always_inline]] static void fetch(const In* x, int64_t x_step, int64_t rows, int64_t columns) {
    constexpr int64_t kLine = 64 / sizeof(In);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t k = 0; k < columns; k += kLine) __builtin_prefetch(x + r * x_step + k);
    }
  }
  static constexpr int64_t kAhead = 16;  // rows

  // x [rows, columns] with rows `x_step` apart, as strips from row `row` on.
  template <class In>
  static void pack(const In* x, int64_t x_step, int64_t rows, int64_t columns, Strips to, int64_t row) {
    within<isa>([&] {
      for (int64_t s = 0; s * kColumns < columns; ++s) {
        pack_strips<A, In, kWidth, kColumns>(x + s * kColumns, x_step, false,
                                             std::min<int64_t>(kColumns, columns - s * kColumns), rows, to.at(s, row));
      }
    });
  }
  // Rows of x [rows, depth] become columns: strip s of kColumns rows of x stands at to + s to_step, [depth][kColumns].
  template <class In>
  static void pack_transposed(const In* x, int64_t x_step, int64_t rows, int64_t depth, A* to, int64_t to_step) {
    within<isa>([&] {
      for (int64_t s = 0; s * kColumns < rows; ++s) {
        const int64_t now = std::min<int64_t>(kColumns, rows - s * kColumns);
        const In* const from = x + s * kColumns * x_step;
        fetch(from + now * x_step, x_step, std::min<int64_t>(kColumns, rows - s * kColumns - now), depth);
        pack_strips<A, In, kWidth, kColumns>(from, x_step, true, now, depth, to + s * to_step);
      }
    });
  }

  // x = f x, `count` strips.
  static void scale(Strips x, int64_t count, int64_t rows, A f) {
    within<isa>([&] {
      for (int64_t s = 0; s < count; ++s) {
        A* const at = x.at(s, 0);
        for (int64_t i = 0; i < rows * kColumns; ++i) at[i] *= f;
      }
    });
  }

  // tile[r, c] = sum over `groups` matrices of `depth` columns each, side by side, of x[r, .] y[., c]: scores, and the
  // gradient of the matrix. x: strips from its row 0 on, those of group g after those of g - 1. y: keys transposed,
  // groups below each other, from the strip of key 0 on. lower: what lies above the diagonal is not computed.
  template <int64_t kStep>
  static void scores(Strips x, int64_t groups, int64_t depth, const A* y, int64_t rows, int64_t keys, bool lower,
                     A* tile) {
    within<isa>([&] {
      for (int64_t c = 0; c < keys; c += kColumns, y += groups * depth * kColumns) {
        for (int64_t r = lower ? c / kRows * kRows : 0; r < rows; r += kRows) {
          V sums[kRows][2];
          clear(sums);
          const A* b = y;
          for (int64_t g = 0; g < groups; ++g) {
            for (int64_t p = 0; p < depth; p += kColumns) {
              const int64_t now = std::min<int64_t>(kColumns, depth - p);
              add<kColumns, 1>(sums, x.at(g * strips(depth) + p / kColumns, r), b, now);
              b += now * kColumns;
            }
          }
#pragma GCC unroll 16
          for (int i = 0; i < kRows; ++i) {
            *vector(tile + (r + i) * kStep + c) = sums[i][0];
            *vector(tile + (r + i) * kStep + c + kWidth) = sums[i][1];
          }
        }
      }
    });
  }

  // to[r, .] = factor[r] to[r, .] + tile[r, 0 .. keys) x, for `count` strips; factor: [rows, to a multiple of kRows],
  // or nullptr for 1. lower: keys beyond row r's own are not looked at, but for those of its kRows neighbours.
  template <int64_t kStep>
  static void add_rows(const A* tile, int64_t rows, int64_t keys, bool lower, Strips x, int64_t count, const A* factor,
                       Strips to) {
    within<isa>([&] {
      for (int64_t s = 0; s < count; ++s) {
        for (int64_t r = 0; r < rows; r += kRows) {
          V sums[kRows][2];
          A* const sum = to.at(s, r);
          clear(sums);
          add<kStep, 1>(sums, tile + r * kStep, x.at(s, 0), lower ? std::min(keys, r + kRows) : keys);
#pragma GCC unroll 16
          for (int i = 0; i < kRows; ++i) {
            const A f = factor != nullptr ? factor[r + i] : A(1);
            *vector(sum + i * kColumns) = sums[i][0] + f * *vector(sum + i * kColumns);
            *vector(sum + i * kColumns + kWidth) = sums[i][1] + f * *vector(sum + i * kColumns + kWidth);
          }
        }
      }
    });
  }

  // to[c, .] += tile^T x, for `count` strips: what rows 0 .. rows - 1 give to the keys. lower: as above.
  template <int64_t kStep>
  static void add_keys(const A* tile, int64_t rows, int64_t keys, bool lower, Strips x, int64_t count, Strips to) {
    within<isa>([&] {
      for (int64_t s = 0; s < count; ++s) {
        for (int64_t c = 0; c < keys; c += kRows) {
          const int64_t first = lower ? std::min(c, rows) : 0;
          V sums[kRows][2];
          A* const sum = to.at(s, c);
          clear(sums);
          add<1, kStep>(sums, tile + first * kStep + c, x.at(s, first), rows - first);
#pragma GCC unroll 16
          for (int i = 0; i < kRows; ++i) {
            *vector(sum + i * kColumns) += sums[i][0];
            *vector(sum + i * kColumns + kWidth) += sums[i][1];
          }
        }
      }
    });
  }

 private:
  static V* vector(A* at) { return reinterpret_cast<V*>(at); }
  [[gnu::always_inline]] static void clear(V (&sums)[kRows][2]) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) sums[i][0] = sums[i][1] = V{};
  }
  // sums += a b with a[i, p] = a[i kRow + p kDeep], b: [depth][kColumns].
  template <int64_t kRow, int64_t kDeep>
  [[gnu::always_inline]] static void add(V (&sums)[kRows][2], const A* a, const A* b, int64_t depth) {
    for (int64_t p = 0; p < depth; ++p, a += kDeep, b += kColumns) {
      const V b0 = *reinterpret_cast<const V*>(b), b1 = *reinterpret_cast<const V*>(b + kWidth);
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) {
        const A x = a[i * kRow];
        sums[i][0] += x * b0;
        sums[i][1] += x * b1;
      }
    }
  }
};

}  // namespace gfsa::kernels
