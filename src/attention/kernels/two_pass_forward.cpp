#include "attention/kernels/kernels.h"
#include "attention/kernels/row_blocks.h"
#include "attention/kernels/rows.h"
#include "attention/kernels/sequences.h"
#include "attention/kernels/visible_mean.h"
#include "core/dispatch.h"
#include "ops/gemm.h"

namespace gfsa::kernels {
namespace {

// One call's sizes and scratch places; run() is one head.
template <class T>
class Forward {
  using A = acc_t<T>;

 public:
  // horner: where T_1 .. T_{k-1} are kept, or undefined.
  Forward(const Problem& p, Tensor out, Tensor horner)
      : p_(p),
        out_(std::move(out)),
        horner_(std::move(horner)),
        horner_step_((p.value_degree() - 1) * p.head_size),
        blocks_(p, p.value_degree(), sizeof(A)) {
    a_ = layout_.add<A>(blocks_.stored_rows() * blocks_.ld);
    m_ = needs_operand<T>(p) ? layout_.add<T>(blocks_.stored_rows() * blocks_.ld) : a_;
    tile_ = layout_.add<A>(blocks_.rows * p.head_size);
    mean_ = layout_.add<A>(p.head_size);
    mask_ = layout_.add<float>(mask_scratch(p));
    unkept_ = layout_.add<T>(horner_ ? 0 : p.rows * horner_step_);
  }
  const ScratchLayout& layout() const { return layout_; }

  void run(int64_t task, const Scratch& scratch) const {
    const Problem& p = p_;
    const RowBlocks& blocks = blocks_;
    const Head<T> head(p, task / p.heads, task % p.heads);
    const int64_t size = p.head_size, degree = p.value_degree(head.h);
    A* const tile = scratch.at<A>(tile_);
    // T_j stands in columns (j - 1) D of these rows.
    T* const horner = horner_ ? horner_.template data<T>() + task * p.rows * horner_step_ : scratch.at<T>(unkept_);
    const HeadRows<T> result = head_rows<T>(out_, head.b, head.h, size);
    VisibleMean<T> mean(p, head, scratch.at<A>(mean_));
    const A cu = static_cast<A>(p.uniform(head.h));

    for (int64_t pass = degree - 1; pass >= 0; --pass) {
      const bool first = pass == degree - 1;
      // T_degree = c V: the factor is put to the product instead.
      const HeadRows<T> x = first ? head.v : HeadRows<T>{horner + pass * size, horner_step_};
      const HeadRows<T> y = pass == 0 ? result : HeadRows<T>{horner + (pass - 1) * size, horner_step_};
      const A factor = first ? static_cast<A>(p.c(head.h, degree)) : A(1);
      const A cv = static_cast<A>(p.c(head.h, pass));
      const bool plain = factor == A(1) && cv == A(0) && (pass > 0 || cu == A(0));
      for (int64_t i = 0; i < blocks.count; ++i) {
        const RowBlock block = blocks.block(p, head.width, i);
        A* const a = scratch.at<A>(a_) + blocks.offset(i);
        T* const m = scratch.at<T>(m_) + blocks.offset(i);
        if (first || !blocks.kept) transition_block(p, head, block, a, m, blocks.ld, scratch.at<float>(mask_));
        T* const to = y.row(block.row0);
        gemm_tile({.a_type = dtype_of<T>,
                   .c_type = plain ? dtype_of<T> : dtype_of<A>,
                   .m = block.rows,
                   .n = size,
                   .k = block.width,
                   .lda = blocks.ld,
                   .ldb = x.step,
                   .ldc = plain ? y.step : size},
                  m, x.data, plain ? static_cast<void*>(to) : tile);
        if (plain) continue;
        combine_rows(tile, size, factor, cv, head.v.row(block.row0), head.v.step, block.rows, size);
        if (pass == 0 && cu != A(0)) {
          for (int64_t r = 0; r < block.rows; ++r) mean.add(block.row0 + r, cu, tile + r * size);
        }
        store_rows(to, y.step, tile, size, block.rows, size);
      }
    }
  }

 private:
  const Problem& p_;
  Tensor out_, horner_;
  int64_t horner_step_;
  RowBlocks blocks_;
  ScratchLayout layout_;
  int64_t a_, m_, tile_, mean_, mask_, unkept_;
};

}  // namespace

template <>
Saved TwoPass<DeviceType::cpu>::forward(const Problem& p, const Tensor& out, bool save) {
  const int64_t most = p.value_degree();
  const Sequences sequences(p);
  Saved saved;
  if (save && most > 1) saved.horner = sequences.make_head_rows((most - 1) * p.head_size, p.dtype);
  dispatch_floating("attention", out, [&](auto t) {
    std::vector<Forward<decltype(t)>> forwards;
    for (int64_t s = 0; s < sequences.size(); ++s) {
      forwards.emplace_back(sequences[s], sequences.rows_of(out, s), sequences.head_rows_of(saved.horner, s));
    }
    sequences.for_each_head(largest_layout(forwards), [&](int64_t s, int64_t task, const Scratch& scratch) {
      forwards[static_cast<size_t>(s)].run(task, scratch);
    });
  });
  return saved;
}

}  // namespace gfsa::kernels
