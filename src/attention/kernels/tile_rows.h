// tile_rows.h -- what the forms made of tiles do to a tile of scores between their products, row after row.
#pragma once

#include <cmath>
#include <limits>

#include "attention/kernels/problem.h"
#include "attention/kernels/tiles.h"
#include "ops/dropout.h"

namespace gfsa::kernels {

// Loops over rows hold no branch that is the same for all of them: GCC makes a copy of the loop for each side, and one
// of them is then not vectorised.

// Where a tile stands: rows row0 .. row0 + rows - 1, keys key0 .. key0 + keys - 1, all of them below the head's width.
struct TilePlace {
  int64_t row0 = 0, rows = 0, key0 = 0, keys = 0;
  bool causal = false;
  // A square on the diagonal, of whose upper half products need not know.
  bool lower() const { return causal && row0 == key0; }
  int64_t seen(int64_t r) const { return causal ? std::clamp<int64_t>(row0 + r + 1 - key0, 0, keys) : keys; }
};

template <class T, simd::Isa isa, int64_t kStep>
class TileRows {
  using A = acc_t<T>;
  using Tile = Tiles<A, isa>;
  static constexpr A kHidden = -std::numeric_limits<A>::infinity();
  static constexpr int64_t kVector = 16;
  static constexpr int64_t kRows = Tile::kRows;
  static_assert(kStep % kVector == 0);

 public:
  // mask: scratch of kStep elements.
  TileRows(const Problem& p, const Head<T>& head, float* mask)
      : p_(p), head_(head), mask_(mask), factor_(static_cast<A>(1.0 / (1.0 - p.dropout))) {}

  // Scores to exponentials below each row's largest score so far. most, sum: the rows' running maximum (-inf at first)
  // and the sum of their exponentials; factor: by which what was summed before has to be multiplied. What multiplies V
  // is left in the tile: dropped, and rounded to T.
  void exponentials(const TilePlace& at, A* tile, A* most, A* sum, A* factor) const {
    within<isa>([&] {
      for (int64_t r = 0; r < at.rows; ++r) {
        const A before = most[r];
        most[r] = std::max(before, Tile::largest(tile + r * kStep, prepare(at, r, tile + r * kStep)));
        factor[r] = before == kHidden ? A(0) : math::exp_nonpositive(before - most[r]);
        sum[r] *= factor[r];
      }
    });
    weigh(at, tile, most, sum);
  }

  // The same in two steps, where all tiles of a row are there: first most, then exponentials and sum.
  void largest(const TilePlace& at, A* tile, A* most) const {
    within<isa>([&] {
      for (int64_t r = 0; r < at.rows; ++r) {
        most[r] = std::max(most[r], Tile::largest(tile + r * kStep, prepare(at, r, tile + r * kStep)));
      }
    });
  }
  void weigh(const TilePlace& at, A* tile, const A* most, A* sum) const {
    within<isa>([&] {
      for (int64_t r = 0; r < at.rows; ++r) {
        A* const s = tile + r * kStep;
        const int64_t end = filled(at, r);
        // Nothing to see yet: all exponentials shall be 0, and NaN scores shall stay NaN.
        const A largest = most[r] == kHidden ? A(0) : most[r];
#pragma omp simd
        for (int64_t j = 0; j < end; ++j) s[j] = math::exp_nonpositive(s[j] - largest);
        sum[r] += Tile::sum(s, end);
      }
    });
    to_operand(at, tile, tile);
  }

  // Scores to probabilities, in `tile` as they multiply V; `plain`: before dropout, the same memory without any.
  // most, inverse: the rows' largest scores and 1 / sums.
  void probabilities(const TilePlace& at, A* tile, A* plain, const A* most, const A* inverse) const {
    within<isa>([&] {
      for (int64_t r = 0; r < at.rows; ++r) {
        const A* const s = tile + r * kStep;
        A* const a = plain + r * kStep;
        const int64_t end = prepare(at, r, tile + r * kStep);
        const A largest = most[r], f = inverse[r];
#pragma omp simd
        for (int64_t j = 0; j < end; ++j) a[j] = f * math::exp_nonpositive(s[j] - largest);
      }
    });
    to_operand(at, plain, tile);
  }

  // r_term += the rows' sums of m o dm.
  void add_products(const TilePlace& at, const A* tile, const A* dm, A* r_term) const {
    within<isa>([&] {
      for (int64_t r = 0; r < at.rows; ++r) {
        const A *const m = tile + r * kStep, *const d = dm + r * kStep;
        const int64_t seen = at.seen(r);
        A sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t j = 0; j < seen; ++j) sum += m[j] * d[j];
        r_term[r] += sum;
      }
    });
  }

  // Through dropout and softmax: dm becomes m o dm - r a, which is added to dbias too (row 0 of the head, or nullptr).
  void score_gradient(const TilePlace& at, const A* tile, const A* plain, A* dm, const A* r_term, A* dbias) const {
    within<isa>([&] {
      for (int64_t r = 0; r < at.rows; ++r) {
        const A *const m = tile + r * kStep, *const a = plain + r * kStep;
        A* const d = dm + r * kStep;
        const A term = r_term[r];
        const int64_t end = filled(at, r);
#pragma omp simd
        for (int64_t j = 0; j < end; ++j) d[j] = m[j] * d[j] - term * a[j];
      }
    });
    if (dbias == nullptr) return;
    within<isa>([&] {
      for (int64_t r = 0; r < at.rows; ++r) {
        const A* const d = dm + r * kStep;
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
  // What multiplies V: dropped, and rounded to T. Rows that are one memory may be the other too.
  void to_operand(const TilePlace& at, const A* from, A* to) const {
    if (p_.dropout > 0) {
      for (int64_t r = 0; r < at.rows; ++r) drop(at, r, from + r * kStep, to + r * kStep);
    }
    if constexpr (!std::is_same_v<T, A>) {
      within<isa>([&] {
        for (int64_t r = 0; r < at.rows; ++r) {
          A* const s = to + r * kStep;
          const int64_t end = filled(at, r);
#pragma omp simd
          for (int64_t j = 0; j < end; ++j) s[j] = static_cast<A>(T(s[j]));
        }
      });
    }
  }
  void drop(const TilePlace& at, int64_t r, const A* from, A* to) const {
    const int64_t row = at.row0 + r, end = filled(at, r);
    dropout_mask(mask_, at.seen(r), p_.dropout_key, p_.sample0 + static_cast<uint32_t>(head_.b),
                 static_cast<uint64_t>((head_.h * p_.rows + row) * p_.keys + at.key0), static_cast<float>(p_.dropout));
    std::fill(mask_ + at.seen(r), mask_ + end, 0.0f);
    within<isa>([&] {
#pragma omp simd
      for (int64_t j = 0; j < end; ++j) to[j] = mask_[j] != 0.0f ? factor_ * from[j] : A(0);
    });
  }

  const Problem& p_;
  Head<T> head_;
  float* mask_;
  A factor_;
};

}  // namespace gfsa::kernels
