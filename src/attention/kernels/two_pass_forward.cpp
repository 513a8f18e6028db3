#include "attention/kernels/kernels.h"
#include "attention/kernels/row_blocks.h"
#include "attention/kernels/rows.h"
#include "attention/kernels/tasks.h"
#include "attention/kernels/visible_mean.h"
#include "core/dispatch.h"
#include "ops/gemm.h"

namespace gfsa::kernels {
namespace {

template <class T>
void forward(const Problem& p, const Tensor& out, const Tensor& saved) {
  using A = acc_t<T>;
  const int64_t size = p.head_size, n = p.rows, most = p.value_degree();
  const int64_t horner_step = (most - 1) * size;
  const RowBlocks blocks(p, most, sizeof(A));
  ScratchLayout layout;
  const auto at_a = layout.add<A>(blocks.stored_rows() * blocks.ld);
  const auto at_m = needs_operand<T>(p) ? layout.add<T>(blocks.stored_rows() * blocks.ld) : at_a;
  const auto at_tile = layout.add<A>(blocks.rows * size);
  const auto at_mean = layout.add<A>(size);
  const auto at_mask = layout.add<float>(mask_scratch(p));
  const auto at_horner = layout.add<T>(saved ? 0 : n * horner_step);

  for_each_task(p.batch * p.heads, layout, [&](int64_t task, const Scratch& scratch) {
    const Head<T> head(p, task / p.heads, task % p.heads);
    const int64_t degree = p.value_degree(head.h);
    A* const tile = scratch.at<A>(at_tile);
    float* const mask = scratch.at<float>(at_mask);
    // T_j stands in columns (j - 1) D of these rows.
    T* const horner = saved ? saved.data<T>() + task * n * horner_step : scratch.at<T>(at_horner);
    const HeadRows<T> result = head_rows<T>(out, head.b, head.h, size);
    VisibleMean<T> mean(p, head, scratch.at<A>(at_mean));
    const A cu = static_cast<A>(p.uniform(head.h));

    for (int64_t pass = degree - 1; pass >= 0; --pass) {
      const bool first = pass == degree - 1;
      // T_degree = c V: the factor is put to the product instead.
      const HeadRows<T> x = first ? head.v : HeadRows<T>{horner + pass * size, horner_step};
      const HeadRows<T> y = pass == 0 ? result : HeadRows<T>{horner + (pass - 1) * size, horner_step};
      const A factor = first ? static_cast<A>(p.c(head.h, degree)) : A(1);
      const A cv = static_cast<A>(p.c(head.h, pass));
      const bool plain = factor == A(1) && cv == A(0) && (pass > 0 || cu == A(0));
      for (int64_t i = 0; i < blocks.count; ++i) {
        const RowBlock block = blocks.block(p, head.width, i);
        A* const a = scratch.at<A>(at_a) + blocks.offset(i);
        T* const m = scratch.at<T>(at_m) + blocks.offset(i);
        if (first || !blocks.kept) transition_block(p, head, block, a, m, blocks.ld, mask);
        T* const to = y.row(block.row0);
        gemm({.a_type = dtype_of<T>,
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
  });
}

}  // namespace

template <>
Saved TwoPass<DeviceType::cpu>::forward(const Problem& p, const Tensor& out, bool save) {
  const int64_t most = p.value_degree();
  Saved saved;
  if (save && most > 1) saved.horner = Tensor::empty({p.batch, p.heads, p.rows, (most - 1) * p.head_size}, p.dtype);
  dispatch_floating("attention", out, [&](auto t) { gfsa::kernels::forward<decltype(t)>(p, out, saved.horner); });
  return saved;
}

}  // namespace gfsa::kernels
