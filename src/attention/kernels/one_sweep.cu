// The one-sweep form on GPUs, of degree 2: which launches there are. Nothing waits within a launch: rows go in
// super-blocks, and what a super-block needs of others was finished by launches before. The kernels:
// cuda/sweep_kernels.h.
#include <algorithm>

#include "attention/kernels/cuda/backward.h"
#include "attention/kernels/cuda/sweep.h"
#include "attention/kernels/kernels.h"
#include "core/dispatch.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

using kernels::Gradients;
using kernels::Problem;
using kernels::Saved;

// Rows of a super-block. Fewer: fewer tiles of M made twice, but more launches of fewer blocks. With 256 a head of
// GPT-2 (1024 rows) takes 3.25 products forward instead of 4, and a launch has four blocks of 64 rows a head.
constexpr int64_t kSuperBlockRows = 256;
// No tile of the other side and no block lies in two super-blocks.
constexpr int64_t kLeastRows = 32, kBlockRows = 64;

int64_t super_block_rows(const Problem& p) {
  const int64_t wanted = p.block_rows > 0 ? p.block_rows : kSuperBlockRows;
  const int64_t unit = wanted <= kLeastRows ? kLeastRows : kBlockRows;
  return std::min((wanted + unit - 1) / unit * unit, p.rows);
}
Span span_at(const Problem& p, int64_t first, int64_t rows) {
  return {static_cast<int>(first), static_cast<int>(std::min(first + rows, p.rows))};
}

// f32 [B, H, rows of a super-block, D].
template <class T>
HeadView<T> sums_view(const Tensor& sums, const Problem& p, int64_t rows) {
  return view_at<T>(sums.data<float>(), p.heads * rows * p.head_size, rows * p.head_size, p.head_size, p.head_size);
}

template <class T>
void sweep_rows(const Problem& p, const Tensor& out, const Tensor& horner, const Tensor& lse) {
  const int64_t size = p.head_size, rows = super_block_rows(p);
  const HeadView<const T> values = view_of<const T>(p.v, size);
  Tensor begun;
  if (rows < p.rows) begun = Tensor::empty({p.batch, p.heads, rows, size}, DType::f32, p.q.device());
  const VisibleMean mean = visible_mean(p, p.v, false, true);

  RowSweep<T> a;
  a.scores = scores_of(p);
  a.q = view_of<const T>(p.q, size);
  a.k = view_of<const T>(p.k, size);
  a.v = values;
  a.t = link_of<const T>(horner, p, 0);
  a.lse = lse.data<float>();
  a.horner.y = link_of<T>(horner, p, 0);
  a.horner.factor_at = 2;
  a.horner.terms = {.alone = values, .alone_at = 1, .others = {}};
  a.horner.first_term = 1;
  a.horner.end_term = 2;
  a.out.y = view_of<T>(out, size);
  a.out.factor_at = 1;
  a.out.terms = {.alone = values, .alone_at = 0, .others = {}};
  a.out.end_term = 1;
  a.out.mean = static_cast<const float*>(mean.values.data<float>());
  a.out.one_mean = mean.one;

  // M T_1 over the super-block's own keys, now that their T_1 is there.
  ApplyArguments<T> rest;
  rest.scores = a.scores;
  rest.own = a.q;
  rest.other = a.k;
  rest.x = a.t;
  rest.lse = a.lse;
  rest.needed = 2;
  rest.to = a.out;
  rest.to.factor_at = 0;
  for (int64_t first = 0; first < p.rows; first += rows) {
    a.span = rest.span = span_at(p, first, rows);
    if (first > 0) {
      a.begun = sums_view<float>(begun, p, rows);
      rest.to.begun = sums_view<const float>(begun, p, rows);
    }
    with_columns<kLargestHeadOfSweeps>(size, [&](auto columns) {
      Sweeps<T, columns>::rows(a, p.batch);
      Passes<T, columns>::apply(rest, false, p.batch);
    });
  }
}

// dV and dK; D_1 and the row terms on the way.
template <class T>
void sweep_keys(const Problem& p, const Saved& saved, const Tensor& dout, const Gradients& to, ChainGradients<T>& chain,
                const VisibleMean& mean_of_values) {
  const int64_t size = p.head_size, k = p.degree, rows = super_block_rows(p);
  const bool wants_last = to.v.tensor || to.device_coefficients, has_terms = chain.wants_scores();
  VisibleMean mean;
  KeySweep<T> a;
  a.scores = scores_of(p);
  a.block = static_cast<int>(rows);
  a.q = view_of<const T>(p.q, size);
  a.k = view_of<const T>(p.k, size);
  a.left = chain.left();
  a.right = chain.right();
  a.lse = static_cast<const float*>(saved.lse.data<float>());
  a.row_terms = chain.row_terms();
  a.values.raw = chain.d_to_write(k);
  a.values.factor_at = static_cast<int>(k);
  a.values.terms = chain.left();
  if (to.v.tensor) a.values.y = view_of<T>(to.v.tensor, size);
  a.values.accumulate = to.v.accumulate;
  if (to.v.tensor && p.device_coefficients) {
    a.values.end_term = 1;
    mean = visible_mean(p, dout, true, true);
    a.values.mean = static_cast<const float*>(mean.values.data<float>());
    a.values.one_mean = mean.one;
  }
  if (to.k.tensor) a.keys = view_of<T>(to.k.tensor, size);
  a.accumulate_keys = to.k.accumulate;

  if (k == 1) {
    if (has_terms) chain.sum_rows({}, mean_of_values, false);
    if (!wants_last && !to.k.tensor) return;
    with_columns<kLargestHeadOfSweeps>(size, [&](auto columns) { Sweeps<T, columns>::keys(a, p.batch); });
    return;
  }
  const Tensor sums = Tensor::empty({3, p.batch, p.heads, rows, size}, DType::f32, p.q.device());
  a.sums = {.alone = {}, .alone_at = -1, .others = sums_view<float>(sums, p, rows), .between = sums.numel() / 3};
  a.first = chain.d_to_write(1);
  a.values.begun = sums_view<const float>(sums, p, rows);
  a.values.begun_at = 1;
  for (int64_t first = (p.rows - 1) / rows * rows; first >= 0; first -= rows) {
    a.span = span_at(p, first, rows);
    with_columns<kLargestHeadOfSweeps>(size, [&](auto columns) { Sweeps<T, columns>::keys(a, p.batch); });
    if (has_terms) chain.sum_rows(a.span, mean_of_values, false);
    if (!wants_last && !to.k.tensor) continue;
    with_columns<kLargestHeadOfSweeps>(size, [&](auto columns) { Sweeps<T, columns>::rest_of_keys(a, p.batch); });
  }
}

template <class T>
void sweep_backward(const Problem& p, const Saved& saved, const Tensor& dout, const Gradients& to) {
  ChainGradients<T> chain(p, saved, dout, to);
  const VisibleMean mean = chain.mean();
  sweep_keys(p, saved, dout, to, chain, mean);
  if (to.device_coefficients) chain.sum_rows({}, mean, true);
  chain.queries();
  chain.bias();
}

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa::kernels {
using namespace GFSA_DEVICE_NAMESPACE;

// Of degree 1 the two forms' forward is the same one pass.
template <DeviceType D>
Saved OneSweep<D>::forward(const Problem& p, const Tensor& out, bool save) {
  if (p.is_empty() || p.degree == 1) return TwoPass<D>::forward(p, out, save);
  Saved saved;
  saved.horner = Tensor::empty({1, p.q.dim(0), p.heads, p.q.dim(1), p.head_size}, p.dtype, p.q.device());
  saved.lse = Tensor::empty({p.q.dim(0), p.heads, p.q.dim(1)}, DType::f32, p.q.device());
  saved.out = out;
  dispatch_gpu("attention", p.dtype, [&](auto t) { sweep_rows<decltype(t)>(p, out, saved.horner, saved.lse); });
  return save ? saved : Saved{};
}

template <DeviceType D>
void OneSweep<D>::backward(const Problem& p, const Saved& saved, const Tensor& dout, const Gradients& to) {
  if (p.is_empty()) {
    to.clear();
    return;
  }
  dispatch_gpu("attention", p.dtype, [&](auto t) { sweep_backward<decltype(t)>(p, saved, dout, to); });
}

template struct OneSweep<GFSA_DEVICE_TYPE>;

}  // namespace gfsa::kernels
