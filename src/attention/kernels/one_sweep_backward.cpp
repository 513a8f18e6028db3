#include "attention/kernels/head_gradients.h"
#include "attention/kernels/kernels.h"
#include "attention/kernels/tile_launch.h"

namespace gfsa::kernels {
namespace {

// One call's sizes, scratch places and flags; run() is one head.
template <class T, simd::Isa isa>
class OneSweepBackward {
  using A = acc_t<T>;
  using Tile = Tiles<A, isa>;
  using Work = typename HeadGradients<T, isa>::Work;
  static constexpr int64_t kColumns = Tile::kColumns;

 public:
  OneSweepBackward(const Problem& p, Saved saved, Tensor dout, Gradients to)
      : p_(p), of_(p, std::move(saved), std::move(dout), std::move(to), kSquare), count_(Tile::strips(p.head_size)) {
    ScratchLayout& layout = of_.layout();
    tile_ = layout.add<A>(kSquare * kSquare);
    plain_ = p.dropout > 0 ? layout.add<A>(kSquare * kSquare) : tile_;
    dm_ = layout.add<A>(of_.has_scores() ? kSquare * kSquare : 0);
    row_ = layout.add<A>(count_ * kColumns);
  }
  const ScratchLayout& layout() const { return of_.layout(); }

  void run(int64_t task, const Scratch& scratch, A* dbias) const {
    const Work w = of_.begin(task, scratch, dbias);
    const Places places{scratch.at<A>(tile_), scratch.at<A>(plain_), scratch.at<A>(dm_)};
    if (of_.has_scores()) first_r_terms(w, scratch.at<A>(row_));
    for (int64_t key0 = (w.head.width - 1) / kSquare * kSquare; key0 >= 0 && w.head.width > 0; key0 -= kSquare) {
      sweep_column(w, places, key0);
    }
    of_.finish(w);
  }

 private:
  struct Places {
    A *tile, *plain, *dm;
  };

  // Row i of M T_1 is the output without c0 V and cu U V; its product with G begins the row's term.
  void first_r_terms(const Work& w, A* row) const {
    const int64_t size = p_.head_size;
    const HeadRows<T> out = head_rows<T>(of_.saved().out, w.head.b, w.head.h, size);
    const A c0 = of_.c(w, 0), cu = static_cast<A>(p_.uniform(w.head.h));
    VisibleMean<T> mean(p_, w.head, w.mean);
    std::fill(row, row + count_ * kColumns, A(0));
    within<isa>([&] {
      for (int64_t i = kSquare; i < p_.rows; ++i) {  // the rows before are sums of their only tile
        const T *const y = out.row(i), *const v = w.head.v.row(i);
        if (i + Tile::kAhead < p_.rows) fetch_rows(out.row(i + Tile::kAhead), 0, 1, size);
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
    const int64_t size = p_.head_size, step = of_.saved_step();
    within<isa>([&] {
      for (int64_t j = 1; j < w.degree; ++j) {
        const A cj = of_.c(w, j);
        for (int64_t r = 0; r < rows; ++r) {
          const T *const t = of_.saved_horner(w) + (row0 + r) * step + (j - 1) * size, *const v =
                                                                                           w.head.v.row(row0 + r);
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
  void sweep_column(const Work& w, const Places& places, int64_t key0) const {
    const int64_t keys = std::min(kSquare, w.head.width - key0), n = p_.rows;
    of_.clear_keys(w);
    for (int64_t row0 = (n - 1) / kSquare * kSquare; row0 > key0; row0 -= kSquare) {
      const TilePlace at{row0, std::min(kSquare, n - row0), key0, keys, true};
      of_.weights(w, at, places.tile, places.plain);
      of_.sum_keys(w, at, places.tile, 0, w.sweeps);
      if (of_.has_scores()) through_scores(w, places, at);
    }
    const TilePlace own{key0, std::min(kSquare, n - key0), key0, keys, true};
    of_.weights(w, own, places.tile, places.plain);
    for (int64_t j = 0; j < w.sweeps; ++j) of_.sum_keys(w, own, places.tile, j, 1);
    if (!of_.has_scores()) return;
    if (key0 > 0) {
      other_r_terms(w, own.row0, own.rows);
    } else {
      std::fill(w.r_term, w.r_term + own.rows, A(0));
    }
    through_scores(w, places, own);
    of_.store_keys(w, key0, keys);
  }

  void through_scores(const Work& w, const Places& places, const TilePlace& at) const {
    of_.matrix_gradient(w, at, places.dm);
    // Also exact where a row's gradient is 0 because it sees a single key.
    if (at.row0 == 0) w.rows_of.add_products(at, places.tile, places.dm, w.r_term);
    of_.through_scores(w, at, places.tile, places.plain, places.dm, at.key0);
  }

  const Problem& p_;
  HeadGradients<T, isa> of_;
  int64_t count_;
  int64_t tile_, plain_, dm_, row_;
};

}  // namespace

template <>
void OneSweep<DeviceType::cpu>::backward(const Problem& p, const Saved& saved, const Tensor& dout,
                                         const Gradients& to) {
  run_backward<OneSweepBackward>(p, saved, dout, to);
}

}  // namespace gfsa::kernels
