// block_tiles.h -- what the kernels of pass_kernels.h share: a block's tiles in shared memory, its rows in memory, and
// what becomes of scores in registers.
#pragma once

#include "attention/kernels/cuda/scores.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

inline constexpr int kMostWarps = 4;
inline constexpr int64_t kSharedBudget = 96 << 10;  // what every GPU since sm_80 gives a block

// Rows of a tile of the other side.
template <class T, int kColumns>
inline constexpr int kOtherRows = sizeof(T) == 4 && kColumns > 128 ? 16 : 32;

template <class T, int kColumns>
constexpr int64_t shared_bytes(int64_t warps, int64_t own_tiles) {
  constexpr int64_t kRow = row_step<T>(kColumns) * static_cast<int64_t>(sizeof(T));
  return (own_tiles * warps * kWarpRows + 2 * kOtherRows<T, kColumns>)*kRow +
         warps * RowOperand<T, kOtherRows<T, kColumns>>::kSharedBytes;
}

// Shared memory of a block.
template <class T, int kColumns>
struct Tiles {
  static constexpr int kOther = kOtherRows<T, kColumns>, kStep = row_step<T>(kColumns);
  static constexpr int kOtherElements = kOther * kStep;
  int own_rows, own_elements;
  Shared<T> own, others;  // own tiles; two of the other side
  Shared<float> operand;  // of this warp

  GFSA_DEVICE explicit Tiles(int own_tiles)
      : own_rows(static_cast<int>(block_dim_x()) / 32 * kWarpRows), own_elements(own_rows * kStep) {
    using Operand = RowOperand<T, kOther>;
    const int64_t own_bytes = int64_t{own_tiles} * own_elements * static_cast<int64_t>(sizeof(T));
    constexpr int64_t kOtherBytes = 2 * kOtherElements * static_cast<int64_t>(sizeof(T));
    own = dynamic_shared<T>(0, int64_t{own_tiles} * own_elements);
    others = dynamic_shared<T>(own_bytes, 2 * kOtherElements);
    operand = dynamic_shared<float>(own_bytes + kOtherBytes + int64_t{warp()} * Operand::kSharedBytes,
                                    Operand::kSharedBytes / 4);
  }
  // This warp's rows of own tile i.
  GFSA_DEVICE auto mine(int i) const { return own + (i * own_elements + static_cast<int>(warp()) * kWarpRows * kStep); }
  GFSA_DEVICE void fetch_own(int i, const Rows<const T>& rows, int head_size, int first, int end,
                             Where where = Where::current()) const {
    fetch_rows<T>(own + i * own_elements, kStep, rows, head_size, first, own_rows, end, where);
  }
  GFSA_DEVICE void fetch_other(int slot, const Rows<const T>& rows, int head_size, int first, int end,
                               Where where = Where::current()) const {
    fetch_rows<T>(others + slot * kOtherElements, kStep, rows, head_size, first, kOther, end, where);
  }
};

// Which head and which rows a block owns. Causal: the longest walks come first.
struct BlockWork {
  int b, h, own0;
  GFSA_DEVICE BlockWork(const Scores& c, int own_rows, bool own_is_key) {
    const int own_total = own_is_key ? c.keys : c.rows;
    const uint32_t tiles = static_cast<uint32_t>((own_total + own_rows - 1) / own_rows);
    uint32_t tile = block_x() % tiles;
    const uint32_t head = block_x() / tiles;
    if (c.causal && !own_is_key) tile = tiles - 1 - tile;
    h = static_cast<int>(head % static_cast<uint32_t>(c.heads));
    b = static_cast<int>(head / static_cast<uint32_t>(c.heads));
    own0 = static_cast<int>(tile) * own_rows;
  }
};

// acc += c rows, for rows in memory.
template <int kTiles, class T>
GFSA_DEVICE void add_rows(float (&acc)[kTiles][4], float c, const Rows<T>& rows, int own0, int end, int head_size,
                          Where where = Where::current()) {
  if (c == 0) return;
  GFSA_UNROLL
  for (int half = 0; half < 2; ++half) {
    const int row = own0 + fragment_row(2 * half);
    if (row >= end) continue;
    GFSA_UNROLL
    for (int n = 0; n < kTiles; ++n) {
      const int column = fragment_column(n, 0);
      const int64_t at = row * rows.step + column;
      if (rows.aligned && column < head_size) {
        const auto x = load_vector<2>(rows.data, at, where);
        acc[n][2 * half] += c * as_float(x[0]);
        acc[n][2 * half + 1] += c * as_float(x[1]);
      } else if (column < head_size) {
        acc[n][2 * half] += c * as_float(load(rows.data, at, where));
        if (column + 1 < head_size) acc[n][2 * half + 1] += c * as_float(load(rows.data, at + 1, where));
      }
    }
  }
}

template <int kTiles, class T>
GFSA_DEVICE void store_rows(const float (&acc)[kTiles][4], const Rows<T>& rows, int own0, int end, int head_size,
                            Where where = Where::current()) {
  GFSA_UNROLL
  for (int half = 0; half < 2; ++half) {
    const int row = own0 + fragment_row(2 * half);
    if (row >= end) continue;
    GFSA_UNROLL
    for (int n = 0; n < kTiles; ++n) {
      const int column = fragment_column(n, 0);
      const int64_t at = row * rows.step + column;
      const T low = from_float<T>(acc[n][2 * half]), high = from_float<T>(acc[n][2 * half + 1]);
      if (rows.aligned && column < head_size) {
        store_vector(rows.data, at, Vector<T, 2>{{low, high}}, where);
      } else if (column < head_size) {
        store(rows.data, at, low, where);
        if (column + 1 < head_size) store(rows.data, at + 1, high, where);
      }
    }
  }
}

// The running maximum and sum of the rows of a softmax whose tiles come one after the other.
struct OnlineSoftmax {
  float largest[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};

  // s becomes exp2(s - largest); acc is scaled to the new maximum.
  template <int kTiles, int kColumnTiles>
  GFSA_DEVICE void take(float (&s)[kTiles][4], float (&acc)[kColumnTiles][4]) {
    GFSA_UNROLL
    for (int half = 0; half < 2; ++half) {
      float m = largest[half];
      GFSA_UNROLL
      for (int n = 0; n < kTiles; ++n) m = fmaxf(m, fmaxf(s[n][2 * half], s[n][2 * half + 1]));
      m = fmaxf(m, shuffle_xor(m, 1));
      m = fmaxf(m, shuffle_xor(m, 2));
      const float base = m == -INFINITY ? 0.0f : m;  // nothing seen so far
      const float rescale = exp2_fast(largest[half] - base);
      largest[half] = m;
      float added = 0;
      GFSA_UNROLL
      for (int n = 0; n < kTiles; ++n) {
        GFSA_UNROLL
        for (int e = 2 * half; e < 2 * half + 2; ++e) {
          s[n][e] = exp2_fast(s[n][e] - base);
          added += s[n][e];
        }
      }
      sum[half] = sum[half] * rescale + added;
      GFSA_UNROLL
      for (int n = 0; n < kColumnTiles; ++n) {
        acc[n][2 * half] *= rescale;
        acc[n][2 * half + 1] *= rescale;
      }
    }
  }
  // acc becomes the mean. A row that has seen nothing is zeros, and its log-sum-exp makes all of its exponentials 0.
  template <int kColumnTiles>
  GFSA_DEVICE void finish(float (&acc)[kColumnTiles][4], float (&lse)[2]) {
    GFSA_UNROLL
    for (int half = 0; half < 2; ++half) {
      float total = sum[half];
      total += shuffle_xor(total, 1);
      total += shuffle_xor(total, 2);
      const float inverse = total == 0 ? 0.0f : 1 / total;
      lse[half] = total == 0 ? INFINITY : largest[half] + log2f(total);
      GFSA_UNROLL
      for (int n = 0; n < kColumnTiles; ++n) {
        acc[n][2 * half] *= inverse;
        acc[n][2 * half + 1] *= inverse;
      }
    }
  }
};

// s becomes exp2(s - lse).
template <int kTiles>
GFSA_DEVICE void exponentials(float (&s)[kTiles][4], const Scores& c, const Place& at, const RowValues& lse) {
  GFSA_UNROLL
  for (int n = 0; n < kTiles; ++n) {
    GFSA_UNROLL
    for (int column = 0; column < 2; ++column) {
      const float low = lse.at(c, at, n, column), high = at.own_is_key ? low : lse.at(c, at, n, column + 2);
      s[n][column] = exp2_fast(s[n][column] - low);
      s[n][column + 2] = exp2_fast(s[n][column + 2] - high);
    }
  }
}

template <int kTiles>
GFSA_DEVICE void drop(float (&p)[kTiles][4], const Scores& c, const Place& at) {
  if (c.dropout == 0) return;
  const uint32_t kept = kept_bits<kTiles>(c, at);
  GFSA_UNROLL
  for (int n = 0; n < kTiles; ++n) {
    GFSA_UNROLL
    for (int e = 0; e < 4; ++e) p[n][e] = has_bit(kept, n, e) ? c.kept_factor * p[n][e] : 0.0f;
  }
}

// s becomes dS of a tile: m dm - r p.
template <int kTiles>
GFSA_DEVICE void score_gradient(float (&s)[kTiles][4], const float (&dm)[kTiles][4], const Scores& c, const Place& at,
                                const RowValues& lse, const RowValues& row_terms) {
  exponentials(s, c, at, lse);
  const uint32_t kept = kept_bits<kTiles>(c, at);
  GFSA_UNROLL
  for (int n = 0; n < kTiles; ++n) {
    GFSA_UNROLL
    for (int column = 0; column < 2; ++column) {
      const float low = row_terms.at(c, at, n, column);
      const float high = at.own_is_key ? low : row_terms.at(c, at, n, column + 2);
      s[n][column] *= (has_bit(kept, n, column) ? c.kept_factor * dm[n][column] : 0.0f) - low;
      s[n][column + 2] *= (has_bit(kept, n, column + 2) ? c.kept_factor * dm[n][column + 2] : 0.0f) - high;
    }
  }
}

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
