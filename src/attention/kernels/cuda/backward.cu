#include "attention/kernels/cuda/backward.h"

#include <algorithm>

#include "attention/kernels/cuda/gradient_sums.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

constexpr int kTermWarps = 4, kTermRows = 64;  // of a block of RowTerms

// r_i = sum_j (M o dM)_ij = sum over t < k of D_t[i] . (M T_{t+1})[i], where M T_{t+1} = T_t - c_t V and T_0 = out
// (less its mean term), for rows of the span. And per block of rows the parts of dc_t = sum D_t o V and dcu = sum G o U
// V.
template <class T>
struct RowTerms {
  static constexpr const char* kName = "attention_row_terms";
  static constexpr int kMaxThreads = 32 * kTermWarps;
  GFSA_DEVICE void operator()(Scores all, Span span, Chain<const T> left, Chain<const T> right, HeadView<const T> out,
                              Global<const float> mean, bool one_mean, Global<float> terms, Global<float> parts) const {
    GFSA_SHARED(float, sums, kTermRows);
    GFSA_SHARED(float, dots, 2 * kTermWarps);
    const int chunks = (span.end_of(all.rows) - span.begin + kTermRows - 1) / kTermRows, k = all.degree,
              size = all.head_size;
    const int chunk = static_cast<int>(block_x()) % chunks, head = static_cast<int>(block_x()) / chunks;
    const int b = head / all.heads, h = head % all.heads, first = span.begin + chunk * kTermRows;
    const Scores c = all.of(b);
    // Of a sequence that is shorter than others, maybe none: its parts are zeros.
    const int end = span.end_of(c.rows), count = first + kTermRows < end ? kTermRows : end - first;
    const bool wants_parts = parts != nullptr;
    const float cu = mean == nullptr ? 0.0f : c.c(h, -1);
    const bool reads_mean = mean != nullptr && (wants_parts || cu != 0);
    const Rows<const T> values = right.alone.rows(c.first, h), outs = out.rows(c.first, h);
    for (int t = 0; t < (wants_parts ? k + 1 : k); ++t) {
      const float ct = c.c(h, t);
      const Rows<const T> gs = left.rows(t, c.first, h), ts = right.rows(t > 0 && t < k ? t - 1 : k - 1, c.first, h);
      float dot_v = 0, dot_mean = 0;
      for (int row = static_cast<int>(warp()); row < count; row += kTermWarps) {
        const int i = first + row;
        float term = 0;
        for (int d = static_cast<int>(lane()); d < size; d += 32) {
          const float g = as_float(load(gs.data, i * gs.step + d));
          float rest = 0;
          if (wants_parts || ct != 0) {
            const float v = as_float(load(values.data, i * values.step + d));
            dot_v += g * v;
            if (ct != 0) rest -= ct * v;
          }
          if (t == 0 && reads_mean) {
            const float m = load(mean, (one_mean ? head : c.head_row(c.first, h) + i) * size + d);
            dot_mean += g * m;
            rest -= cu * m;
          }
          if (t == 0) {
            rest += as_float(load(outs.data, i * outs.step + d));
          } else if (t < k) {
            rest += as_float(load(ts.data, i * ts.step + d));
          }
          term += g * rest;
        }
        if (t == k) continue;
        term = warp_sum(term);
        if (lane() == 0) store(sums, row, t == 0 ? term : load(sums, row) + term);
      }
      if (!wants_parts) continue;
      dot_v = warp_sum(dot_v);
      dot_mean = warp_sum(dot_mean);
      if (lane() == 0) {
        store(dots, warp(), dot_v);
        store(dots, kTermWarps + warp(), dot_mean);
      }
      sync_block();
      if (thread_x() == 0) {
        const int64_t part = int64_t{head} * (k + 2) * chunks + chunk;
        float all_v = 0, all_mean = 0;
        for (int w = 0; w < kTermWarps; ++w) {
          all_v += load(dots, w);
          all_mean += load(dots, kTermWarps + w);
        }
        store(parts, part + int64_t{t + 1} * chunks, all_v);
        if (t == 0) store(parts, part, all_mean);
      }
      sync_block();
    }
    sync_block();
    const int row = static_cast<int>(thread_x());
    if (terms != nullptr && row < count) store(terms, c.head_row(c.first, h) + first + row, load(sums, row));
  }
};

}  // namespace

template <class T>
ChainGradients<T>::ChainGradients(const kernels::Problem& p, const kernels::Saved& saved, const Tensor& dout,
                                  const kernels::Gradients& to)
    : p_(p), saved_(saved), to_(to), kept_(to.device_coefficients ? p.degree : p.degree - 1) {
  const Device device = p.q.device();
  if (kept_ > 0) d_ = Tensor::empty({kept_, p.k.dim(0), p.heads, p.k.dim(1), p.head_size}, p.dtype, device);
  if (wants_scores()) terms_ = Tensor::empty({p.q.dim(0), p.heads, p.q.dim(1)}, DType::f32, device);
  left_ = chain_of<T>(view_of<const T>(dout, p.head_size), 0, d_, p);
  right_ = chain_of<T>(view_of<const T>(p.v, p.head_size), p.degree - 1, saved.horner, p);
}

template <class T>
VisibleMean ChainGradients<T>::mean() const {
  if (!p_.device_coefficients || !(wants_scores() || to_.device_coefficients)) return {};
  return visible_mean(p_, p_.v, false, !to_.device_coefficients);
}

template <class T>
void ChainGradients<T>::sum_rows(const Span& span, const VisibleMean& mean, bool coefficients) {
  const int64_t chunks = (rows_of(span, p_.rows) + kTermRows - 1) / kTermRows;
  Tensor parts;
  if (coefficients) parts = Tensor::empty({p_.batch, p_.heads, p_.degree + 2, chunks}, DType::f32, p_.q.device());
  launch(RowTerms<T>{},
         {.grid = {static_cast<uint32_t>(chunks * p_.batch * p_.heads)},
          .block = {32 * kTermWarps},
          .op = "attention backward"},
         scores_of(p_), span, left_, right_, view_of<const T>(saved_.out, p_.head_size),
         mean.values ? mean.values.template data<float>() : nullptr, mean.one,
         terms_ ? terms_.template data<float>() : nullptr, parts ? parts.template data<float>() : nullptr);
  if (parts) sum_coefficient_parts(parts, to_.device_coefficients);
}

template <class T>
GradientArguments<T> ChainGradients<T>::arguments(bool own_is_key) const {
  GradientArguments<T> a;
  const HeadView<const T> q = view_of<const T>(p_.q, p_.head_size), k = view_of<const T>(p_.k, p_.head_size);
  a.scores = scores_of(p_);
  a.own_is_key = own_is_key;
  a.own = own_is_key ? k : q;
  a.other = own_is_key ? q : k;
  a.own_chain = own_is_key ? right_ : left_;
  a.other_chain = own_is_key ? left_ : right_;
  a.lse = static_cast<const float*>(saved_.lse.template data<float>());
  a.row_terms = row_terms();
  return a;
}
template <class T>
GradientArguments<T> ChainGradients<T>::arguments(bool own_is_key, const kernels::Target& target) const {
  GradientArguments<T> a = arguments(own_is_key);
  a.y = view_of<T>(target.tensor, p_.head_size);
  a.accumulate = target.accumulate;
  return a;
}
template <class T>
bool ChainGradients<T>::has_keys_and_values() const {
  bool has = false;
  if (!to_.k.tensor) return has;
  const GradientArguments<T> a = arguments(true);
  with_columns(p_.head_size, [&](auto columns) { has = Passes<T, columns>::has_keys_and_values(a); });
  return has;
}
template <class T>
void ChainGradients<T>::keys_and_values(const Finish<T>& values) const {
  const GradientArguments<T> a = arguments(true, to_.k);
  with_columns(p_.head_size, [&](auto columns) { Passes<T, columns>::keys_and_values(a, values, p_.batch); });
}
template <class T>
void ChainGradients<T>::gradient(bool own_is_key, const kernels::Target& target) const {
  if (!target.tensor) return;
  const GradientArguments<T> a = arguments(own_is_key, target);
  with_columns(p_.head_size, [&](auto columns) { Passes<T, columns>::gradient(a, p_.batch); });
}

// Heads that share a slice are cut into groups, each of which adds up in a copy of its own: as many as make about
// kBlocks blocks. Their number depends on nothing but the shapes, and so do the bits.
template <class T>
void ChainGradients<T>::bias() const {
  constexpr int64_t kBlocks = 1024, kTile = 64 * 32;
  const Tensor& target = to_.bias.tensor;
  if (!target) return;
  const int64_t slices = target.dim(0) * target.dim(1), area = p_.rows * p_.keys;
  const int64_t sharing = p_.batch * p_.heads / slices, tiles = slices * ((area + kTile - 1) / kTile);
  const int64_t groups = std::clamp<int64_t>(kBlocks / tiles, 1, sharing);
  const bool direct = groups == 1;
  const Tensor copies = direct ? target : Tensor::empty({slices, groups, area}, DType::f32, target.device());
  BiasGradientArguments<T> a;
  a.gradient = arguments(false);
  a.to = copies.data<float>();
  a.batch = static_cast<int>(p_.batch);
  a.bias_batch = static_cast<int>(target.dim(0));
  a.bias_heads = static_cast<int>(target.dim(1));
  a.groups = static_cast<int>(groups);
  a.accumulate = direct && to_.bias.accumulate;
  with_columns(p_.head_size, [&](auto columns) { Passes<T, columns>::bias_gradient(a); });
  if (direct) return;
  sum_bias_groups(copies, target, to_.bias.accumulate);
}
template class ChainGradients<float>;
template class ChainGradients<bfloat16>;

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
