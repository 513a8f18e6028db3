// block_tiles.h -- what the kernels of pass_kernels.h and sweep_kernels.h share: a block's tiles in shared memory, its
// rows in memory, and what becomes of scores and sums in registers.
#pragma once

#include <algorithm>

#include "attention/kernels/cuda/pass.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

inline constexpr int kMostWarps = 4;
inline constexpr int64_t kSharedBudget = 96 << 10;  // what every GPU since sm_80 gives a block

// Rows of a tile of the other side.
template <class T, int kColumns>
inline constexpr int kOtherRows = sizeof(T) == 4 && kColumns > 128 ? 16 : 32;

template <class T, int kColumns>
constexpr int64_t shared_bytes(int64_t warps, int64_t own_tiles, int64_t other_tiles = 2) {
  constexpr int64_t kRow = row_step<T>(kColumns) * static_cast<int64_t>(sizeof(T));
  return (own_tiles * warps * kWarpRows + other_tiles * kOtherRows<T, kColumns>)*kRow +
         warps * RowOperand<T, kOtherRows<T, kColumns>>::kSharedBytes;
}

// Shared memory of a block.
template <class T, int kColumns>
struct Tiles {
  static constexpr int kOther = kOtherRows<T, kColumns>, kStep = row_step<T>(kColumns);
  static constexpr int kOtherElements = kOther * kStep;
  int own_rows, own_elements;
  Shared<T> own, others;  // own tiles; two or more of the other side
  Shared<float> operand;  // of this warp

  GFSA_DEVICE explicit Tiles(int own_tiles, int other_tiles = 2)
      : own_rows(static_cast<int>(block_dim_x()) / 32 * kWarpRows), own_elements(own_rows * kStep) {
    using Operand = RowOperand<T, kOther>;
    const int64_t own_bytes = int64_t{own_tiles} * own_elements * static_cast<int64_t>(sizeof(T));
    const int64_t other_bytes = int64_t{other_tiles} * kOtherElements * static_cast<int64_t>(sizeof(T));
    own = dynamic_shared<T>(0, int64_t{own_tiles} * own_elements);
    others = dynamic_shared<T>(own_bytes, int64_t{other_tiles} * kOtherElements);
    operand = dynamic_shared<float>(own_bytes + other_bytes + int64_t{warp()} * Operand::kSharedBytes,
                                    Operand::kSharedBytes / 4);
  }
  GFSA_DEVICE auto other(int slot) const { return others + slot * kOtherElements; }
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
  GFSA_DEVICE BlockWork(const Scores& c, int own_rows, bool own_is_key, const Span& span = {}) {
    const int own_total = span.end_of(own_is_key ? c.keys : c.rows) - span.begin;
    const uint32_t tiles = static_cast<uint32_t>((own_total + own_rows - 1) / own_rows);
    uint32_t tile = block_x() % tiles;
    const uint32_t head = block_x() / tiles;
    if (c.causal && !own_is_key) tile = tiles - 1 - tile;
    h = static_cast<int>(head % static_cast<uint32_t>(c.heads));
    b = static_cast<int>(head / static_cast<uint32_t>(c.heads));
    own0 = span.begin + static_cast<int>(tile) * own_rows;
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

// What a warp does with the sums of its rows, which are those from at.own0 on, before `end`.
template <int kTiles, class T>
GFSA_DEVICE void finish_rows(const Finish<T>& to, float (&sums)[kTiles][4], const Scores& c, const Place& at, int end,
                             const Span& span, Where where = Where::current()) {
  const int size = c.head_size, first = c.first, h = at.h;
  if (to.raw.data != nullptr) store_rows<kTiles, T>(sums, to.raw.rows(first, h), at.own0, end, size, where);
  if (to.y.data == nullptr) return;
  if (to.factor_at > 0) scale_all(sums, c.c(h, to.factor_at, where));
  if (to.begun.data != nullptr) {
    const float factor = to.begun_at > 0 ? c.c(h, to.begun_at, where) : 1.0f;
    add_rows<kTiles, const float>(sums, factor, to.begun.rows(at.b, h), at.own0 - span.begin, end - span.begin, size,
                                  where);
  }
  for (int t = to.first_term; t < to.end_term; ++t) {
    add_rows<kTiles, const T>(sums, c.c(h, t, where), to.terms.rows(t, first, h), at.own0, end, size, where);
  }
  if (to.mean != nullptr) {
    const int64_t head = to.one_mean ? int64_t{at.b} * c.heads + h : at.row0;
    const Rows<const float> mean{to.mean + head * size, to.one_mean ? 0 : size, size % 4 == 0};
    add_rows<kTiles, const float>(sums, c.c(h, -1, where), mean, at.own0, end, size, where);
  }
  if (to.accumulate) add_rows<kTiles, T>(sums, 1, to.y.rows(first, h), at.own0, end, size, where);
  store_rows<kTiles, T>(sums, to.y.rows(first, h), at.own0, end, size, where);
}

// y = scale dS other, or += that.
template <int kTiles, class T>
GFSA_DEVICE void finish_gradient(const HeadView<T>& y, bool accumulate, float (&sums)[kTiles][4], const Scores& c,
                                 const Place& at, int end, Where where = Where::current()) {
  scale_all(sums, c.scale);
  if (accumulate) add_rows<kTiles, T>(sums, 1, y.rows(c.first, at.h), at.own0, end, c.head_size, where);
  store_rows<kTiles, T>(sums, y.rows(c.first, at.h), at.own0, end, c.head_size, where);
}

// The running maximum and sum of the rows of a softmax whose tiles come one after the other.
struct OnlineSoftmax {
  float largest[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0}, rescale[2] = {1, 1};

  // s becomes exp2(s - largest). What was summed with weights of earlier tiles is to be scaled to the new maximum.
  template <int kTiles>
  GFSA_DEVICE void take(float (&s)[kTiles][4]) {
    GFSA_UNROLL
    for (int half = 0; half < 2; ++half) {
      float m = largest[half];
      GFSA_UNROLL
      for (int n = 0; n < kTiles; ++n) m = fmaxf(m, fmaxf(s[n][2 * half], s[n][2 * half + 1]));
      m = fmaxf(m, shuffle_xor(m, 1));
      m = fmaxf(m, shuffle_xor(m, 2));
      const float base = m == -INFINITY ? 0.0f : m;  // nothing seen so far
      rescale[half] = exp2_fast(largest[half] - base);
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
      sum[half] = sum[half] * rescale[half] + added;
    }
  }
  template <class... Sums>
  GFSA_DEVICE void scale(Sums&... sums) const {
    GFSA_UNROLL
    for (int half = 0; half < 2; ++half) (scale_half(sums, half, rescale[half]), ...);
  }
  // Sums become means. A row that has seen nothing is zeros, and its log-sum-exp makes all of its exponentials 0.
  template <class... Sums>
  GFSA_DEVICE void finish(float (&lse)[2], Sums&... sums) {
    GFSA_UNROLL
    for (int half = 0; half < 2; ++half) {
      float total = sum[half];
      total += shuffle_xor(total, 1);
      total += shuffle_xor(total, 2);
      const float inverse = total == 0 ? 0.0f : 1 / total;
      lse[half] = total == 0 ? INFINITY : largest[half] + log2f(total);
      (scale_half(sums, half, inverse), ...);
    }
  }
  // The lane's lse are stored, by one lane of those that share a row. row0: Scores::head_row.
  GFSA_DEVICE static void store_lse(const float (&lse)[2], InPlace<float> to, const Place& at, int end,
                                    Where where = Where::current()) {
    if (to == nullptr || lane() % 4 != 0) return;
    for (int half = 0; half < 2; ++half) {
      if (at.own(2 * half) < end) store(to, at.row0 + at.own(2 * half), lse[half], where);
    }
  }

 private:
  template <int kColumnTiles>
  GFSA_DEVICE static void scale_half(float (&d)[kColumnTiles][4], int half, float factor) {
    GFSA_UNROLL
    for (int n = 0; n < kColumnTiles; ++n) {
      d[n][2 * half] *= factor;
      d[n][2 * half + 1] *= factor;
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

// kept: kept_bits().
template <int kTiles>
GFSA_DEVICE void drop(float (&p)[kTiles][4], const Scores& c, uint32_t kept) {
  if (c.dropout == 0) return;
  GFSA_UNROLL
  for (int n = 0; n < kTiles; ++n) {
    GFSA_UNROLL
    for (int e = 0; e < 4; ++e) p[n][e] = has_bit(kept, n, e) ? c.kept_factor * p[n][e] : 0.0f;
  }
}

// p becomes dS of a tile: m dm - r p. kept: kept_bits(), drawn before p exists, for they take many registers.
template <int kTiles>
GFSA_DEVICE void score_gradient(float (&p)[kTiles][4], const float (&dm)[kTiles][4], const Scores& c, const Place& at,
                                uint32_t kept, const RowValues& row_terms) {
  GFSA_UNROLL
  for (int n = 0; n < kTiles; ++n) {
    GFSA_UNROLL
    for (int column = 0; column < 2; ++column) {
      const float low = row_terms.at(c, at, n, column);
      const float high = at.own_is_key ? low : row_terms.at(c, at, n, column + 2);
      p[n][column] *= (has_bit(kept, n, column) ? c.kept_factor * dm[n][column] : 0.0f) - low;
      p[n][column + 2] *= (has_bit(kept, n, column + 2) ? c.kept_factor * dm[n][column + 2] : 0.0f) - high;
    }
  }
}

// Host side: as many warps a block as the own rows need and as shared memory allows.
template <class T, int kColumns>
int64_t warps_of(int64_t own_total, int64_t own_tiles, int64_t other_tiles = 2) {
  int64_t warps = std::clamp<int64_t>((own_total + kWarpRows - 1) / kWarpRows, 1, kMostWarps);
  while (warps > 1 && shared_bytes<T, kColumns>(warps, own_tiles, other_tiles) > kSharedBudget) warps /= 2;
  return warps;
}

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
