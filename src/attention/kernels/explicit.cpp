#include <vector>

#include "attention/kernels/gradient_units.h"
#include "attention/kernels/kernels.h"
#include "attention/kernels/probabilities.h"
#include "attention/kernels/rows.h"
#include "core/dispatch.h"
#include "ops/gemm.h"

namespace gfsa::kernels {
namespace {

// The matrices of one head, [n, keys] with leading dimension ld, made anew in forward and backward.
template <class T>
class Matrices {
  using A = acc_t<T>;

 public:
  explicit Matrices(const Problem& p)
      : p_(p),
        ld_(row_step(p.keys)),
        all_{0, p.rows, p.keys},
        filter_first_(p.dropout_order == DropoutOrder::filter_first) {
    const int64_t area = p.rows * ld_;
    a_ = layout_.add<A>(area);
    for (int64_t j = 0; j < p.degree; ++j) powers_.push_back(layout_.add<T>(area));
    f_ = layout_.add<A>(area);
    operand_ = layout_.add<T>(area);
    df_ = layout_.add<A>(area);
    dw_ = layout_.add<A>(area);
    dm_ = layout_.add<A>(area);
    dv_ = layout_.add<A>(p.keys * p.head_size);
    mask_ = layout_.add<float>(mask_scratch(p));
  }
  const ScratchLayout& layout() const { return layout_; }

  void forward(int64_t task, const Scratch& s, const Tensor& out) const {
    const Head<T> head(p_, task / p_.heads, task % p_.heads);
    make_powers(head, s, p_.value_degree(head.h));
    make_filter(head, s);
    const HeadRows<T> y = head_rows<T>(out, head.b, head.h, p_.head_size);
    gemm_tile({.a_type = dtype_of<T>,
               .c_type = dtype_of<T>,
               .m = p_.rows,
               .n = p_.head_size,
               .k = p_.keys,
               .lda = ld_,
               .ldb = head.v.step,
               .ldc = y.step},
              s.at<T>(operand_), head.v.data, y.data);
  }

  void backward(int64_t task, const Scratch& s, const Tensor& dout, const Gradients& to, A* dbias) const {
    const Head<T> head(p_, task / p_.heads, task % p_.heads);
    const int64_t size = p_.head_size, degree = p_.value_degree(head.h);
    const HeadRows<T> g = head_rows<T>(dout, head.b, head.h, size);
    make_powers(head, s, to.coefficients != nullptr ? p_.degree : degree);
    make_filter(head, s);
    if (to.v.tensor) {
      gradient_of_rows(s.at<T>(operand_), g, to.v, head, s.at<A>(dv_));
    }
    const bool scores = to.q.tensor || to.k.tensor || to.bias.tensor;
    if (!scores && to.coefficients == nullptr) return;

    A* const df = s.at<A>(df_);
    gemm_tile({.a_type = dtype_of<T>,
               .c_type = dtype_of<A>,
               .transpose_b = true,
               .m = p_.rows,
               .n = p_.keys,
               .k = size,
               .lda = g.step,
               .ldb = head.v.step,
               .ldc = ld_},
              g.data, head.v.data, df);
    if (drops_filter()) to_operand(p_, head.b, head.h, all_, true, df, df, ld_, s.at<float>(mask_));
    if (to.coefficients != nullptr) gradient_of_coefficients(head, s, to.coefficients + task * (p_.degree + 2));
    if (!scores) return;

    matrix_gradient(head, s, degree);
    score_gradient_of_head(s, dbias);
    if (to.q.tensor) {
      const HeadRows<T> dq = head_rows<T>(to.q.tensor, head.b, head.h, size);
      gemm_tile({.a_type = dtype_of<T>,
                 .c_type = dtype_of<T>,
                 .m = p_.rows,
                 .n = size,
                 .k = p_.keys,
                 .lda = ld_,
                 .ldb = head.k.step,
                 .ldc = dq.step,
                 .accumulate = to.q.accumulate},
                s.at<T>(operand_), head.k.data, dq.data);
    }
    if (to.k.tensor) gradient_of_rows(s.at<T>(operand_), head.q, to.k, head, s.at<A>(dv_));
  }

 private:
  bool drops_filter() const { return p_.dropout > 0 && filter_first_; }

  // M, M M, ..., M^degree in T.
  void make_powers(const Head<T>& head, const Scratch& s, int64_t degree) const {
    const RowBlock seen{0, p_.rows, head.width};
    A* const a = s.at<A>(a_);
    probabilities(p_, head, seen, a, ld_);
    zero_rows(a + head.width, ld_, p_.rows, p_.keys - head.width);
    to_operand(p_, head.b, head.h, all_, p_.dropout > 0 && !filter_first_, a, power(s, 1), ld_, s.at<float>(mask_));
    for (int64_t j = 2; j <= degree; ++j) {
      A* const product = s.at<A>(f_);
      multiply(false, power(s, 1), false, power(s, j - 1), product, false);
      store_rows(power(s, j), ld_, product, ld_, p_.rows, p_.keys);
    }
  }
  T* power(const Scratch& s, int64_t j) const { return s.at<T>(powers_[static_cast<size_t>(j - 1)]); }

  // operand = drop(cu U + c0 I + sum cj M^j)
  void make_filter(const Head<T>& head, const Scratch& s) const {
    A* const f = s.at<A>(f_);
    scaled_rows(f, ld_, static_cast<A>(p_.c(head.h, 1)), power(s, 1), ld_, p_.rows, p_.keys);
    for (int64_t j = 2; j <= p_.value_degree(head.h); ++j) {
      combine_rows(f, ld_, A(1), static_cast<A>(p_.c(head.h, j)), power(s, j), ld_, p_.rows, p_.keys);
    }
    const A c0 = static_cast<A>(p_.c(head.h, 0)), cu = static_cast<A>(p_.uniform(head.h));
    if (c0 != A(0)) {
      for (int64_t i = 0; i < p_.rows; ++i) f[i * ld_ + i] += c0;
    }
    if (cu != A(0)) {
      for_each_visible(head,
                       [&](int64_t i, int64_t j, int64_t count) { f[i * ld_ + j] += cu / static_cast<A>(count); });
    }
    to_operand(p_, head.b, head.h, all_, drops_filter(), f, s.at<T>(operand_), ld_, s.at<float>(mask_));
  }

  // f(i, j, number of keys that row i sees) for every pair in sight.
  template <class F>
  void for_each_visible(const Head<T>& head, const F& f) const {
    for (int64_t i = 0; i < p_.rows; ++i) {
      const int64_t end = p_.causal ? std::min(head.width, i + 1) : head.width;
      int64_t count = 0;
      for (int64_t j = 0; j < end; ++j) count += head.keep == nullptr || head.keep[j] ? 1 : 0;
      for (int64_t j = 0; j < end; ++j) {
        if (head.keep == nullptr || head.keep[j]) f(i, j, count);
      }
    }
  }

  // c = op(x) op(y) (+ c) of two square matrices.
  void multiply(bool transpose_x, const T* x, bool transpose_y, const T* y, A* c, bool accumulate) const {
    gemm_tile({.a_type = dtype_of<T>,
               .c_type = dtype_of<A>,
               .transpose_a = transpose_x,
               .transpose_b = transpose_y,
               .m = p_.rows,
               .n = p_.rows,
               .k = p_.rows,
               .lda = ld_,
               .ldb = ld_,
               .ldc = ld_,
               .accumulate = accumulate},
              x, y, c);
  }

  // target = matrix^T x: gradients of k and v.
  void gradient_of_rows(const T* matrix, HeadRows<T> x, const Target& target, const Head<T>& head, A* sum) const {
    gemm_tile({.a_type = dtype_of<T>,
               .c_type = dtype_of<A>,
               .transpose_a = true,
               .m = p_.keys,
               .n = p_.head_size,
               .k = p_.rows,
               .lda = ld_,
               .ldb = x.step,
               .ldc = p_.head_size},
              matrix, x.data, sum);
    const HeadRows<T> rows = head_rows<T>(target.tensor, head.b, head.h, p_.head_size);
    store_rows(rows.data, rows.step, sum, p_.head_size, p_.keys, p_.head_size, target.accumulate);
  }

  void gradient_of_coefficients(const Head<T>& head, const Scratch& s, double* dc) const {
    const A* const df = s.at<A>(df_);
    dc[0] = dc[1] = 0;
    for_each_visible(head, [&](int64_t i, int64_t j, int64_t count) {
      dc[0] += static_cast<double>(df[i * ld_ + j]) / static_cast<double>(count);
    });
    for (int64_t i = 0; i < p_.rows; ++i) dc[1] += static_cast<double>(df[i * ld_ + i]);
    for (int64_t j = 1; j <= p_.degree; ++j) dc[j + 1] = dot_rows(df, ld_, power(s, j), ld_, p_.rows, p_.keys);
  }

  // dm = gradient of M, from dW_j = c_j df + M^T dW_{j+1} for W_j = M W_{j-1}.
  void matrix_gradient(const Head<T>& head, const Scratch& s, int64_t degree) const {
    const A* df = s.at<A>(df_);
    A *dw = s.at<A>(dw_), *dm = s.at<A>(dm_);
    T* const t = s.at<T>(operand_);
    scaled_rows(dw, ld_, static_cast<A>(p_.c(head.h, degree)), df, ld_, p_.rows, p_.keys);
    zero_rows(dm, ld_, p_.rows, p_.keys);
    for (int64_t j = degree; j >= 2; --j) {
      store_rows(t, ld_, dw, ld_, p_.rows, p_.keys);
      multiply(false, t, true, power(s, j - 1), dm, true);
      scaled_rows(dw, ld_, static_cast<A>(p_.c(head.h, j - 1)), df, ld_, p_.rows, p_.keys);
      multiply(true, power(s, 1), false, t, dw, true);
    }
    combine_rows(dm, ld_, A(1), A(1), dw, ld_, p_.rows, p_.keys);
  }

  // operand = scale dS
  void score_gradient_of_head(const Scratch& s, A* dbias) const {
    const A *a = s.at<A>(a_), *dm = s.at<A>(dm_);
    T* const ds = s.at<T>(operand_);
    const A scale = static_cast<A>(p_.scale);
    if (p_.dropout > 0 && !filter_first_) {
      score_gradient(all_, a, power(s, 1), dm, ds, ld_, A(1), scale, dbias, p_.keys);
    } else {
      score_gradient(all_, a, a, dm, ds, ld_, A(1), scale, dbias, p_.keys);
    }
  }

  const Problem& p_;
  int64_t ld_;
  RowBlock all_;
  bool filter_first_;
  ScratchLayout layout_;
  std::vector<int64_t> powers_;
  int64_t a_, f_, operand_, df_, dw_, dm_, dv_, mask_;
};

template <class T>
std::vector<Matrices<T>> all_matrices(const Sequences& sequences) {
  std::vector<Matrices<T>> all;
  for (int64_t s = 0; s < sequences.size(); ++s) all.emplace_back(sequences[s]);
  return all;
}

}  // namespace

template <>
Saved Explicit<DeviceType::cpu>::forward(const Problem& p, const Tensor& out, bool /*save*/) {
  dispatch_floating("attention", out, [&](auto t) {
    const Sequences sequences(p);
    const auto matrices = all_matrices<decltype(t)>(sequences);
    sequences.for_each_head(largest_layout(matrices), [&](int64_t s, int64_t task, const Scratch& scratch) {
      matrices[static_cast<size_t>(s)].forward(task, scratch, sequences.rows_of(out, s));
    });
  });
  return {};
}

template <>
void Explicit<DeviceType::cpu>::backward(const Problem& p, const Saved& /*saved*/, const Tensor& dout,
                                         const Gradients& to) {
  dispatch_floating("attention", dout, [&](auto t) {
    using A = acc_t<decltype(t)>;
    const Sequences sequences(p);
    const auto matrices = all_matrices<decltype(t)>(sequences);
    for_each_head_with_bias<A>(sequences, to.bias, largest_layout(matrices),
                               [&](int64_t s, int64_t task, const Scratch& scratch, A* dbias) {
                                 matrices[static_cast<size_t>(s)].backward(task, scratch, sequences.rows_of(dout, s),
                                                                           sequences.gradients_of(to, s), dbias);
                               });
  });
}

}  // namespace gfsa::kernels
