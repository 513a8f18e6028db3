// scores.h -- one attention as kernels see it: places of heads in memory, masks, bias, dropout, coefficients.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include "attention/kernels/cuda/tiles.h"
#include "attention/kernels/problem.h"
#include "core/cuda/random.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

inline constexpr float kLog2E = 1.44269504088896341f;

struct Scores {
  int heads = 0, rows = 0, keys = 0, head_size = 0, degree = 1;
  float scale = 1;  // of q k^T
  bool causal = false;
  Global<const int64_t> lengths{};  // [B] or null
  Global<const bool> keep{};        // [B, keys] or null
  Global<const float> bias{};       // or null; steps are 0 where it is shared
  int64_t bias_batch_step = 0, bias_head_step = 0, bias_row_step = 0;
  Global<const float> coefficients{};  // [H, degree + 2] or null: softmax
  Global<const int64_t> offsets{};     // [B + 1]: packed sequences, in tensors whose rows are all of theirs; or null
  int total = 0;                       // rows of these tensors
  int first = 0;                       // after of(): b, or the row where the packed sequence starts
  float dropout = 0, kept_factor = 1;  // of M; 0: none
  DrawsOfStep draws{};
  bool dropout_by_length = false;  // elements are counted as in a matrix of the sample's own length

  // What a block works with that has chosen sample b. Of packed sequences rows and keys are then those of this one, not
  // the most that one has.
  GFSA_DEVICE Scores of(int b, Where where = Where::current()) const {
    Scores own = *this;
    own.first = b;
    if (offsets == nullptr) return own;
    const int64_t begin = load(offsets, b, where), end = load(offsets, int64_t{b} + 1, where);
    own.first = begin < 0 ? 0 : begin > total ? total : static_cast<int>(begin);
    const int most = total - own.first < rows ? total - own.first : rows;
    own.rows = end <= own.first ? 0 : end - own.first > most ? most : static_cast<int>(end - own.first);
    return own;
  }
  // A packed sequence has as many keys as rows. Not a number of its own in of(): registers are scarce.
  GFSA_DEVICE int own_keys() const { return offsets == nullptr ? keys : rows; }
  // Row 0 of a head in what has one number, or vector, a head and row: [B, H, rows], packed [H, total].
  GFSA_DEVICE int64_t head_row(int of_first, int h) const {
    return offsets == nullptr ? (int64_t{of_first} * heads + h) * rows : int64_t{h} * total + of_first;
  }
  // Keys at or beyond it are hidden.
  GFSA_DEVICE int length(int b, Where where = Where::current()) const {
    if (lengths == nullptr) return own_keys();
    const int64_t n = load(lengths, b, where);
    return n < 0 ? 0 : n > keys ? keys : static_cast<int>(n);
  }
  GFSA_DEVICE bool is_kept(int b, int j, Where where = Where::current()) const {
    return keep == nullptr || load(keep, int64_t{b} * keys + j, where);
  }
  // cj; j = -1: cu.
  GFSA_DEVICE float c(int h, int j, Where where = Where::current()) const {
    if (coefficients == nullptr) return j == 1 ? 1.0f : 0.0f;
    return load(coefficients, int64_t{h} * (degree + 2) + 1 + j, where);
  }
  GFSA_DEVICE uint64_t dropout_index(int h, int i, int j) const {
    return static_cast<uint64_t>((int64_t{h} * rows + i) * own_keys() + j);
  }
  // 0, or 1 / (1 - p).
  GFSA_DEVICE float dropout_factor(int b, int h, int i, int j, Where where = Where::current()) const {
    const int64_t n = dropout_by_length ? length(b, where) : 0;
    const uint64_t index = n > 0 ? static_cast<uint64_t>((h * n + i) * n + j) : dropout_index(h, i, j);
    return keeps(draws.now(where).at(b, index / 4), index) ? kept_factor : 0.0f;
  }
  // Picked without an address, so that the numbers stay in registers.
  GFSA_DEVICE bool keeps(const std::array<uint32_t, 4>& numbers, uint64_t index) const {
    const uint32_t low = index % 2 == 0 ? numbers[0] : numbers[1], high = index % 2 == 0 ? numbers[2] : numbers[3];
    return uniform_from_bits(index % 4 < 2 ? low : high) >= dropout;
  }
};

// Heads in memory: element (b, h, i, d) stands at first batch_step + h head_step + i row_step + d with Scores::first,
// so that the batch_step of packed sequences is their row_step.
template <class T>
struct HeadView {
  Global<T> data{};
  int64_t batch_step = 0, head_step = 0, row_step = 0;
  bool aligned = false;  // as in Rows

  GFSA_DEVICE Rows<T> rows(int first, int h) const {
    return {data + (first * batch_step + h * head_step), row_step, aligned};
  }
};

// D_0, D_1, ... or T_1, T_2, ...: all but one stand one after the other in one tensor.
template <class T>
struct Chain {
  HeadView<T> alone;
  int alone_at = 0;  // which one of them that is: the first or the last
  HeadView<T> others;
  int64_t between = 0;

  GFSA_DEVICE Rows<T> rows(int t, int first, int h) const {
    if (t == alone_at) return alone.rows(first, h);
    Rows<T> rows = others.rows(first, h);
    rows.data += (t - (alone_at == 0 ? 1 : 0)) * between;
    return rows;
  }
};

// A warp's tile of the matrix: 16 rows of its own side by the rows of the other side. Queries own in forward and for
// dQ, keys own in backward.
struct Place {
  int b, h, own0, other0, length;
  bool own_is_key;
  int64_t row0;  // Scores::head_row

  GFSA_DEVICE int own(int e) const { return own0 + fragment_row(e); }
  GFSA_DEVICE int other(int n, int e) const { return other0 + fragment_column(n, e); }
  GFSA_DEVICE int query(int n, int e) const { return own_is_key ? other(n, e) : own(e); }
  GFSA_DEVICE int key(int n, int e) const { return own_is_key ? own(e) : other(n, e); }
};

// Bit 4 n + e of a tile tells of element [n][e].
template <int kTiles>
inline constexpr uint32_t kAllBits = 0xFFFFFFFFu >> (32 - 4 * kTiles);
GFSA_DEVICE bool has_bit(uint32_t bits, int n, int e) { return (bits >> (4 * n + e) & 1u) != 0; }

// Which keys may be seen.
template <int kTiles>
GFSA_DEVICE uint32_t visible_bits(const Scores& c, const Place& at, Where where = Where::current()) {
  const int query0 = at.own_is_key ? at.other0 : at.own0, key0 = at.own_is_key ? at.own0 : at.other0;
  const int query_end = query0 + (at.own_is_key ? 8 * kTiles : kWarpRows);
  const int key_end = key0 + (at.own_is_key ? kWarpRows : 8 * kTiles);
  const bool inside = query_end <= c.rows && key_end <= at.length && (!c.causal || key_end <= query0 + 1);
  if (inside && c.keep == nullptr) return kAllBits<kTiles>;
  uint32_t bits = 0;
  GFSA_NO_UNROLL
  for (int index = 0; index < 4 * kTiles; ++index) {
    const int i = at.query(index / 4, index % 4), j = at.key(index / 4, index % 4);
    const bool visible = i < c.rows && j < at.length && (!c.causal || j <= i) && c.is_kept(at.b, j, where);
    bits |= (visible ? 1u : 0u) << index;
  }
  return bits;
}

// Which elements dropout keeps; neighbours often share four numbers.
template <int kTiles>
GFSA_DEVICE uint32_t kept_bits(const Scores& c, const Place& at, Where where = Where::current()) {
  if (c.dropout == 0) return kAllBits<kTiles>;
  const Draws draws = c.draws.now(where);
  uint32_t bits = 0;
  uint64_t drawn = ~uint64_t{0};
  std::array<uint32_t, 4> numbers{};
  GFSA_NO_UNROLL
  for (int index = 0; index < 4 * kTiles; ++index) {
    const uint64_t element = c.dropout_index(at.h, at.query(index / 4, index % 4), at.key(index / 4, index % 4));
    if (element / 4 != drawn) {
      drawn = element / 4;
      numbers = draws.at(at.b, drawn);
    }
    bits |= (c.keeps(numbers, element) ? 1u : 0u) << index;
  }
  return bits;
}

// s = log2(e) (scale s + bias) where the key may be seen, else minus infinity.
template <int kTiles>
GFSA_DEVICE void mask_scores(float (&s)[kTiles][4], const Scores& c, const Place& at, Where where = Where::current()) {
  const uint32_t visible = visible_bits<kTiles>(c, at, where);
  const float scale = c.scale * kLog2E;
  const int64_t bias0 = at.b * c.bias_batch_step + at.h * c.bias_head_step;
  GFSA_UNROLL
  for (int n = 0; n < kTiles; ++n) {
    GFSA_UNROLL
    for (int e = 0; e < 4; ++e) {
      float x = s[n][e] * scale;
      if (c.bias != nullptr && has_bit(visible, n, e)) {
        x += load(c.bias, bias0 + at.query(n, e) * c.bias_row_step + at.key(n, e), where) * kLog2E;
      }
      s[n][e] = has_bit(visible, n, e) ? x : -INFINITY;
    }
  }
}

// A value a query row, such as its log-sum-exp, for the elements of a tile: own rows, those before `end`, are loaded
// once.
struct RowValues {
  Global<const float> values{};  // of all heads
  float own[2] = {0, 0};

  RowValues() = default;
  GFSA_DEVICE RowValues(Global<const float> all, const Place& at, int end, Where where = Where::current())
      : values(all) {
    if (at.own_is_key) return;
    GFSA_UNROLL
    for (int half = 0; half < 2; ++half) {
      if (at.own(2 * half) < end) own[half] = load(values, at.row0 + at.own(2 * half), where);
    }
  }
  GFSA_DEVICE float at(const Scores& c, const Place& place, int n, int e, Where where = Where::current()) const {
    if (!place.own_is_key) return e < 2 ? own[0] : own[1];
    const int i = place.other(n, e);
    return i < c.rows ? load(values, place.row0 + i, where) : 0.0f;
  }
};

// Rows or keys from `begin` on, before `end`: what the blocks of a launch own.
struct Span {
  int begin = 0, end = 0x7FFFFFFF;
  GFSA_DEVICE int end_of(int total) const { return end < total ? end : total; }
};

// Which rows of the other side a block of own rows has to look at.
struct OtherRange {
  int begin, end;
};
GFSA_DEVICE OtherRange other_range(const Scores& c, int own0, int own_rows, int length, bool own_is_key) {
  if (!own_is_key) return {0, !c.causal || own0 + own_rows > length ? length : own0 + own_rows};
  if (own0 >= length) return {0, 0};
  return {c.causal ? own0 : 0, c.rows};
}

// Host side.
inline int64_t rows_of(const Span& span, int64_t total) { return std::min<int64_t>(span.end, total) - span.begin; }

inline Scores scores_of(const kernels::Problem& p) {
  Scores c;
  c.heads = static_cast<int>(p.heads);
  c.rows = static_cast<int>(p.rows);
  c.keys = static_cast<int>(p.keys);
  c.head_size = static_cast<int>(p.head_size);
  c.degree = static_cast<int>(p.degree);
  c.scale = static_cast<float>(p.scale);
  c.causal = p.causal;
  if (p.offsets) c.offsets = static_cast<const int64_t*>(p.offsets.data<int64_t>());
  c.total = static_cast<int>(p.q.dim(1));
  if (p.lengths) c.lengths = static_cast<const int64_t*>(p.lengths.data<int64_t>());
  if (p.keep) c.keep = static_cast<const bool*>(p.keep.data<bool>());
  if (p.bias) {
    c.bias = static_cast<const float*>(p.bias.data<float>());
    c.bias_batch_step = p.bias.dim(0) > 1 ? p.bias.strides()[0] : 0;
    c.bias_head_step = p.bias.dim(1) > 1 ? p.bias.strides()[1] : 0;
    c.bias_row_step = p.bias.strides()[2];
  }
  if (p.device_coefficients) c.coefficients = static_cast<const float*>(p.device_coefficients.data<float>());
  c.dropout = static_cast<float>(p.dropout);
  c.kept_factor = static_cast<float>(1 / (1 - p.dropout));
  c.draws = {p.dropout_key, p.sample0};
  c.dropout_by_length = p.dropout_by_length;
  return c;
}

template <class T>
HeadView<T> view_at(std::remove_const_t<T>* data, int64_t batch_step, int64_t head_step, int64_t row_step,
                    int64_t head_size) {
  constexpr int64_t kElements = kPerCopy<T>;
  const bool aligned = reinterpret_cast<uintptr_t>(data) % 16 == 0 && batch_step % kElements == 0 &&
                       head_step % kElements == 0 && row_step % kElements == 0 && head_size % kElements == 0;
  return {static_cast<T*>(data), batch_step, head_step, row_step, aligned};
}
// Of [B, N, H D]. With B = 1 they may be packed sequences.
template <class T>
HeadView<T> view_of(const Tensor& x, int64_t head_size) {
  if (!x) return {};
  return view_at<T>(x.data<std::remove_const_t<T>>(), x.dim(0) > 1 ? x.strides()[0] : x.strides()[1], head_size,
                    x.strides()[1], head_size);
}

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
