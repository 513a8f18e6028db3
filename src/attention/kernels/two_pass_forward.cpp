#include "attention/kernels/horner_rows.h"
#include "attention/kernels/kernels.h"
#include "attention/kernels/row_blocks.h"
#include "attention/kernels/tile_launch.h"

namespace gfsa::kernels {
namespace {

// One call's sizes and scratch places; run() is one head.
template <class T, simd::Isa isa>
class TwoPassForward {
  using A = acc_t<T>;
  using Tile = Tiles<A, isa>;
  using Strips = typename Tile::Strips;
  static constexpr int64_t kColumns = Tile::kColumns;

 public:
  // horner, softmax: where T_1 .. T_{k-1} and the softmaxes' figures are kept, or undefined.
  TwoPassForward(const Problem& p, Tensor out, Tensor horner, Tensor softmax)
      : p_(p),
        horner_(p, std::move(out), std::move(horner), std::move(softmax)),
        blocks_(p, p.value_degree(), sizeof(A), Tile::kRows),
        count_(Tile::strips(p.head_size)),
        strip_step_(round_up(std::max(p.rows, p.keys), kSquare) * kColumns) {
    keys_ = layout_.add<A>(round_up(p.keys, kColumns) * p.head_size);
    x_ = layout_.add<A>(p.value_degree() * count_ * strip_step_);
    q_ = layout_.add<A>(count_ * blocks_.rows * kColumns);
    sums_ = layout_.add<A>(count_ * blocks_.rows * kColumns);
    matrix_ = layout_.add<A>(blocks_.stored());
    figures_ = layout_.add<A>(2 * blocks_.count * blocks_.rows);
    row_ = layout_.add<A>(count_ * kColumns);
    mean_ = layout_.add<A>(p.head_size);
    mask_ = layout_.add<float>(kSquare);
  }
  const ScratchLayout& layout() const { return layout_; }

  void run(int64_t task, const Scratch& scratch) const {
    const Head<T> head(p_, task / p_.heads, task % p_.heads);
    const int64_t size = p_.head_size, degree = p_.value_degree(head.h), block_step = blocks_.rows * kColumns;
    const Work w{.head = head,
                 .rows_of = TileRows<T, isa, kSquare>(p_, head, scratch.at<float>(mask_)),
                 .keys = scratch.at<A>(keys_),
                 .most = scratch.at<A>(figures_),
                 .inverse = scratch.at<A>(figures_) + blocks_.count * blocks_.rows,
                 .q = {scratch.at<A>(q_), block_step}};
    // V, T_{degree-1}, ..., T_1: what M multiplies, a pass each.
    const Strips x{scratch.at<A>(x_), strip_step_}, sums{scratch.at<A>(sums_), block_step};
    Tile::pack_transposed(head.k.data, head.k.step, head.width, size, w.keys, size * kColumns);
    Tile::pack(head.v.data, head.v.step, p_.keys, size, A(1), x);
    VisibleMean<T> mean(p_, head, scratch.at<A>(mean_));

    for (int64_t g = 0; g < degree; ++g) {
      for (int64_t i = 0; i < blocks_.count; ++i) {
        const int64_t row0 = i * blocks_.rows, rows = blocks_.rows_of(i);
        A* const tiles = scratch.at<A>(matrix_) + blocks_.offset(i);
        if (g == 0 || !blocks_.kept) weights(w, i, tiles);
        if (g == 0) horner_.keep_figures(task, row0, rows, w.most + row0, w.inverse + row0);
        if (head.width == 0) std::fill(sums.data, sums.data + count_ * sums.step, A(0));
        blocks_.for_each_tile(p_, head.width, i, [&](const TilePlace& at, int64_t before) {
          Tile::template add_rows<kSquare>(tiles + before, rows, at.keys, at.lower(),
                                           {x.at(g * count_, at.key0), x.step}, count_, nullptr, at.key0 == 0, sums);
        });
        horner_.finish(task, head, g, row0, rows, sums, w.inverse + row0, x, mean, scratch.at<A>(row_));
      }
    }
  }

 private:
  struct Work {
    const Head<T>& head;
    TileRows<T, isa, kSquare> rows_of;
    A *keys, *most, *inverse;
    Strips q;
  };

  // Exponentials of block i, as they multiply V, and the inverse of their sums.
  void weights(const Work& w, int64_t i, A* tiles) const {
    const int64_t row0 = i * blocks_.rows, rows = blocks_.rows_of(i), size = p_.head_size;
    A *const most = w.most + row0, *const sum = w.inverse + row0;
    Tile::pack(w.head.q.row(row0), w.head.q.step, rows, size, static_cast<A>(p_.scale), w.q);
    std::fill(most, most + rows, -std::numeric_limits<A>::infinity());
    std::fill(sum, sum + rows, A(0));
    blocks_.for_each_tile(p_, w.head.width, i, [&](const TilePlace& at, int64_t before) {
      Tile::template scores<kSquare>(w.q, 1, size, w.keys + at.key0 * size, rows, at.keys, at.lower(), tiles + before);
      w.rows_of.largest(at, tiles + before, most);
    });
    blocks_.for_each_tile(p_, w.head.width, i,
                          [&](const TilePlace& at, int64_t before) { w.rows_of.weigh(at, tiles + before, most, sum); });
    horner_.invert(sum, rows);
  }

  const Problem& p_;
  HornerRows<T, isa> horner_;
  RowBlocks blocks_;
  int64_t count_, strip_step_;
  ScratchLayout layout_;
  int64_t keys_, x_, q_, sums_, matrix_, figures_, row_, mean_, mask_;
};

}  // namespace

template <>
Saved TwoPass<DeviceType::cpu>::forward(const Problem& p, const Tensor& out, bool save) {
  return run_forward<TwoPassForward>(p, out, save);
}

}  // namespace gfsa::kernels
