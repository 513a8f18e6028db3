// horner_rows.h -- the end of each pass of Horner's rule on the CPU: from M x to T_j, row after row.
#pragma once

#include "attention/kernels/rows.h"
#include "attention/kernels/tile_rows.h"
#include "attention/kernels/visible_mean.h"

namespace gfsa::kernels {

// Pass g multiplies x_g by M and makes T_{degree-1-g} of it: x_{g+1}, or the result. x_0 = V.
template <class T, simd::Isa isa>
class HornerRows {
  using A = acc_t<T>;
  using Tile = Tiles<A, isa>;
  using Strips = typename Tile::Strips;
  static constexpr int64_t kColumns = Tile::kColumns;

 public:
  // horner, softmax: where T_1 .. T_{k-1} and the softmaxes' figures are kept, or undefined.
  HornerRows(const Problem& p, Tensor out, Tensor horner, Tensor softmax)
      : p_(p),
        out_(std::move(out)),
        horner_(std::move(horner)),
        softmax_(std::move(softmax)),
        count_(Tile::strips(p.head_size)) {}

  // Rows row0 .. row0 + rows - 1. y: M x_g up to the sums' inverse, from its row 0 on, overwritten. x: strips of all
  // x_g. row: scratch of a row.
  void finish(int64_t task, const Head<T>& head, int64_t g, int64_t row0, int64_t rows, const Strips& y,
              const A* inverse, const Strips& x, VisibleMean<T>& mean, A* row) const {
    const int64_t size = p_.head_size, degree = p_.value_degree(head.h), j = degree - 1 - g,
                  step = (p_.value_degree() - 1) * size;
    const A cv = static_cast<A>(p_.c(head.h, j)), cu = static_cast<A>(p_.uniform(head.h));
    // T_degree = c V: the factor is put to the product instead.
    const A f = g == 0 ? static_cast<A>(p_.c(head.h, degree)) : A(1);
    Tile::scale_rows(y, count_, rows, f, inverse, cv, {x.at(0, row0), x.step});
    if (j == 0) {
      if (cu != A(0)) add_mean(row0, rows, cu, y, mean, row);
      const HeadRows<T> result = head_rows<T>(out_, head.b, head.h, size);
      store(y, rows, result.row(row0), result.step);
      return;
    }
    if (horner_) store(y, rows, horner_.template data<T>() + (task * p_.rows + row0) * step + (j - 1) * size, step);
    for (int64_t s = 0; s < count_; ++s) {
      A *const next = x.at((g + 1) * count_ + s, row0), *const from = y.at(s, 0);
      within<isa>([&] {
#pragma omp simd
        for (int64_t k = 0; k < rows * kColumns; ++k) next[k] = static_cast<A>(T(from[k]));
      });
    }
  }

  // Sums of exponentials to what multiplies the rows: 0 for rows that see nothing.
  static void invert(A* sum, int64_t rows) {
    for (int64_t r = 0; r < rows; ++r) sum[r] = sum[r] == A(0) ? A(0) : A(1) / sum[r];
  }
  void keep_figures(int64_t task, int64_t row0, int64_t rows, const A* most, const A* inverse) const {
    if (!softmax_) return;
    A* const to = softmax_.template data<A>() + 2 * (task * p_.rows + row0);
    for (int64_t r = 0; r < rows; ++r) {
      to[2 * r] = inverse[r] == A(0) ? A(0) : most[r];
      to[2 * r + 1] = inverse[r];
    }
  }

 private:
  void add_mean(int64_t row0, int64_t rows, A cu, const Strips& y, VisibleMean<T>& mean, A* row) const {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t s = 0; s < count_; ++s) std::copy_n(y.at(s, r), kColumns, row + s * kColumns);
      mean.add(row0 + r, cu, row);
      for (int64_t s = 0; s < count_; ++s) std::copy_n(row + s * kColumns, kColumns, y.at(s, r));
    }
  }
  void store(const Strips& y, int64_t rows, T* to, int64_t step) const {
    for (int64_t s = 0; s < count_; ++s) {
      store_rows(to + s * kColumns, step, y.at(s, 0), kColumns, rows,
                 std::min<int64_t>(kColumns, p_.head_size - s * kColumns));
    }
  }

  const Problem& p_;
  Tensor out_, horner_, softmax_;
  int64_t count_;
};

}  // namespace gfsa::kernels
