#include "attention/kernels/horner_rows.h"
#include "attention/kernels/kernels.h"
#include "attention/kernels/tile_launch.h"

namespace gfsa::kernels {
namespace {

// One call's sizes and scratch places; run() is one head.
template <class T, simd::Isa isa>
class OneSweepForward {
  using A = acc_t<T>;
  using Tile = Tiles<A, isa>;
  using Strips = typename Tile::Strips;
  static constexpr int64_t kKeys = 2 * kSquare;  // of a tile below the diagonal: sums are rescaled once a tile
  static constexpr int64_t kColumns = Tile::kColumns;

 public:
  // horner, softmax: where T_1 .. T_{k-1} and the softmaxes' figures are kept, or undefined.
  OneSweepForward(const Problem& p, Tensor out, Tensor horner, Tensor softmax)
      : p_(p),
        horner_(p, std::move(out), std::move(horner), std::move(softmax)),
        count_(Tile::strips(p.head_size)),
        strip_step_(round_up(p.rows, kSquare) * kColumns) {
    const int64_t most = p.value_degree();
    keys_ = layout_.add<A>(round_up(p.keys, kColumns) * p.head_size);
    x_ = layout_.add<A>(most * count_ * strip_step_);
    q_ = layout_.add<A>(count_ * kSquare * kColumns);
    sums_ = layout_.add<A>(most * count_ * kSquare * kColumns);
    tile_ = layout_.add<A>(kSquare * kKeys);
    figures_ = layout_.add<A>(3 * kSquare);
    row_ = layout_.add<A>(count_ * kColumns);
    mean_ = layout_.add<A>(p.head_size);
    mask_ = layout_.add<float>(kKeys);
  }
  const ScratchLayout& layout() const { return layout_; }

  void run(int64_t task, const Scratch& scratch) const {
    const Problem& p = p_;
    const Head<T> head(p, task / p.heads, task % p.heads);
    const int64_t size = p.head_size, degree = p.value_degree(head.h), n = p.rows;
    A* const keys = scratch.at<A>(keys_);
    // V, T_{degree-1}, ..., T_1: what M multiplies, each made when the one before it is finished up to the same row.
    const Strips x{scratch.at<A>(x_), strip_step_};
    const Strips q{scratch.at<A>(q_), kSquare * kColumns}, sums{scratch.at<A>(sums_), kSquare * kColumns};
    A* const tile = scratch.at<A>(tile_);
    A *const most = scratch.at<A>(figures_), *const sum = most + kSquare, *const factor = sum + kSquare;
    Tile::pack_transposed(head.k.data, head.k.step, head.width, size, keys, size * kColumns);
    Tile::pack(head.v.data, head.v.step, n, size, A(1), x);
    const TileRows<T, isa, kKeys> rows_of(p, head, scratch.at<float>(mask_));
    VisibleMean<T> mean(p, head, scratch.at<A>(mean_));

    for (int64_t row0 = 0; row0 < n; row0 += kSquare) {
      const int64_t rows = std::min(kSquare, n - row0);
      Tile::pack(head.q.row(row0), head.q.step, rows, size, static_cast<A>(p.scale), q);
      std::fill(most, most + kSquare, -std::numeric_limits<A>::infinity());
      std::fill(sum, sum + kSquare, A(0));
      if (head.width == 0) std::fill(sums.data, sums.data + degree * count_ * sums.step, A(0));
      const auto weights = [&](const TilePlace& at) {
        Tile::template scores<kKeys>(q, 1, size, keys + at.key0 * size, at.rows, at.keys, at.lower(), tile);
        rows_of.exponentials(at, tile, most, sum, factor);
      };
      const int64_t before = std::min(row0, head.width);
      for (int64_t key0 = 0; key0 < before; key0 += kKeys) {
        const TilePlace at{row0, rows, key0, std::min(kKeys, before - key0), true};
        weights(at);
        Tile::template add_rows<kKeys>(tile, rows, at.keys, false, {x.at(0, key0), x.step}, degree * count_, factor,
                                       key0 == 0, sums);
      }
      const TilePlace own{row0, rows, row0, std::clamp<int64_t>(head.width - row0, 0, rows), true};
      if (own.keys > 0) weights(own);
      horner_.invert(sum, rows);
      for (int64_t g = 0; g < degree; ++g) {
        const Strips y{sums.at(g * count_, 0), sums.step};
        if (own.keys > 0) {
          Tile::template add_rows<kKeys>(tile, rows, own.keys, true, {x.at(g * count_, row0), x.step}, count_, factor,
                                         row0 == 0, y);
        }
        horner_.finish(task, head, g, row0, rows, y, sum, x, mean, scratch.at<A>(row_));
      }
      horner_.keep_figures(task, row0, rows, most, sum);
    }
  }

 private:
  const Problem& p_;
  HornerRows<T, isa> horner_;
  int64_t count_, strip_step_;
  ScratchLayout layout_;
  int64_t keys_, x_, q_, sums_, tile_, figures_, row_, mean_, mask_;
};

}  // namespace

template <>
Saved OneSweep<DeviceType::cpu>::forward(const Problem& p, const Tensor& out, bool save) {
  Saved saved = run_forward<OneSweepForward>(p, out, save);
  if (save) saved.out = out;
  return saved;
}

}  // namespace gfsa::kernels
