// tiles.h -- what the forms of the CPU are made of: products of tiles that stay in the caches, for one instruction set.
//
// Matrices of n rows and D columns are kept as strips: kColumns columns side by side, all rows of them one after the
// other, the last strip filled up with zeros. So they serve as the right operand of a product (a row of a strip is what
// a step along k reads), as its left one, and as its result. K^T and the like: strips of kColumns keys, D rows.
// Tiles of the attention matrix are row-major. Every element is summed in the same order, whatever n is.
#pragma once

#include "core/cpu/math.h"
#include "ops/register_tile.h"

namespace gfsa::kernels {

// Keys of a tile, and rows of one on the diagonal.
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

  static constexpr int64_t kAhead = 16;  // rows

  // f x [rows, columns] with rows `x_step` apart, as strips.
  template <class In>
  static void pack(const In* x, int64_t x_step, int64_t rows, int64_t columns, A f, Strips to) {
    constexpr int64_t kPackedAhead = 8;
    within<isa>([&] {
      for (int64_t r = 0; r < rows; ++r, x += x_step) {
        fetch_rows(x + kPackedAhead * x_step, 0, 1, columns);
        for (int64_t s = 0; s * kColumns < columns; ++s) {
          A wide[kColumns];  // which nothing aliases: the loops become a few vector moves
          if (columns - s * kColumns >= kColumns) {
            for (int64_t k = 0; k < kColumns; ++k) wide[k] = f * static_cast<A>(x[s * kColumns + k]);
          } else {
            for (int64_t k = 0; k < kColumns; ++k) {
              wide[k] = s * kColumns + k < columns ? f * static_cast<A>(x[s * kColumns + k]) : A(0);
            }
          }
          std::memcpy(to.at(s, r), wide, sizeof wide);
        }
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
        fetch_rows(from + now * x_step, x_step, std::min<int64_t>(kColumns, rows - s * kColumns - now), depth);
        pack_strips<A, In, kWidth, kColumns>(from, x_step, true, now, depth, to + s * to_step, kColumns * depth);
      }
    });
  }

  // Of whole registers.
  [[gnu::always_inline]] static A sum(const A* x, int64_t n) { return reduce<false>(x, n); }
  [[gnu::always_inline]] static A largest(const A* x, int64_t n) { return reduce<true>(x, n); }

  // Row r of x = f factor[r] x + c y, `count` strips.
  static void scale_rows(Strips x, int64_t count, int64_t rows, A f, const A* factor, A c, Strips y) {
    within<isa>([&] {
      for (int64_t s = 0; s < count; ++s) {
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t k = 0; k < kColumns; k += kWidth) {
            V value = f * factor[r] * *vector(x.at(s, r) + k);
            if (c != A(0)) value += c * *vector(y.at(s, r) + k);
            *vector(x.at(s, r) + k) = value;
          }
        }
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
        const int64_t first = lower ? c / kRows * kRows : 0;
        if (keys - c > kWidth) {
          score_strip<kStep, 2>(x, groups, depth, y, first, rows, tile + c);
        } else {
          score_strip<kStep, 1>(x, groups, depth, y, first, rows, tile + c);
        }
      }
    });
  }

  // to[r, .] = factor[r] to[r, .] + tile[r, 0 .. keys) x, for `count` strips; factor: [rows, to a multiple of kRows],
  // or nullptr for 1. fresh: what stood in `to` does not count. lower: keys beyond row r's own are not looked at, but
  // for those of its kRows neighbours.
  template <int64_t kStep>
  static void add_rows(const A* tile, int64_t rows, int64_t keys, bool lower, Strips x, int64_t count, const A* factor,
                       bool fresh, Strips to) {
    within<isa>([&] {
      for (int64_t s = 0; s < count; ++s) {
        for (int64_t r = 0; r < rows; r += kRows) {
          V sums[kRows][2];
          A* const sum = to.at(s, r);
          clear(sums);
          add<kStep, 1>(sums, tile + r * kStep, x.at(s, 0), lower ? std::min(keys, r + kRows) : keys);
#pragma GCC unroll 16
          for (int i = 0; i < kRows; ++i) {
            V &first = *vector(sum + i * kColumns), &second = *vector(sum + i * kColumns + kWidth);
            if (!fresh) {
              const A f = factor != nullptr ? factor[r + i] : A(1);
              sums[i][0] += f * first;
              sums[i][1] += f * second;
            }
            first = sums[i][0], second = sums[i][1];
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
  // A strip of keys, or its first half.
  template <int64_t kStep, int kVectors>
  [[gnu::always_inline]] static void score_strip(Strips x, int64_t groups, int64_t depth, const A* y, int64_t first,
                                                 int64_t rows, A* tile) {
    for (int64_t r = first; r < rows; r += kRows) {
      V sums[kRows][kVectors];
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
#pragma GCC unroll 2
        for (int h = 0; h < kVectors; ++h) *vector(tile + (r + i) * kStep + h * kWidth) = sums[i][h];
      }
    }
  }

  // Their sum, or the largest.
  template <bool kLargest>
  [[gnu::always_inline]] static A reduce(const A* x, int64_t n) {
    V all = *reinterpret_cast<const V*>(x);
    for (int64_t j = kWidth; j < n; j += kWidth) {
      const V next = *reinterpret_cast<const V*>(x + j);
      if constexpr (kLargest) {
        all = all > next ? all : next;
      } else {
        all += next;
      }
    }
    fold<kLargest, kWidth / 2>(all, std::make_integer_sequence<int, kWidth>{});
    return all[0];
  }
  // x's halves, then quarters, ... together.
  template <bool kLargest, int kHalf, int... i>
  [[gnu::always_inline]] static void fold(V& x, std::integer_sequence<int, i...> lanes) {
    if constexpr (kHalf > 0) {
      const V other = __builtin_shufflevector(x, x, (i ^ kHalf)...);
      if constexpr (kLargest) {
        x = x > other ? x : other;
      } else {
        x += other;
      }
      fold<kLargest, kHalf / 2>(x, lanes);
    }
  }
  static V* vector(A* at) { return reinterpret_cast<V*>(at); }
  template <int kVectors>
  [[gnu::always_inline]] static void clear(V (&sums)[kRows][kVectors]) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
      for (int h = 0; h < kVectors; ++h) sums[i][h] = V{};
    }
  }
  // sums += a b with a[i, p] = a[i kRow + p kDeep], b: [depth][kColumns].
  template <int64_t kRow, int64_t kDeep, int kVectors>
  [[gnu::always_inline]] static void add(V (&sums)[kRows][kVectors], const A* a, const A* b, int64_t depth) {
    for (int64_t p = 0; p < depth; ++p, a += kDeep, b += kColumns) {
      V row[kVectors];
#pragma GCC unroll 2
      for (int h = 0; h < kVectors; ++h) row[h] = *reinterpret_cast<const V*>(b + h * kWidth);
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) {
        const A x = a[i * kRow];
#pragma GCC unroll 2
        for (int h = 0; h < kVectors; ++h) sums[i][h] += x * row[h];
      }
    }
  }
};

}  // namespace gfsa::kernels
