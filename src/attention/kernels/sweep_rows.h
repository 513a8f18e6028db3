// sweep_rows.h -- what the one-sweep form does to a tile of scores between its products, row after row.
#pragma once

#include <cmath>
#include <limits>

#include "attention/kernels/problem.h"
#include "attention/kernels/tiles.h"
#include "ops/dropout.h"

namespace gfsa::kernels {

// Where a tile stands: rows row0 .. row0 + rows - 1, keys key0 .. key0 + keys - 1, all of them below the head's width.
// On the diagonal row0 = key0, and row r sees r + 1 keys at most; elsewhere it sees all of them.
struct TilePlace {
  int64_t row0 = 0, rows = 0, key0 = 0, keys = 0;
  bool lower() const { return row0 == key0; }
  int64_t seen(int64_t r) const { return lower() ? std::min(keys, r + 1) : keys; }
};

template <class T, simd::Isa isa, int64_t kStep>
class SweepRows {
  using A = acc_t<T>;
  static constexpr A kHidden = -std::numeric_limits<A>::infinity();
  static constexpr int64_t kVector = 16;
  static constexpr int64_t kRows = Tiles<A, isa>::kRows;
  static_assert(kStep % kVector == 0);

 public:
  // mask: scratch of kStep elements.
  SweepRows(const Problem& p, const Head<T>& head, float* mask)
      : p_(p), head_(head), mask_(mask), factor_(static_cast<A>(1.0 / (1.0 - p.dropout))) {}

  // Scores to exponentials below each row's largest score so far. most, sum: the rows' running maximum (-inf at first)
  // and the sum of their exponentials; factor: by which what was summed before has to be multiplied. What multiplies V
  // is left in the tile: dropped, and rounded to T.
  void exponentials(const TilePlace& at, A* tile, A* most, A* sum, A* factor) const {
    within<isa>([&] {
      for (int64_t r = 0; r < at.rows; ++r) {
        A* const s = tile + r * kStep;
        const int64_t end = prepare(at, r, s);
        A largest = kHidden;
#pragma omp simd reduction(max : largest)
        for (int64_t j = 0; j < end; ++j) largest = s[j] > largest ? s[j] : largest;
        const A before = most[r];
        largest = before > largest ? before : largest;
        most[r] = largest;
        // Nothing to see yet: all exponentials shall be 0, and NaN scores shall stay NaN.
        if (largest == kHidden) largest = A(0);
        A total = 0;
#pragma omp simd reduction(+ : total)
        for (int64_t j = 0; j < end; ++j) {
          const A e = math::exp_nonpositive(s[j] - largest);
          s[j] = e;
          total += e;
        }
        factor[r] = before == kHidden ? A(0) : math::exp_nonpositive(before - largest);
        sum[r] = factor[r] * sum[r] + total;
        if (p_.dropout > 0) drop(at, r, s, s);
        if constexpr (!std::is_same_v<T, A>) round(s, end);
      }
    });
  }

  // Scores to probabilities, in `tile` as they multiply V; `plain`: before dropout, written only if there is any.
  // most, inverse: the rows' largest scores and 1 / sums.
  void probabilities(const TilePlace& at, A* tile, A* plain, const A* most, const A* inverse) const {
    within<isa>([&] {
      for (int64_t r = 0; r < at.rows; ++r) {
        A* const s = tile + r * kStep;
        const int64_t end = prepare(at, r, s);
        const A largest = most[r], f = inverse[r];
#pragma omp simd
        for (int64_t j = 0; j < end; ++j) s[j] = f * math::exp_nonpositive(s[j] - largest);
        if (p_.dropout > 0) {
          std::copy(s, s + end, plain + r * kStep);
          drop(at, r, plain + r * kStep, s);
        }
        if constexpr (!std::is_same_v<T, A>) round(s, end);
      }
    });
  }

  // The rows' sums of m o dm, where the tile is all that they see.
  void sum_products(const TilePlace& at, const A* tile, const A* dm, A* r_term) const {
    within<isa>([&] {
      for (int64_t r = 0; r < at.rows; ++r) {
        const A *const m = tile + r * kStep, *const d = dm + r * kStep;
        const int64_t seen = at.seen(r);
        A sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t j = 0; j < seen; ++j) sum += m[j] * d[j];
        r_term[r] = sum;
      }
    });
  }

  // Through dropout and softmax: dm becomes m o dm - r a, which is added to dbias too (row 0 of the head, or nullptr).
  void score_gradient(const TilePlace& at, const A* tile, const A* plain, A* dm, const A* r_term, A* dbias) const {
    within<isa>([&] {
      for (int64_t r = 0; r < at.rows; ++r) {
        const A* const m = tile + r * kStep;
        A* const d = dm + r * kStep;
        const A term = r_term[r];
        const int64_t end = filled(at, r);
        if (p_.dropout > 0) {
          const A* const a = plain + r * kStep;
#pragma omp simd
          for (int64_t j = 0; j < end; ++j) d[j] = m[j] * d[j] - term * a[j];
        } else {
#pragma omp simd
          for (int64_t j = 0; j < end; ++j) d[j] = m[j] * (d[j] - term);
        }
        if (dbias == nullptr) continue;
        A* const db = dbias + (at.row0 + r) * p_.keys + at.key0;
        const int64_t seen = at.seen(r);
#pragma omp simd
        for (int64_t j = 0; j < seen; ++j) db[j] += d[j];
      }
    });
  }

 private:
  // Products look at hidden keys too, up to the next multiple of kRows; whole vectors are computed.
  static int64_t filled(const TilePlace& at, int64_t r) {
    return round_up(at.lower() ? std::min(round_up(at.keys, kRows), (r / kRows + 1) * kRows) : round_up(at.keys, kRows),
                    kVector);
  }
  // Bias and masks; returns where the row ends.
  [[gnu::always_inline]] int64_t prepare(const TilePlace& at, int64_t r, A* s) const {
    const int64_t seen = at.seen(r), end = filled(at, r);
    if (head_.bias != nullptr) {
      const A* const bias = head_.bias + (at.row0 + r) * head_.bias_step + at.key0;
#pragma omp simd
      for (int64_t j = 0; j < seen; ++j) s[j] += bias[j];
    }
    if (head_.keep != nullptr) {
      const bool* const keep = head_.keep + at.key0;
#pragma omp simd
      for (int64_t j = 0; j < seen; ++j) s[j] = keep[j] ? s[j] : kHidden;
    }
    for (int64_t j = seen; j < end; ++j) s[j] = kHidden;
    return end;
  }
  [[gnu::always_inline]] void drop(const TilePlace& at, int64_t r, const A* from, A* to) const {
    const int64_t row = at.row0 + r, seen = at.seen(r);
    dropout_mask(mask_, seen, p_.dropout_key, p_.sample0 + static_cast<uint32_t>(head_.b),
                 static_cast<uint64_t>((head_.h * p_.rows + row) * p_.keys + at.key0), static_cast<float>(p_.dropout));
#pragma omp simd
    for (int64_t j = 0; j < seen; ++j) to[j] = mask_[j] != 0.0f ? factor_ * from[j] : A(0);
  }
  [[gnu::always_inline]] static void round(A* s, int64_t end) {
#pragma omp simd
    for (int64_t j = 0; j < end; ++j) s[j] = static_cast<A>(T(s[j]));
  }

  const Problem& p_;
  const Head<T>& head_;
  float* mask_;
  A factor_;
};

}  // namespace gfsa::kernels
