#include "attention/kernels/gradient_units.h"
#include "attention/kernels/kernels.h"
#include "attention/kernels/rows.h"
#include "attention/kernels/sweep_rows.h"
#include "attention/kernels/visible_mean.h"
#include "core/dispatch.h"

namespace gfsa::kernels {
namespace {

// One call's sizes, scratch places and flags; run() is one head.
template <class T, simd::Isa isa>
class Backward {
  using A = acc_t<T>;
  using Tile = Tiles<A, isa>;
  using Strips = typename Tile::Strips;
  static constexpr int64_t kColumns = Tile::kColumns;

 public:
  Backward(const Problem& p, Saved saved, Tensor dout, Gradients to)
      : p_(p),
        saved_(std::move(saved)),
        dout_(std::move(dout)),
        to_(std::move(to)),
        most_(p.value_degree()),
        sweeps_(to_.coefficients != nullptr ? p.degree : most_),
        scores_(to_.q.tensor || to_.k.tensor || to_.bias.tensor),
        count_(Tile::strips(p.head_size)),
        rows_(round_up(p.rows, kSquare)) {
    const int64_t matrix = count_ * rows_ * kColumns;
    q_ = layout_.add<A>(matrix);
    keys_ = layout_.add<A>(rows_ * p.head_size);
    k_ = layout_.add<A>(to_.q.tensor ? matrix : 0);
    d_ = layout_.add<A>((sweeps_ + 1) * matrix);
    t_ = layout_.add<A>(scores_ ? rows_ * most_ * p.head_size : 0);
    dq_ = layout_.add<A>(to_.q.tensor ? matrix : 0);
    dk_ = layout_.add<A>(count_ * kSquare * kColumns);
    tile_ = layout_.add<A>(kSquare * kSquare);
    plain_ = layout_.add<A>(p.dropout > 0 ? kSquare * kSquare : 0);
    dm_ = layout_.add<A>(scores_ ? kSquare * kSquare : 0);
    figures_ = layout_.add<A>(3 * rows_);
    dv_ = layout_.add<A>(p.keys * p.head_size);
    mean_ = layout_.add<A>(p.head_size);
    row_ = layout_.add<A>(count_ * kColumns);
    mask_ = layout_.add<float>(kSquare);
  }
  const ScratchLayout& layout() const { return layout_; }

  // dbias: where this head adds its score gradient, [rows, keys] dense, or nullptr.
  void run(int64_t task, const Scratch& scratch, A* dbias) const {
    const Head<T> head(p_, task / p_.heads, task % p_.heads);
    const int64_t n = p_.rows, size = p_.head_size, degree = p_.value_degree(head.h);
    const Work w{.head = head,
                 .task = task,
                 .degree = degree,
                 .sweeps = to_.coefficients != nullptr ? p_.degree : degree,
                 .g = head_rows<T>(dout_, head.b, head.h, size),
                 .horner = most_ > 1 ? saved_.horner.template data<T>() + task * n * (most_ - 1) * size : nullptr,
                 .q = strips(scratch, q_),
                 .k = strips(scratch, k_),
                 .d = strips(scratch, d_),
                 .dq = strips(scratch, dq_),
                 .dk = {scratch.at<A>(dk_), kSquare * kColumns},
                 .keys = scratch.at<A>(keys_),
                 .t = scratch.at<A>(t_),
                 .tile = scratch.at<A>(tile_),
                 .plain = scratch.at<A>(plain_),
                 .dm = scratch.at<A>(dm_),
                 .most = scratch.at<A>(figures_),
                 .inverse = scratch.at<A>(figures_) + rows_,
                 .r_term = scratch.at<A>(figures_) + 2 * rows_,
                 .dbias = dbias,
                 .rows_of = SweepRows<T, isa, kSquare>(p_, head, scratch.at<float>(mask_))};
    pack(w);
    if (scores_) first_r_terms(w, scratch.at<A>(row_), scratch.at<A>(mean_));
    for (int64_t key0 = (w.head.width - 1) / kSquare * kSquare; key0 >= 0 && w.head.width > 0; key0 -= kSquare) {
      sweep_column(w, key0);
    }
    coefficients(w, scratch.at<A>(mean_));
    if (to_.v.tensor) values(w, scratch.at<A>(dv_), scratch.at<A>(mean_));
    if (to_.q.tensor) {
      Tile::scale(w.dq, count_, n, static_cast<A>(p_.scale));
      store(to_.q, head, w.dq, 0, n);
    }
    if (to_.k.tensor && !to_.k.accumulate) {
      const HeadRows<T> dk = head_rows<T>(to_.k.tensor, head.b, head.h, size);
      zero_rows(dk.row(head.width), dk.step, n - head.width, size);
    }
  }

 private:
  // What one head's steps share. d: G, D_1, D_2, ...; t: T_1 .. T_degree below each other, transposed; most, inverse:
  // the softmaxes' figures; r_term: what is subtracted in its backward, a number a row.
  struct Work {
    const Head<T>& head;
    int64_t task, degree, sweeps;
    HeadRows<T> g;
    const T* horner;
    Strips q, k, d, dq, dk;
    A *keys, *t, *tile, *plain, *dm, *most, *inverse, *r_term, *dbias;
    SweepRows<T, isa, kSquare> rows_of;
  };
  Strips strips(const Scratch& scratch, int64_t place) const { return {scratch.at<A>(place), rows_ * kColumns}; }
  Strips from(const Strips& x, int64_t matrix, int64_t row) const { return {x.at(matrix * count_, row), x.step}; }
  A c(const Work& w, int64_t j) const { return static_cast<A>(p_.c(w.head.h, j)); }

  void pack(const Work& w) const {
    const Head<T>& head = w.head;
    const int64_t n = p_.rows, size = p_.head_size, width = head.width, saved_step = (most_ - 1) * size;
    Tile::pack(head.q.data, head.q.step, n, size, w.q, 0);
    Tile::scale(w.q, count_, n, static_cast<A>(p_.scale));
    Tile::pack_transposed(head.k.data, head.k.step, width, size, w.keys, size * kColumns);
    if (to_.q.tensor) Tile::pack(head.k.data, head.k.step, width, size, w.k, 0);
    Tile::pack(w.g.data, w.g.step, n, size, w.d, 0);
    for (int64_t e = count_; e < (w.sweeps + 1) * count_; ++e) std::fill(w.d.at(e, 0), w.d.at(e, rows_), A(0));
    for (int64_t e = 0; e < (to_.q.tensor ? count_ : 0); ++e) std::fill(w.dq.at(e, 0), w.dq.at(e, rows_), A(0));
    const A* const figures = saved_.softmax.template data<A>() + 2 * w.task * n;
    for (int64_t i = 0; i < n; ++i) w.most[i] = figures[2 * i], w.inverse[i] = figures[2 * i + 1];
    if (!scores_) return;
    const int64_t step = w.degree * size * kColumns;
    for (int64_t j = 0; j + 1 < w.degree; ++j) {
      Tile::pack_transposed(w.horner + j * size, saved_step, width, size, w.t + j * size * kColumns, step);
    }
    A* const last = w.t + (w.degree - 1) * size * kColumns;
    Tile::pack_transposed(head.v.data, head.v.step, width, size, last, step);
    for (int64_t s = 0; s < Tile::strips(width); ++s) {
      scaled_rows(last + s * step, kColumns, c(w, w.degree), last + s * step, kColumns, size, kColumns);
    }
  }

  // Row i of M T_1 is the output without c0 V and cu U V; its product with G begins the row's term.
  void first_r_terms(const Work& w, A* row, A* mean_sum) const {
    const int64_t size = p_.head_size;
    const HeadRows<T> out = head_rows<T>(saved_.out, w.head.b, w.head.h, size);
    const A c0 = c(w, 0), cu = static_cast<A>(p_.uniform(w.head.h));
    VisibleMean<T> mean(p_, w.head, mean_sum);
    std::fill(row, row + count_ * kColumns, A(0));
    within<isa>([&] {
      for (int64_t i = kSquare; i < p_.rows; ++i) {  // the rows before are sums of their only tile
        const T *const y = out.row(i), *const v = w.head.v.row(i);
        if (i + Tile::kAhead < p_.rows) Tile::fetch(out.row(i + Tile::kAhead), 0, 1, size);
        for (int64_t k = 0; k < size; ++k) row[k] = static_cast<A>(y[k]);
        if (c0 != A(0)) {
          for (int64_t k = 0; k < size; ++k) row[k] -= c0 * static_cast<A>(v[k]);
        }
        if (cu != A(0)) mean.add(i, -cu, row);
        A sum = 0;
        for (int64_t s = 0; s < count_; ++s) {
          const A *const g = w.d.at(s, i), *const from = row + s * kColumns;
#pragma omp simd reduction(+ : sum)
          for (int64_t k = 0; k < kColumns; ++k) sum += from[k] * g[k];
        }
        w.r_term[i] = sum;
      }
    });
  }
  // Those of M T_2, ...: T_j without c_j V, times D_j, which is known when the sweep comes to the diagonal.
  void other_r_terms(const Work& w, int64_t row0, int64_t rows) const {
    const int64_t size = p_.head_size, step = (most_ - 1) * size;
    within<isa>([&] {
      for (int64_t j = 1; j < w.degree; ++j) {
        const A cj = c(w, j);
        for (int64_t r = 0; r < rows; ++r) {
          const T *const t = w.horner + (row0 + r) * step + (j - 1) * size, *const v = w.head.v.row(row0 + r);
          A sum = 0;
          for (int64_t s = 0; s < count_; ++s) {
            const A* const d = w.d.at(j * count_ + s, row0 + r);
            const int64_t first = s * kColumns, columns = std::min<int64_t>(kColumns, size - first);
#pragma omp simd reduction(+ : sum)
            for (int64_t k = 0; k < columns; ++k) {
              sum += d[k] * (static_cast<A>(t[first + k]) - cj * static_cast<A>(v[first + k]));
            }
          }
          w.r_term[row0 + r] += sum;
        }
      }
    });
  }

  // All that the keys from key0 on get from the rows below: D_1, ... and dK. Rows beyond the diagonal tile have their
  // D_j already.
  void sweep_column(const Work& w, int64_t key0) const {
    const int64_t keys = std::min(kSquare, w.head.width - key0), n = p_.rows;
    if (to_.k.tensor) std::fill(w.dk.data, w.dk.data + count_ * w.dk.step, A(0));
    for (int64_t row0 = (n - 1) / kSquare * kSquare; row0 > key0; row0 -= kSquare) {
      const TilePlace at{row0, std::min(kSquare, n - row0), key0, keys};
      weights(w, at);
      Tile::template add_keys<kSquare>(w.tile, at.rows, keys, false, from(w.d, 0, row0), w.sweeps * count_,
                                       from(w.d, 1, key0));
      if (scores_) through_scores(w, at);
    }
    const TilePlace own{key0, std::min(kSquare, n - key0), key0, keys};
    weights(w, own);
    for (int64_t j = 0; j < w.sweeps; ++j) {
      Tile::template add_keys<kSquare>(w.tile, own.rows, keys, true, from(w.d, j, key0), count_,
                                       from(w.d, j + 1, key0));
    }
    if (!scores_) return;
    other_r_terms(w, own.row0, own.rows);
    through_scores(w, own);
    if (to_.k.tensor) store(to_.k, w.head, w.dk, key0, keys);
  }

  void weights(const Work& w, const TilePlace& at) const {
    Tile::template scores<kSquare>(from(w.q, 0, at.row0), 1, p_.head_size, w.keys + at.key0 * p_.head_size, at.rows,
                                   at.keys, at.lower(), w.tile);
    w.rows_of.probabilities(at, w.tile, w.plain, w.most + at.row0, w.inverse + at.row0);
  }

  void through_scores(const Work& w, const TilePlace& at) const {
    Tile::template scores<kSquare>(from(w.d, 0, at.row0), w.degree, p_.head_size,
                                   w.t + at.key0 * w.degree * p_.head_size, at.rows, at.keys, at.lower(), w.dm);
    // Also exact where a row's gradient is 0 because it sees a single key.
    if (at.row0 == 0) w.rows_of.sum_products(at, w.tile, w.dm, w.r_term);
    w.rows_of.score_gradient(at, w.tile, w.plain, w.dm, w.r_term + at.row0, w.dbias);
    if (to_.q.tensor) {
      Tile::template add_rows<kSquare>(w.dm, at.rows, at.keys, at.lower(), from(w.k, 0, at.key0), count_, nullptr,
                                       from(w.dq, 0, at.row0));
    }
    if (to_.k.tensor) {
      Tile::template add_keys<kSquare>(w.dm, at.rows, at.keys, at.lower(), from(w.q, 0, at.row0), count_, w.dk);
    }
  }

  // dc_j = sum D_j o V
  void coefficients(const Work& w, A* mean_sum) const {
    if (to_.coefficients == nullptr) return;
    const int64_t size = p_.head_size;
    double* const dc = to_.coefficients + w.task * (p_.degree + 2);
    VisibleMean<T> mean(p_, w.head, mean_sum);
    dc[0] = 0;
    for (int64_t i = 0; i < p_.rows; ++i) dc[0] += mean.dot(i, w.g.row(i));
    for (int64_t j = 0; j <= w.sweeps; ++j) {
      dc[j + 1] = 0;
      for (int64_t s = 0; s < count_; ++s) {
        dc[j + 1] += dot_rows(w.d.at(j * count_ + s, 0), kColumns, w.head.v.data + s * kColumns, w.head.v.step, p_.rows,
                              std::min<int64_t>(kColumns, size - s * kColumns));
      }
    }
  }

  // dV = sum c_j D_j, in D_1's place.
  void values(const Work& w, A* dv, A* mean_sum) const {
    const int64_t n = p_.rows, size = p_.head_size;
    const Strips sum = from(w.d, 1, 0);
    within<isa>([&] {
      for (int64_t s = 0; s < count_; ++s) {
        A* const to = sum.at(s, 0);
        const A c1 = c(w, 1);
#pragma omp simd
        for (int64_t k = 0; k < n * kColumns; ++k) to[k] *= c1;
        for (int64_t j = 0; j <= w.degree; ++j) {
          const A cj = c(w, j);
          if (j == 1 || cj == A(0)) continue;
          const A* const d = w.d.at(j * count_ + s, 0);
#pragma omp simd
          for (int64_t k = 0; k < n * kColumns; ++k) to[k] += cj * d[k];
        }
      }
    });
    if (p_.uniform(w.head.h) == 0) return store(to_.v, w.head, sum, 0, n);
    for (int64_t s = 0; s < count_; ++s) {
      store_rows(dv + s * kColumns, size, sum.at(s, 0), kColumns, n, std::min<int64_t>(kColumns, size - s * kColumns));
    }
    add_mean_gradient(p_, w.head, static_cast<A>(p_.uniform(w.head.h)), w.g, dv, mean_sum);
    const HeadRows<T> rows = head_rows<T>(to_.v.tensor, w.head.b, w.head.h, size);
    store_rows(rows.data, rows.step, dv, size, n, size, to_.v.accumulate);
  }

  // Rows row0 .. of the target, from the strips' row 0 on.
  void store(const Target& target, const Head<T>& head, const Strips& x, int64_t row0, int64_t rows) const {
    const HeadRows<T> to = head_rows<T>(target.tensor, head.b, head.h, p_.head_size);
    for (int64_t s = 0; s < count_; ++s) {
      store_rows(to.row(row0) + s * kColumns, to.step, x.at(s, 0), kColumns, rows,
                 std::min<int64_t>(kColumns, p_.head_size - s * kColumns), target.accumulate);
    }
  }

  const Problem& p_;
  Saved saved_;
  Tensor dout_;
  Gradients to_;
  int64_t most_, sweeps_;
  bool scores_;
  int64_t count_, rows_;
  ScratchLayout layout_;
  int64_t q_, keys_, k_, d_, t_, dq_, dk_, tile_, plain_, dm_, figures_, dv_, mean_, row_, mask_;
};

}  // namespace

void OneSweep::backward(const Problem& p, const Saved& saved, const Tensor& dout, const Gradients& to) {
  const Sequences sequences(p);
  dispatch_floating("attention", dout, [&](auto t) {
    dispatch_isa([&](auto isa) {
      using T = decltype(t);
      std::vector<Backward<T, isa>> backwards;
      for (int64_t s = 0; s < sequences.size(); ++s) {
        const Saved own{.horner = sequences.head_rows_of(saved.horner, s),
                        .lse = {},
                        .softmax = sequences.head_rows_of(saved.softmax, s),
                        .out = sequences.rows_of(saved.out, s)};
        backwards.emplace_back(sequences[s], own, sequences.rows_of(dout, s), sequences.gradients_of(to, s));
      }
      for_each_head_with_bias<acc_t<T>>(sequences, to.bias, largest_layout(backwards),
                                        [&](int64_t s, int64_t task, const Scratch& scratch, acc_t<T>* dbias) {
                                          backwards[static_cast<size_t>(s)].run(task, scratch, dbias);
                                        });
    });
  });
}

}  // namespace gfsa::kernels
