// head_gradients.h -- what the backward passes of the forms made of tiles share: a head's operands in the order in
// which products read them, what a tile does, and how the sums become gradients. The forms choose the tiles' order.
#pragma once

#include "attention/kernels/gradient_units.h"
#include "attention/kernels/rows.h"
#include "attention/kernels/tile_rows.h"
#include "attention/kernels/visible_mean.h"

namespace gfsa::kernels {

template <class T, simd::Isa isa>
class HeadGradients {
  using A = acc_t<T>;
  using Tile = Tiles<A, isa>;
  using Strips = typename Tile::Strips;
  static constexpr int64_t kColumns = Tile::kColumns;

 public:
  // key_rows: of the keys whose gradients are summed at once.
  HeadGradients(const Problem& p, Saved saved, Tensor dout, Gradients to, int64_t key_rows)
      : p_(p),
        saved_(std::move(saved)),
        dout_(std::move(dout)),
        to_(std::move(to)),
        most_(p.value_degree()),
        sweeps_(to_.coefficients != nullptr ? p.degree : most_),
        scores_(to_.q.tensor || to_.k.tensor || to_.bias.tensor),
        count_(Tile::strips(p.head_size)),
        rows_(round_up(std::max(p.rows, p.keys), kSquare)),
        key_rows_(round_up(key_rows, kSquare)) {
    const int64_t matrix = count_ * rows_ * kColumns;
    q_ = layout_.add<A>(matrix);
    keys_ = layout_.add<A>(rows_ * p.head_size);
    k_ = layout_.add<A>(to_.q.tensor ? matrix : 0);
    d_ = layout_.add<A>((sweeps_ + 1) * matrix);
    t_ = layout_.add<A>(scores_ ? rows_ * most_ * p.head_size : 0);
    dq_ = layout_.add<A>(to_.q.tensor ? matrix : 0);
    dk_ = layout_.add<A>(to_.k.tensor ? count_ * key_rows_ * kColumns : 0);
    figures_ = layout_.add<A>(3 * rows_);
    dv_ = layout_.add<A>(p.keys * p.head_size);
    mean_ = layout_.add<A>(p.head_size);
    mask_ = layout_.add<float>(kSquare);
  }
  // Sweeps that the sums D_1, D_2, ... take; whether there is anything to do for scores.
  int64_t sweeps() const { return sweeps_; }
  bool has_scores() const { return scores_; }

  // What one head's steps share. d: G, D_1, D_2, ...; t: T_1 .. T_degree below each other, transposed; most, inverse:
  // the softmaxes' figures; r_term: what is subtracted in its backward, a number a row; dk: of key_rows keys.
  struct Work {
    Head<T> head;
    int64_t task, degree, sweeps;
    HeadRows<T> g;
    Strips q, k, d, dq, dk;
    A *keys, *t, *most, *inverse, *r_term, *dv, *mean, *dbias;
    TileRows<T, isa, kSquare> rows_of;
  };

  // dbias: where this head adds its score gradient, [rows, keys] dense, or nullptr.
  Work begin(int64_t task, const Scratch& scratch, A* dbias) const {
    const Head<T> head(p_, task / p_.heads, task % p_.heads);
    const int64_t degree = p_.value_degree(head.h);
    const Work w{.head = head,
                 .task = task,
                 .degree = degree,
                 .sweeps = to_.coefficients != nullptr ? p_.degree : degree,
                 .g = head_rows<T>(dout_, head.b, head.h, p_.head_size),
                 .q = strips(scratch, q_),
                 .k = strips(scratch, k_),
                 .d = strips(scratch, d_),
                 .dq = strips(scratch, dq_),
                 .dk = {scratch.at<A>(dk_), key_rows_ * kColumns},
                 .keys = scratch.at<A>(keys_),
                 .t = scratch.at<A>(t_),
                 .most = scratch.at<A>(figures_),
                 .inverse = scratch.at<A>(figures_) + rows_,
                 .r_term = scratch.at<A>(figures_) + 2 * rows_,
                 .dv = scratch.at<A>(dv_),
                 .mean = scratch.at<A>(mean_),
                 .dbias = dbias,
                 .rows_of = TileRows<T, isa, kSquare>(p_, head, scratch.at<float>(mask_))};
    pack(w);
    return w;
  }

  // A tile of M; plain: of A, which is the tile itself without dropout.
  void weights(const Work& w, const TilePlace& at, A* tile, A* plain) const {
    Tile::template scores<kSquare>(from(w.q, at.row0), 1, p_.head_size, w.keys + at.key0 * p_.head_size, at.rows,
                                   at.keys, at.lower(), tile);
    w.rows_of.probabilities(at, tile, plain, w.most + at.row0, w.inverse + at.row0);
  }
  // D_{j+1} += M^T D_j of a tile, for `matrices` of them from j on.
  void sum_keys(const Work& w, const TilePlace& at, const A* tile, int64_t j, int64_t matrices) const {
    Tile::template add_keys<kSquare>(tile, at.rows, at.keys, at.lower(), from(w.d, at.row0, j), matrices * count_,
                                     from(w.d, at.key0, j + 1));
  }
  // dM = D_0 T_1^T + D_1 T_2^T + ...
  void matrix_gradient(const Work& w, const TilePlace& at, A* dm) const {
    Tile::template scores<kSquare>(from(w.d, at.row0), w.degree, p_.head_size, w.t + at.key0 * w.degree * p_.head_size,
                                   at.rows, at.keys, at.lower(), dm);
  }
  // dM, which becomes dS, to the bias, dQ and dK. key0: of dk's first row.
  void through_scores(const Work& w, const TilePlace& at, const A* tile, const A* plain, A* dm, int64_t key0) const {
    w.rows_of.score_gradient(at, tile, plain, dm, w.r_term + at.row0, w.dbias);
    if (to_.q.tensor) {
      Tile::template add_rows<kSquare>(dm, at.rows, at.keys, at.lower(), from(w.k, at.key0), count_, nullptr, false,
                                       from(w.dq, at.row0));
    }
    if (to_.k.tensor) {
      Tile::template add_keys<kSquare>(dm, at.rows, at.keys, at.lower(), from(w.q, at.row0), count_,
                                       from(w.dk, at.key0 - key0));
    }
  }

  void clear_keys(const Work& w) const {
    if (to_.k.tensor) std::fill(w.dk.data, w.dk.data + count_ * w.dk.step, A(0));
  }
  // The gradients of keys key0 ..., which are dk's rows from 0 on.
  void store_keys(const Work& w, int64_t key0, int64_t keys) const {
    if (to_.k.tensor) store(to_.k, w.head, w.dk, key0, keys);
  }
  // Everything else, once D_1, ... and dQ are there.
  void finish(const Work& w) const {
    const int64_t n = p_.rows, size = p_.head_size, width = w.head.width;
    coefficients(w);
    if (to_.v.tensor) values(w);
    if (to_.q.tensor) {
      Tile::scale(w.dq, count_, n, static_cast<A>(p_.scale));
      store(to_.q, w.head, w.dq, 0, n);
    }
    if (to_.k.tensor && !to_.k.accumulate) {
      const HeadRows<T> dk = head_rows<T>(to_.k.tensor, w.head.b, w.head.h, size);
      zero_rows(dk.row(width), dk.step, p_.keys - width, size);
    }
  }

  A c(const Work& w, int64_t j) const { return static_cast<A>(p_.c(w.head.h, j)); }
  const Saved& saved() const { return saved_; }
  ScratchLayout& layout() { return layout_; }
  const ScratchLayout& layout() const { return layout_; }
  // Columns of T_1 .. T_{k-1} as they are saved.
  int64_t saved_step() const { return (most_ - 1) * p_.head_size; }
  const T* saved_horner(const Work& w) const {
    return most_ > 1 ? saved_.horner.template data<T>() + w.task * p_.rows * saved_step() : nullptr;
  }

 private:
  Strips strips(const Scratch& scratch, int64_t place) const { return {scratch.at<A>(place), rows_ * kColumns}; }
  Strips from(const Strips& x, int64_t row, int64_t matrix = 0) const { return {x.at(matrix * count_, row), x.step}; }

  void pack(const Work& w) const {
    const Head<T>& head = w.head;
    const int64_t n = p_.rows, size = p_.head_size, width = head.width;
    Tile::pack(head.q.data, head.q.step, n, size, static_cast<A>(p_.scale), w.q);
    Tile::pack_transposed(head.k.data, head.k.step, width, size, w.keys, size * kColumns);
    if (to_.q.tensor) Tile::pack(head.k.data, head.k.step, width, size, A(1), w.k);
    Tile::pack(w.g.data, w.g.step, n, size, A(1), w.d);
    for (int64_t e = count_; e < (w.sweeps + 1) * count_; ++e) std::fill(w.d.at(e, 0), w.d.at(e, rows_), A(0));
    for (int64_t e = 0; e < (to_.q.tensor ? count_ : 0); ++e) std::fill(w.dq.at(e, 0), w.dq.at(e, rows_), A(0));
    const A* const figures = saved_.softmax.template data<A>() + 2 * w.task * n;
    for (int64_t i = 0; i < n; ++i) w.most[i] = figures[2 * i], w.inverse[i] = figures[2 * i + 1];
    if (!scores_) return;
    const int64_t step = w.degree * size * kColumns;
    for (int64_t j = 0; j + 1 < w.degree; ++j) {
      Tile::pack_transposed(saved_horner(w) + j * size, saved_step(), width, size, w.t + j * size * kColumns, step);
    }
    A* const last = w.t + (w.degree - 1) * size * kColumns;
    Tile::pack_transposed(head.v.data, head.v.step, width, size, last, step);
    Tile::scale({last, step}, Tile::strips(width), size, c(w, w.degree));
  }

  // dc_j = sum D_j o V
  void coefficients(const Work& w) const {
    if (to_.coefficients == nullptr) return;
    const int64_t size = p_.head_size;
    double* const dc = to_.coefficients + w.task * (p_.degree + 2);
    VisibleMean<T> mean(p_, w.head, w.mean);
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
  void values(const Work& w) const {
    const int64_t n = p_.keys, size = p_.head_size;
    const Strips sum = from(w.d, 0, 1);
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
      store_rows(w.dv + s * kColumns, size, sum.at(s, 0), kColumns, n,
                 std::min<int64_t>(kColumns, size - s * kColumns));
    }
    add_mean_gradient(p_, w.head, static_cast<A>(p_.uniform(w.head.h)), w.g, w.dv, w.mean);
    const HeadRows<T> rows = head_rows<T>(to_.v.tensor, w.head.b, w.head.h, size);
    store_rows(rows.data, rows.step, w.dv, size, n, size, to_.v.accumulate);
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
  int64_t count_, rows_, key_rows_;
  ScratchLayout layout_;
  int64_t q_, keys_, k_, d_, t_, dq_, dk_, figures_, dv_, mean_, mask_;
};

}  // namespace gfsa::kernels
