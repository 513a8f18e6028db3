#include "attention/kernels/kernels.h"
#include "attention/kernels/rows.h"
#include "attention/kernels/sequences.h"
#include "attention/kernels/sweep_rows.h"
#include "attention/kernels/visible_mean.h"
#include "core/dispatch.h"

namespace gfsa::kernels {
namespace {

// One call's sizes and scratch places; run() is one head.
template <class T, simd::Isa isa>
class Forward {
  using A = acc_t<T>;
  using Tile = Tiles<A, isa>;
  using Strips = typename Tile::Strips;
  static constexpr int64_t kKeys = 2 * kSquare;  // of a tile below the diagonal: sums are rescaled once a tile
  static constexpr int64_t kColumns = Tile::kColumns;

 public:
  // horner, softmax: where T_1 .. T_{k-1} and the softmaxes' figures are kept, or undefined.
  Forward(const Problem& p, Tensor out, Tensor horner, Tensor softmax)
      : p_(p),
        out_(std::move(out)),
        horner_(std::move(horner)),
        softmax_(std::move(softmax)),
        count_(Tile::strips(p.head_size)),
        strip_step_(round_up(p.rows, kSquare) * kColumns) {
    const int64_t most = p.value_degree();
    keys_ = layout_.add<A>(round_up(p.keys, kColumns) * p.head_size);
    x_ = layout_.add<A>(most * count_ * strip_step_);
    q_ = layout_.add<A>(count_ * kSquare * kColumns);
    sums_ = layout_.add<A>(most * count_ * kSquare * kColumns);
    tile_ = layout_.add<A>(kSquare * kKeys);
    figures_ = layout_.add<A>(3 * kSquare);
    row_ = layout_.add<A>(count_ * kColumns);
    mean_ = layout_.add<A>(p.head_size);
    mask_ = layout_.add<float>(kKeys);
  }
  const ScratchLayout& layout() const { return layout_; }

  void run(int64_t task, const Scratch& scratch) const {
    const Problem& p = p_;
    const Head<T> head(p, task / p.heads, task % p.heads);
    const int64_t size = p.head_size, degree = p.value_degree(head.h), n = p.rows;
    A* const keys = scratch.at<A>(keys_);
    // V, T_{degree-1}, ..., T_1: what M multiplies, each made when the one before it is finished up to the same row.
    const Strips x{scratch.at<A>(x_), strip_step_};
    const Strips q{scratch.at<A>(q_), kSquare * kColumns}, sums{scratch.at<A>(sums_), kSquare * kColumns};
    A* const tile = scratch.at<A>(tile_);
    A *const most = scratch.at<A>(figures_), *const sum = most + kSquare, *const factor = sum + kSquare;
    Tile::pack_transposed(head.k.data, head.k.step, head.width, size, keys, size * kColumns);
    Tile::pack(head.v.data, head.v.step, n, size, x, 0);
    const SweepRows<T, isa, kKeys> rows_of(p, head, scratch.at<float>(mask_));
    VisibleMean<T> mean(p, head, scratch.at<A>(mean_));

    for (int64_t row0 = 0; row0 < n; row0 += kSquare) {
      const int64_t rows = std::min(kSquare, n - row0);
      Tile::pack(head.q.row(row0), head.q.step, rows, size, q, 0);
      Tile::scale(q, count_, rows, static_cast<A>(p.scale));
      std::fill(most, most + kSquare, -std::numeric_limits<A>::infinity());
      std::fill(sum, sum + kSquare, A(0));
      std::fill(sums.data, sums.data + degree * count_ * sums.step, A(0));
      const auto weights = [&](const TilePlace& at) {
        Tile::template scores<kKeys>(q, 1, size, keys + at.key0 * size, at.rows, at.keys, at.lower(), tile);
        rows_of.exponentials(at, tile, most, sum, factor);
      };
      const int64_t before = std::min(row0, head.width);
      for (int64_t key0 = 0; key0 < before; key0 += kKeys) {
        const TilePlace at{row0, rows, key0, std::min(kKeys, before - key0)};
        weights(at);
        Tile::template add_rows<kKeys>(tile, rows, at.keys, false, {x.at(0, key0), x.step}, degree * count_, factor,
                                       sums);
      }
      const TilePlace own{row0, rows, row0, std::clamp<int64_t>(head.width - row0, 0, rows)};
      if (own.keys > 0) weights(own);
      for (int64_t r = 0; r < rows; ++r) factor_inverse(sum[r]);
      for (int64_t g = 0; g < degree; ++g) {
        const Strips y{sums.at(g * count_, 0), sums.step};
        if (own.keys > 0) {
          Tile::template add_rows<kKeys>(tile, rows, own.keys, true, {x.at(g * count_, row0), x.step}, count_, factor,
                                         y);
        }
        finish(task, head, degree, g, own, y, sum, x, mean, scratch.at<A>(row_));
      }
      if (softmax_) keep_figures(task, own, most, sum);
    }
  }

 private:
  // Of rows that see nothing too.
  static void factor_inverse(A& sum) { sum = sum == A(0) ? A(0) : A(1) / sum; }

  // y: M x_g up to the sums' inverse. Makes T_{degree-1-g} of it, the next one to be multiplied, or the result.
  void finish(int64_t task, const Head<T>& head, int64_t degree, int64_t g, const TilePlace& own, const Strips& y,
              const A* inverse, const Strips& x, VisibleMean<T>& mean, A* row) const {
    const int64_t size = p_.head_size, j = degree - 1 - g, step = (p_.value_degree() - 1) * size;
    const A cv = static_cast<A>(p_.c(head.h, j)), cu = static_cast<A>(p_.uniform(head.h));
    // T_degree = c V: the factor is put to the product instead.
    const A f = g == 0 ? static_cast<A>(p_.c(head.h, degree)) : A(1);
    const HeadRows<T> result = head_rows<T>(out_, head.b, head.h, size);
    T* const kept = j > 0 && horner_ ? horner_.template data<T>() + task * p_.rows * step + (j - 1) * size : nullptr;
    within<isa>([&] {
      for (int64_t r = 0; r < own.rows; ++r) {
        const int64_t i = own.row0 + r;
        for (int64_t s = 0; s < count_; ++s) {
          const A* const from = y.at(s, r);
          A* const to = row + s * kColumns;
          const A scale = f * inverse[r];
          for (int64_t k = 0; k < kColumns; ++k) to[k] = scale * from[k];
          if (cv == A(0)) continue;
          const A* const v = x.at(s, i);
          for (int64_t k = 0; k < kColumns; ++k) to[k] += cv * v[k];
        }
        if (j == 0 && cu != A(0)) mean.add(i, cu, row);
        T* const to = j == 0 ? result.row(i) : kept != nullptr ? kept + i * step : nullptr;
        if (to != nullptr) {
#pragma omp simd
          for (int64_t k = 0; k < size; ++k) to[k] = T(row[k]);
        }
        if (j == 0) continue;
        for (int64_t s = 0; s < count_; ++s) {
          A* const next = x.at((g + 1) * count_ + s, i);
          for (int64_t k = 0; k < kColumns; ++k) next[k] = static_cast<A>(T(row[s * kColumns + k]));
        }
      }
    });
  }

  void keep_figures(int64_t task, const TilePlace& own, const A* most, const A* inverse) const {
    A* const to = softmax_.template data<A>() + 2 * (task * p_.rows + own.row0);
    for (int64_t r = 0; r < own.rows; ++r) {
      to[2 * r] = inverse[r] == A(0) ? A(0) : most[r];
      to[2 * r + 1] = inverse[r];
    }
  }

  const Problem& p_;
  Tensor out_, horner_, softmax_;
  int64_t count_, strip_step_;
  ScratchLayout layout_;
  int64_t keys_, x_, q_, sums_, tile_, figures_, row_, mean_, mask_;
};

}  // namespace

Saved OneSweep::forward(const Problem& p, const Tensor& out, bool save) {
  const int64_t most = p.value_degree();
  const Sequences sequences(p);
  Saved saved;
  if (save) {
    saved.out = out;
    saved.softmax = sequences.make_head_rows(2, accumulator_of(p.dtype));
    if (most > 1) saved.horner = sequences.make_head_rows((most - 1) * p.head_size, p.dtype);
  }
  dispatch_floating("attention", out, [&](auto t) {
    dispatch_isa([&](auto isa) {
      std::vector<Forward<decltype(t), isa>> forwards;
      for (int64_t s = 0; s < sequences.size(); ++s) {
        forwards.emplace_back(sequences[s], sequences.rows_of(out, s), sequences.head_rows_of(saved.horner, s),
                              sequences.head_rows_of(saved.softmax, s));
      }
      sequences.for_each_head(largest_layout(forwards), [&](int64_t s, int64_t task, const Scratch& scratch) {
        forwards[static_cast<size_t>(s)].run(task, scratch);
      });
    });
  });
  return saved;
}

}  // namespace gfsa::kernels
