// tiles.h -- products of small tiles in shared memory, a warp at a time: the ground under attention's kernels.
//
// A warp owns 16 rows. Its results stand in accumulators of the layout of mma.m16n8 (PTX manual): of lane l, with
// g = l / 4 and t = l % 4, d[n][e] is row g + 8 (e / 2), column 8 n + 2 t + e % 2. For bf16 the tensor cores multiply;
// for f32 plain fused multiply-adds do, in the same layout: exact f32, which TF32 is not.
//
// Tiles are row-major with row_step<T>(columns) elements between rows: no two rows of a fragment meet in a bank.
// Columns from the head size up to the next multiple of 16, and rows beyond the end, are zeros.
#pragma once

#include "core/cuda/device.h"

// Loops over registers must be unrolled, loops with much in them must not.
#if defined(GFSA_EMULATED)
#define GFSA_UNROLL
#define GFSA_NO_UNROLL
#else
#define GFSA_UNROLL _Pragma("unroll")
#define GFSA_NO_UNROLL _Pragma("unroll 1")
#endif

namespace gfsa::GFSA_DEVICE_NAMESPACE {

inline constexpr int kWarpRows = 16;

template <class T>
inline constexpr int kPerCopy = 16 / static_cast<int>(sizeof(T));  // elements of one 16-byte copy
template <class T>
constexpr int row_step(int columns) {
  return columns + kPerCopy<T>;
}
constexpr int padded_columns(int head_size) { return (head_size + 15) / 16 * 16; }

// The row and column of d[n][e] within the warp's tile.
GFSA_DEVICE int fragment_row(int e) { return static_cast<int>(lane()) / 4 + e / 2 * 8; }
GFSA_DEVICE int fragment_column(int n, int e) { return 8 * n + static_cast<int>(lane()) % 4 * 2 + e % 2; }

template <int kTiles>
GFSA_DEVICE void clear(float (&d)[kTiles][4]) {
  GFSA_UNROLL
  for (int n = 0; n < kTiles; ++n) {
    GFSA_UNROLL
    for (int e = 0; e < 4; ++e) d[n][e] = 0;
  }
}
template <int kTiles>
GFSA_DEVICE void copy_tile(float (&to)[kTiles][4], const float (&from)[kTiles][4]) {
  GFSA_UNROLL
  for (int n = 0; n < kTiles; ++n) {
    GFSA_UNROLL
    for (int e = 0; e < 4; ++e) to[n][e] = from[n][e];
  }
}
template <int kTiles>
GFSA_DEVICE void scale_all(float (&d)[kTiles][4], float factor) {
  GFSA_UNROLL
  for (int n = 0; n < kTiles; ++n) {
    GFSA_UNROLL
    for (int e = 0; e < 4; ++e) d[n][e] *= factor;
  }
}
template <int kTiles>
GFSA_DEVICE void add_all(float (&d)[kTiles][4], const float (&more)[kTiles][4]) {
  GFSA_UNROLL
  for (int n = 0; n < kTiles; ++n) {
    GFSA_UNROLL
    for (int e = 0; e < 4; ++e) d[n][e] += more[n][e];
  }
}

// The rows of one head in memory. `aligned`: they start at multiples of 16 bytes and are multiples of 16 bytes long.
template <class T>
struct Rows {
  Global<T> data{};
  int64_t step = 0;
  bool aligned = false;
};

// The block starts to bring rows first .. first + count - 1 into a tile; rows from `end` on become zeros. The caller
// waits for its copies and then at a barrier.
template <class T>
GFSA_DEVICE void fetch_rows(Shared<T> tile, int step, const Rows<const T>& rows, int head_size, int first, int count,
                            int end, Where where = Where::current()) {
  const int columns = padded_columns(head_size), threads = static_cast<int>(block_dim_x());
  if (rows.aligned) {
    const int copies = columns / kPerCopy<T>;
    for (int at = static_cast<int>(thread_x()); at < count * copies; at += threads) {
      const int row = at / copies, column = at % copies * kPerCopy<T>;
      const bool inside = first + row < end && column < head_size;
      copy_async<16>(tile, row * step + column, rows.data, inside ? (first + row) * rows.step + column : 0,
                     inside ? 16 : 0, where);
    }
    copy_async_commit();
    return;
  }
  for (int at = static_cast<int>(thread_x()); at < count * columns; at += threads) {
    const int row = at / columns, column = at % columns;
    const bool inside = first + row < end && column < head_size;
    T value = T(0.0f);
    if (inside) value = load(rows.data, (first + row) * rows.step + column, where);
    store(tile, row * step + column, value, where);
  }
}

// All that this block has started to fetch is there, and nobody reads any more what was there before.
GFSA_DEVICE void wait_for_tiles(Where where = Where::current()) {
  copy_async_wait_all();
  sync_block(where);
}

template <class T, int kDepth>
struct RowOperand;

// The left operand of a second product, made of the accumulators of a first one. bf16: the layouts agree.
template <int kDepth>
struct RowOperand<bfloat16, kDepth> {
  static constexpr int kSharedBytes = 0;
  uint32_t pairs[kDepth / 16][4];

  GFSA_DEVICE void take(const float (&p)[kDepth / 8][4], Shared<float>, Where = Where::current()) {
    GFSA_UNROLL
    for (int k = 0; k < kDepth / 16; ++k) {
      pairs[k][0] = pack_bf16(p[2 * k][0], p[2 * k][1]);
      pairs[k][1] = pack_bf16(p[2 * k][2], p[2 * k][3]);
      pairs[k][2] = pack_bf16(p[2 * k + 1][0], p[2 * k + 1][1]);
      pairs[k][3] = pack_bf16(p[2 * k + 1][2], p[2 * k + 1][3]);
    }
  }
};

// f32: each lane needs whole rows, so the warp's matrix goes through shared memory (kSharedBytes a warp).
template <int kDepth>
struct RowOperand<float, kDepth> {
  static constexpr int kStep = kDepth + 4;
  static constexpr int kSharedBytes = kWarpRows * kStep * 4;
  Shared<const float> rows;

  // The block passes a barrier between two calls: other lanes may still read.
  GFSA_DEVICE void take(const float (&p)[kDepth / 8][4], Shared<float> buffer, Where where = Where::current()) {
    GFSA_UNROLL
    for (int n = 0; n < kDepth / 8; ++n) {
      store_vector(buffer, fragment_row(0) * kStep + fragment_column(n, 0), Vector<float, 2>{{p[n][0], p[n][1]}},
                   where);
      store_vector(buffer, fragment_row(2) * kStep + fragment_column(n, 2), Vector<float, 2>{{p[n][2], p[n][3]}},
                   where);
    }
    sync_warp(kAllLanes, where);
    rows = buffer;
  }
};

// d[16][8 kTiles] += a[16][depth] b[8 kTiles][depth]^T. depth: a multiple of 16.
template <int kTiles>
GFSA_DEVICE void multiply_transposed(float (&d)[kTiles][4], Shared<const bfloat16> a, Shared<const bfloat16> b,
                                     int step, int depth, Where where = Where::current()) {
  const int l = static_cast<int>(lane());
  for (int k = 0; k < depth; k += 16) {
    uint32_t fa[4];
    ldmatrix(fa, a + (l % 16 * step + k + l / 16 * 8), where);
    GFSA_UNROLL
    for (int n = 0; n < kTiles; n += 2) {
      uint32_t fb[4];
      ldmatrix(fb, b + ((8 * n + l / 16 * 8 + l % 8) * step + k + l / 8 % 2 * 8), where);
      mma_bf16(d[n], fa, {fb[0], fb[1]}, where);
      mma_bf16(d[n + 1], fa, {fb[2], fb[3]}, where);
    }
  }
}
template <int kTiles>
GFSA_DEVICE void multiply_transposed(float (&d)[kTiles][4], Shared<const float> a, Shared<const float> b, int step,
                                     int depth, Where where = Where::current()) {
  const int row = fragment_row(0), column = fragment_column(0, 0);
  for (int k = 0; k < depth; k += 4) {
    const auto a0 = load_vector<4>(a, row * step + k, where), a1 = load_vector<4>(a, (row + 8) * step + k, where);
    GFSA_UNROLL
    for (int n = 0; n < kTiles; ++n) {
      const auto b0 = load_vector<4>(b, (8 * n + column) * step + k, where);
      const auto b1 = load_vector<4>(b, (8 * n + column + 1) * step + k, where);
      GFSA_UNROLL
      for (int e = 0; e < 4; ++e) {
        d[n][0] += a0[e] * b0[e];
        d[n][1] += a0[e] * b1[e];
        d[n][2] += a1[e] * b0[e];
        d[n][3] += a1[e] * b1[e];
      }
    }
  }
}

// d[16][columns] += p[16][kDepth] x[kDepth][columns]. columns: a multiple of 16, at most 8 kTiles.
template <int kTiles, int kDepth>
GFSA_DEVICE void multiply(float (&d)[kTiles][4], const RowOperand<bfloat16, kDepth>& p, Shared<const bfloat16> x,
                          int step, int columns, Where where = Where::current()) {
  const int l = static_cast<int>(lane());
  GFSA_UNROLL
  for (int k = 0; k < kDepth / 16; ++k) {
    GFSA_UNROLL
    for (int n = 0; n < kTiles; n += 2) {
      if (8 * n < columns) {
        uint32_t fx[4];
        ldmatrix_transposed(fx, x + ((16 * k + l % 16) * step + 8 * n + l / 16 * 8), where);
        mma_bf16(d[n], p.pairs[k], {fx[0], fx[1]}, where);
        mma_bf16(d[n + 1], p.pairs[k], {fx[2], fx[3]}, where);
      }
    }
  }
}
template <int kTiles, int kDepth>
GFSA_DEVICE void multiply(float (&d)[kTiles][4], const RowOperand<float, kDepth>& p, Shared<const float> x, int step,
                          int columns, Where where = Where::current()) {
  constexpr int kStep = RowOperand<float, kDepth>::kStep;
  const int row = fragment_row(0), column = fragment_column(0, 0);
  for (int k = 0; k < kDepth; k += 4) {
    const auto p0 = load_vector<4>(p.rows, row * kStep + k, where);
    const auto p1 = load_vector<4>(p.rows, (row + 8) * kStep + k, where);
    GFSA_UNROLL
    for (int n = 0; n < kTiles; ++n) {
      if (8 * n < columns) {
        GFSA_UNROLL
        for (int e = 0; e < 4; ++e) {
          const auto v = load_vector<2>(x, (k + e) * step + 8 * n + column, where);
          d[n][0] += p0[e] * v[0];
          d[n][1] += p0[e] * v[1];
          d[n][2] += p1[e] * v[0];
          d[n][3] += p1[e] * v[1];
        }
      }
    }
  }
}

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
