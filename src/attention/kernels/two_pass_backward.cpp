#include "attention/kernels/head_gradients.h"
#include "attention/kernels/kernels.h"
#include "attention/kernels/row_blocks.h"
#include "attention/kernels/tile_launch.h"

namespace gfsa::kernels {
namespace {

// One call's sizes and scratch places; run() is one head.
template <class T, simd::Isa isa>
class TwoPassBackward {
  using A = acc_t<T>;
  using Work = typename HeadGradients<T, isa>::Work;

 public:
  TwoPassBackward(const Problem& p, Saved saved, Tensor dout, Gradients to)
      : p_(p),
        of_(p, std::move(saved), std::move(dout), std::move(to), p.keys),
        blocks_(p, of_.sweeps(), sizeof(A), Tiles<A, isa>::kRows) {
    ScratchLayout& layout = of_.layout();
    matrix_ = layout.add<A>(blocks_.stored());
    plain_ = p.dropout > 0 ? layout.add<A>(blocks_.stored()) : matrix_;
    dm_ = layout.add<A>(of_.has_scores() ? blocks_.tiles * blocks_.tile : 0);
  }
  const ScratchLayout& layout() const { return of_.layout(); }

  void run(int64_t task, const Scratch& scratch, A* dbias) const {
    const Work w = of_.begin(task, scratch, dbias);
    of_.clear_keys(w);
    for (int64_t j = 0; j < w.sweeps; ++j) {
      for (int64_t i = 0; i < blocks_.count; ++i) sweep_block(w, scratch, j, i);
    }
    if (of_.has_scores()) of_.store_keys(w, 0, w.head.width);
    of_.finish(w);
  }

 private:
  // D_{j+1} += M^T D_j for the rows of block i; with the last D_j that scores need, their gradients too.
  void sweep_block(const Work& w, const Scratch& scratch, int64_t j, int64_t i) const {
    A *const tiles = scratch.at<A>(matrix_) + blocks_.offset(i), *const dm = scratch.at<A>(dm_);
    A* const plain = scratch.at<A>(plain_) + blocks_.offset(i);
    const bool with_scores = of_.has_scores() && j == w.degree - 1;
    if (with_scores) std::fill_n(w.r_term + i * blocks_.rows, blocks_.rows_of(i), A(0));
    blocks_.for_each_tile(p_, w.head.width, i, [&](const TilePlace& at, int64_t before) {
      if (j == 0 || !blocks_.kept) of_.weights(w, at, tiles + before, plain + before);
      of_.sum_keys(w, at, tiles + before, j, 1);
      if (!with_scores) return;
      of_.matrix_gradient(w, at, dm + before);
      w.rows_of.add_products(at, tiles + before, dm + before, w.r_term + at.row0);
    });
    if (!with_scores) return;
    blocks_.for_each_tile(p_, w.head.width, i, [&](const TilePlace& at, int64_t before) {
      of_.through_scores(w, at, tiles + before, plain + before, dm + before, 0);
    });
  }

  const Problem& p_;
  HeadGradients<T, isa> of_;
  RowBlocks blocks_;
  int64_t matrix_, plain_, dm_;
};

}  // namespace

template <>
void TwoPass<DeviceType::cpu>::backward(const Problem& p, const Saved& saved, const Tensor& dout, const Gradients& to) {
  run_backward<TwoPassBackward>(p, saved, dout, to);
}

}  // namespace gfsa::kernels
