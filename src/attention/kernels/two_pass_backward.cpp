#include "attention/kernels/gradient_units.h"
#include "attention/kernels/kernels.h"
#include "attention/kernels/row_blocks.h"
#include "attention/kernels/rows.h"
#include "attention/kernels/visible_mean.h"
#include "core/dispatch.h"
#include "ops/gemm.h"

namespace gfsa::kernels {
namespace {

// One call's sizes, scratch places and flags; run() is one head.
template <class T>
class Backward {
  using A = acc_t<T>;
  static constexpr bool kWide = !std::is_same_v<T, A>;  // sums are kept in another type than the operands

 public:
  Backward(const Problem& p, Tensor horner, Tensor dout, Gradients to)
      : p_(p),
        saved_(std::move(horner)),
        dout_(std::move(dout)),
        to_(std::move(to)),
        most_(p.value_degree()),
        sweeps_(to_.coefficients != nullptr ? p.degree : most_),
        scores_(to_.q.tensor || to_.k.tensor || to_.bias.tensor),
        blocks_(p, sweeps_, sizeof(A)) {
    const int64_t n = p.rows, size = p.head_size, tile = blocks_.rows * blocks_.ld;
    a_ = layout_.add<A>(blocks_.stored_rows() * blocks_.ld);
    m_ = needs_operand<T>(p) ? layout_.add<T>(blocks_.stored_rows() * blocks_.ld) : a_;
    dm_ = layout_.add<A>(scores_ ? tile : 0);
    ds_ = kWide ? layout_.add<T>(scores_ ? tile : 0) : dm_;
    left_ = layout_.add<T>(most_ > 1 ? n * most_ * size : 0);
    right_ = layout_.add<T>(most_ > 1 ? n * most_ * size : 0);
    sum_ = layout_.add<A>(p.keys * size);
    next_ = layout_.add<T>(sweeps_ > 1 ? p.keys * size : 0);
    dv_ = layout_.add<A>(p.keys * size);
    dk_ = layout_.add<A>(kWide ? p.keys * size : 0);
    mean_ = layout_.add<A>(size);
    mask_ = layout_.add<float>(mask_scratch(p));
  }
  const ScratchLayout& layout() const { return layout_; }

  // dbias: where this head adds its score gradient, [rows, keys] dense, or nullptr.
  void run(int64_t task, const Scratch& scratch, A* dbias) const {
    const Head<T> head(p_, task / p_.heads, task % p_.heads);
    const int64_t size = p_.head_size, degree = p_.value_degree(head.h);
    const int64_t sweeps = to_.coefficients != nullptr ? p_.degree : degree;
    const HeadRows<T> g = head_rows<T>(dout_, head.b, head.h, size);
    double* const dc = to_.coefficients != nullptr ? to_.coefficients + task * (p_.degree + 2) : nullptr;
    const auto c = [&](int64_t j) { return static_cast<A>(p_.c(head.h, j)); };

    // [D_0, D_1, ...] and [T_1, T_2, ...] side by side, so that dM is one product. Degree 1: G and V where they stand,
    // and the factor c1 is put to the product.
    HeadRows<T> left = g, right = head.v;
    if (degree > 1) {
      left = {scratch.at<T>(left_), degree * size};
      right = {scratch.at<T>(right_), degree * size};
      if (scores_) collect(task, head, g, degree, left, right);
    }
    const A alpha = degree == 1 ? c(1) : A(1);

    A* const dv = scratch.at<A>(dv_);
    if (c(0) != A(0)) {
      scaled_rows(dv, size, c(0), g.data, g.step, p_.keys, size);
    } else {
      std::fill(dv, dv + p_.keys * size, A(0));
    }
    if (p_.uniform(head.h) != 0) {
      add_mean_gradient(p_, head, static_cast<A>(p_.uniform(head.h)), g, dv, scratch.at<A>(mean_));
    }
    if (dc != nullptr) {
      VisibleMean<T> mean(p_, head, scratch.at<A>(mean_));
      dc[0] = 0;
      for (int64_t i = 0; i < p_.rows; ++i) dc[0] += mean.dot(i, g.row(i));
      dc[1] = dot_rows(g.data, g.step, head.v.data, head.v.step, p_.rows, size);
    }

    A* const sum = scratch.at<A>(sum_);
    HeadRows<T> d = g;  // D_sweep
    for (int64_t sweep = 0; sweep < sweeps; ++sweep) {
      const bool back = scores_ && sweep == degree - 1;
      sweep_blocks(head, scratch, sweep == 0, d, sum, back, degree, left, right, alpha, dbias);
      // sum is D_{sweep + 1} now.
      if (sweep < degree) combine_rows_from(dv, c(sweep + 1), sum);
      if (dc != nullptr) dc[sweep + 2] = dot_rows(sum, size, head.v.data, head.v.step, p_.keys, size);
      if (sweep + 1 < sweeps) {
        d = {scratch.at<T>(next_), size};
        store_rows(d.data, d.step, sum, size, p_.keys, size);
        if (scores_ && sweep + 1 < degree) {
          store_rows(left.data + (sweep + 1) * size, left.step, sum, size, p_.keys, size);
        }
      }
    }
    if (to_.v.tensor) store(to_.v, head, dv);
  }

 private:
  void combine_rows_from(A* dv, A c, const A* sum) const {
    combine_rows(dv, p_.head_size, A(1), c, sum, p_.head_size, p_.keys, p_.head_size);
  }

  void store(const Target& target, const Head<T>& head, const A* from) const {
    const HeadRows<T> rows = head_rows<T>(target.tensor, head.b, head.h, p_.head_size);
    store_rows(rows.data, rows.step, from, p_.head_size, p_.keys, p_.head_size, target.accumulate);
  }

  void collect(int64_t task, const Head<T>& head, HeadRows<T> g, int64_t degree, HeadRows<T> left,
               HeadRows<T> right) const {
    const int64_t size = p_.head_size, n = p_.rows, saved_step = (most_ - 1) * size;
    const T* const t = saved_.data<T>() + task * n * saved_step;
    for (int64_t i = 0; i < n; ++i) {
      std::copy_n(g.row(i), size, left.row(i));
      std::copy_n(t + i * saved_step, (degree - 1) * size, right.row(i));
    }
    simd::run([&] {
      const A c = static_cast<A>(p_.c(head.h, degree));
      for (int64_t i = 0; i < n; ++i) {
        T* to = right.row(i) + (degree - 1) * size;
        const T* v = head.v.row(i);
#pragma omp simd
        for (int64_t j = 0; j < size; ++j) to[j] = T(c * static_cast<A>(v[j]));
      }
    });
  }

  // to = x^T from (+ to), for the block of a matrix [rows, width] and the block's own rows of `from`.
  void add_to_keys(const RowBlock& block, const T* x, HeadRows<T> from, HeadRows<A> to, bool accumulate) const {
    gemm_tile({.a_type = dtype_of<T>,
               .c_type = dtype_of<A>,
               .transpose_a = true,
               .m = block.width,
               .n = p_.head_size,
               .k = block.rows,
               .lda = blocks_.ld,
               .ldb = from.step,
               .ldc = to.step,
               .accumulate = accumulate},
              x, from.row(block.row0), to.data);
  }

  // sum = M^T d; with `back` also dQ, dK and dbias. Blocks go from the last to the first: the last is the widest, so it
  // overwrites what the others add to.
  void sweep_blocks(const Head<T>& head, const Scratch& scratch, bool first_sweep, HeadRows<T> d, A* sum, bool back,
                    int64_t degree, HeadRows<T> left, HeadRows<T> right, A alpha, A* dbias) const {
    const int64_t size = p_.head_size, ld = blocks_.ld;
    const DType t = dtype_of<T>, acc = dtype_of<A>;
    HeadRows<A> dk{scratch.at<A>(dk_), size};
    bool dk_adds = false;
    if constexpr (!kWide) {
      if (to_.k.tensor) dk = head_rows<A>(to_.k.tensor, head.b, head.h, size), dk_adds = to_.k.accumulate;
    }
    int64_t widest = 0;
    for (int64_t i = blocks_.count - 1; i >= 0; --i) {
      const RowBlock block = blocks_.block(p_, head.width, i);
      const bool last_block = i == blocks_.count - 1;
      if (last_block) widest = block.width;
      A* const a = scratch.at<A>(a_) + blocks_.offset(i);
      T* const m = scratch.at<T>(m_) + blocks_.offset(i);
      if (first_sweep || !blocks_.kept) transition_block(p_, head, block, a, m, ld, scratch.at<float>(mask_));
      add_to_keys(block, m, d, HeadRows<A>{sum, size}, !last_block);
      if (!back) continue;

      A* const dm = scratch.at<A>(dm_);
      T* const ds = scratch.at<T>(ds_);
      gemm_tile({.a_type = t,
                 .c_type = acc,
                 .transpose_b = true,
                 .m = block.rows,
                 .n = block.width,
                 .k = degree * size,
                 .lda = left.step,
                 .ldb = right.step,
                 .ldc = ld},
                left.row(block.row0), right.data, dm);
      A* const db = dbias;
      if (p_.dropout > 0) {
        score_gradient(block, a, m, dm, ds, ld, alpha, static_cast<A>(p_.scale), db, p_.keys);
      } else {
        score_gradient(block, a, a, dm, ds, ld, alpha, static_cast<A>(p_.scale), db, p_.keys);
      }
      if (to_.q.tensor) {
        const HeadRows<T> dq = head_rows<T>(to_.q.tensor, head.b, head.h, size);
        gemm_tile({.a_type = t,
                   .c_type = t,
                   .m = block.rows,
                   .n = size,
                   .k = block.width,
                   .lda = ld,
                   .ldb = head.k.step,
                   .ldc = dq.step,
                   .accumulate = to_.q.accumulate},
                  ds, head.k.data, dq.row(block.row0));
      }
      if (to_.k.tensor) add_to_keys(block, ds, head.q, dk, dk_adds || !last_block);
    }
    zero_rows(sum + widest * size, size, p_.keys - widest, size);
    if (!back || !to_.k.tensor) return;
    if (!dk_adds) zero_rows(dk.row(widest), dk.step, p_.keys - widest, size);
    if constexpr (kWide) store(to_.k, head, dk.data);
  }

  const Problem& p_;
  Tensor saved_, dout_;
  Gradients to_;
  int64_t most_, sweeps_;
  bool scores_;
  RowBlocks blocks_;
  ScratchLayout layout_;
  int64_t a_, m_, dm_, ds_, left_, right_, sum_, next_, dv_, dk_, mean_, mask_;
};

}  // namespace

template <>
void TwoPass<DeviceType::cpu>::backward(const Problem& p, const Saved& saved, const Tensor& dout, const Gradients& to) {
  dispatch_floating("attention", dout, [&](auto t) {
    using T = decltype(t);
    const Sequences sequences(p);
    std::vector<Backward<T>> backwards;
    for (int64_t s = 0; s < sequences.size(); ++s) {
      backwards.emplace_back(sequences[s], sequences.head_rows_of(saved.horner, s), sequences.rows_of(dout, s),
                             sequences.gradients_of(to, s));
    }
    for_each_head_with_bias<acc_t<T>>(sequences, to.bias, largest_layout(backwards),
                                      [&](int64_t s, int64_t task, const Scratch& scratch, acc_t<T>* dbias) {
                                        backwards[static_cast<size_t>(s)].run(task, scratch, dbias);
                                      });
  });
}

}  // namespace gfsa::kernels
