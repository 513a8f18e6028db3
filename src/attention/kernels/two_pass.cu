// The two-pass form on GPUs: which passes there are. The passes themselves: cuda/pass_kernels.h.
#include <algorithm>

#include "attention/kernels/cuda/gradient_sums.h"
#include "attention/kernels/cuda/pass.h"
#include "attention/kernels/cuda/visible_mean.h"
#include "attention/kernels/kernels.h"
#include "core/dispatch.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

using kernels::Gradients;
using kernels::Problem;
using kernels::Saved;

constexpr int kTermWarps = 4, kTermRows = 64;  // of a block of RowTerms

// r_i = sum_j (M o dM)_ij = sum over t < k of D_t[i] . (M T_{t+1})[i], where M T_{t+1} = T_t - c_t V and T_0 = out
// (less its mean term). And per block of rows the parts of dc_t = sum D_t o V and dcu = sum G o U V.
template <class T>
struct RowTerms {
  static constexpr const char* kName = "attention_row_terms";
  static constexpr int kMaxThreads = 32 * kTermWarps;
  GFSA_DEVICE void operator()(Scores all, Chain<const T> left, Chain<const T> right, HeadView<const T> out,
                              Global<const float> mean, bool one_mean, Global<float> terms, Global<float> parts) const {
    GFSA_SHARED(float, sums, kTermRows);
    GFSA_SHARED(float, dots, 2 * kTermWarps);
    const int chunks = (all.rows + kTermRows - 1) / kTermRows, k = all.degree, size = all.head_size;
    const int chunk = static_cast<int>(block_x()) % chunks, head = static_cast<int>(block_x()) / chunks;
    const int b = head / all.heads, h = head % all.heads, first = chunk * kTermRows;
    const Scores c = all.of(b);
    // Of a sequence that is shorter than others, maybe none: its parts are zeros.
    const int count = first + kTermRows < c.rows ? kTermRows : c.rows - first;
    const bool wants_parts = parts != nullptr;
    const float cu = mean == nullptr ? 0.0f : c.c(h, -1);
    const bool reads_mean = mean != nullptr && (wants_parts || cu != 0);
    const Rows<const T> values = right.alone.rows(c, b, h), outs = out.rows(c, b, h);
    for (int t = 0; t < (wants_parts ? k + 1 : k); ++t) {
      const float ct = c.c(h, t);
      const Rows<const T> gs = left.rows(c, t, b, h), ts = right.rows(c, t > 0 && t < k ? t - 1 : k - 1, b, h);
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
            const float m = load(mean, (one_mean ? head : c.head_row(b, h) + i) * size + d);
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
    if (terms != nullptr && row < count) store(terms, c.head_row(b, h) + first + row, load(sums, row));
  }
};

// T_1 .. T_{k-1} or D_1 .. one after the other: [links, B, H, rows, D], packed [links, 1, H, N, D].
template <class T>
HeadView<T> link_of(const Tensor& all, const Problem& p, int64_t index) {
  const int64_t head = all.dim(3) * p.head_size, batch_step = all.dim(1) > 1 ? p.heads * head : 0;
  return view_at<T>(all.data<std::remove_const_t<T>>() + index * (all.dim(1) * p.heads * head), batch_step, head,
                    p.head_size, p.head_size);
}
template <class T>
Chain<const T> chain_of(const HeadView<const T>& alone, int64_t alone_at, const Tensor& others, const Problem& p) {
  Chain<const T> chain{.alone = alone, .alone_at = static_cast<int>(alone_at), .others = {}};
  if (!others) return chain;
  chain.others = link_of<const T>(others, p, 0);
  chain.between = others.numel() / others.dim(0);
  return chain;
}

template <class T>
void run_forward(const Problem& p, const Tensor& out, const Tensor& horner, const Tensor& lse) {
  const int64_t size = p.head_size, k = p.degree;
  ApplyArguments<T> a;
  a.scores = scores_of(p);
  a.own = view_of<const T>(p.q, size);
  a.other = view_of<const T>(p.k, size);
  if (lse) a.lse = lse.data<float>();
  const HeadView<const T> values = view_of<const T>(p.v, size);
  VisibleMean mean;
  for (int64_t pass = k - 1; pass >= 0; --pass) {
    const bool first = pass == k - 1;
    a.x = first ? values : link_of<const T>(horner, p, pass);
    a.y = pass == 0 ? view_of<T>(out, size) : link_of<T>(horner, p, pass - 1);
    a.factor_at = first ? static_cast<int>(k) : 0;
    a.terms = {.alone = values, .alone_at = static_cast<int>(pass), .others = {}};
    a.first_term = static_cast<int>(pass);
    a.end_term = p.device_coefficients ? a.first_term + 1 : a.first_term;
    if (pass == 0 && p.device_coefficients) {
      mean = visible_mean(p, p.v, false, true);
      a.mean = static_cast<const float*>(mean.values.data<float>());
      a.one_mean = mean.one;
    }
    with_columns(size, [&](auto columns) { Passes<T, columns>::apply(a, first, p.batch); });
  }
}

template <class T>
class Backward {
 public:
  Backward(const Problem& p, const Saved& saved, const Tensor& dout, const Gradients& to)
      : p_(p),
        saved_(saved),
        dout_(dout),
        to_(to),
        scores_(to.q.tensor || to.k.tensor || to.bias.tensor),
        // D_1 .. as far as somebody reads them.
        kept_(to.device_coefficients ? p.degree : p.degree - 1) {
    if (kept_ > 0) d_ = Tensor::empty({kept_, p.k.dim(0), p.heads, p.k.dim(1), p.head_size}, p.dtype, p.q.device());
    left_ = chain_of<T>(view_of<const T>(dout, p.head_size), 0, d_, p);
    right_ = chain_of<T>(view_of<const T>(p.v, p.head_size), p.degree - 1, saved.horner, p);
  }

  void run() {
    sweeps();
    if (!scores_ && !to_.device_coefficients) return;
    row_terms();
    if (to_.q.tensor) gradient(false, to_.q);
    if (to_.k.tensor) gradient(true, to_.k);
    if (to_.bias.tensor) bias_gradient();
  }

 private:
  // D_{j+1} = M^T D_j, and dV with the last of them.
  void sweeps() {
    const int64_t size = p_.head_size, k = p_.degree, last = to_.v.tensor ? k : kept_;
    ApplyArguments<T> a;
    a.scores = scores_of(p_);
    a.own_is_key = true;
    a.own = view_of<const T>(p_.k, size);
    a.other = view_of<const T>(p_.q, size);
    a.lse = saved_.lse.data<float>();
    a.terms = left_;
    a.factor_at = static_cast<int>(k);
    VisibleMean mean;
    for (int64_t j = 0; j < last; ++j) {
      a.x = j == 0 ? left_.alone : link_of<const T>(d_, p_, j - 1);
      a.raw = j < kept_ ? link_of<T>(d_, p_, j) : HeadView<T>();
      if (j == k - 1 && to_.v.tensor) {
        a.y = view_of<T>(to_.v.tensor, size);
        a.accumulate = to_.v.accumulate;
        if (p_.device_coefficients) {
          a.end_term = static_cast<int>(k);
          mean = visible_mean(p_, dout_, true, true);
          a.mean = static_cast<const float*>(mean.values.data<float>());
          a.one_mean = mean.one;
        }
      }
      with_columns(size, [&](auto columns) { Passes<T, columns>::apply(a, false, p_.batch); });
    }
  }

  void row_terms() {
    const Device device = p_.q.device();
    const int64_t chunks = (p_.rows + kTermRows - 1) / kTermRows, row = p_.degree + 2;
    Tensor parts;
    VisibleMean mean;
    Global<const float> means{};
    terms_ = Tensor::empty({p_.q.dim(0), p_.heads, p_.q.dim(1)}, DType::f32, device);
    if (to_.device_coefficients) parts = Tensor::empty({p_.batch, p_.heads, row, chunks}, DType::f32, device);
    if (p_.device_coefficients) {
      mean = visible_mean(p_, p_.v, false, !to_.device_coefficients);
      means = static_cast<const float*>(mean.values.data<float>());
    }
    launch(RowTerms<T>{},
           {.grid = {static_cast<uint32_t>(chunks * p_.batch * p_.heads)},
            .block = {32 * kTermWarps},
            .op = "attention backward"},
           scores_of(p_), left_, right_, view_of<const T>(saved_.out, p_.head_size), means, mean.one,
           terms_.data<float>(), parts ? parts.data<float>() : nullptr);
    if (!parts) return;
    sum_coefficient_parts(parts, to_.device_coefficients);
  }

  GradientArguments<T> arguments(bool own_is_key) const {
    GradientArguments<T> a;
    const HeadView<const T> q = view_of<const T>(p_.q, p_.head_size), k = view_of<const T>(p_.k, p_.head_size);
    a.scores = scores_of(p_);
    a.own_is_key = own_is_key;
    a.own = own_is_key ? k : q;
    a.other = own_is_key ? q : k;
    a.own_chain = own_is_key ? right_ : left_;
    a.other_chain = own_is_key ? left_ : right_;
    a.lse = static_cast<const float*>(saved_.lse.data<float>());
    a.row_terms = static_cast<const float*>(terms_.data<float>());
    return a;
  }
  void gradient(bool own_is_key, const kernels::Target& target) const {
    GradientArguments<T> a = arguments(own_is_key);
    a.y = view_of<T>(target.tensor, p_.head_size);
    a.accumulate = target.accumulate;
    with_columns(p_.head_size, [&](auto columns) { Passes<T, columns>::gradient(a, p_.batch); });
  }

  // Heads that share a slice are cut into groups, each of which adds up in a copy of its own: as many as make about
  // kBlocks blocks. Their number depends on nothing but the shapes, and so do the bits.
  void bias_gradient() const {
    constexpr int64_t kBlocks = 1024, kTile = 64 * 32;
    const Tensor& target = to_.bias.tensor;
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

  const Problem& p_;
  const Saved& saved_;
  const Tensor& dout_;
  const Gradients& to_;
  bool scores_;
  int64_t kept_;
  Tensor d_, terms_;
  Chain<const T> left_, right_;  // D_0, D_1, ...; T_1, ..., V
};

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa::kernels {
using namespace GFSA_DEVICE_NAMESPACE;

template <DeviceType D>
Saved TwoPass<D>::forward(const Problem& p, const Tensor& out, bool save) {
  Saved saved;
  if (p.is_empty()) {
    out.fill(0);
    return saved;
  }
  const Device device = p.q.device();
  if (p.degree > 1)
    saved.horner = Tensor::empty({p.degree - 1, p.q.dim(0), p.heads, p.q.dim(1), p.head_size}, p.dtype, device);
  if (p.degree > 1 || save) saved.lse = Tensor::empty({p.q.dim(0), p.heads, p.q.dim(1)}, DType::f32, device);
  if (save) saved.out = out;
  dispatch_gpu("attention", p.dtype, [&](auto t) { run_forward<decltype(t)>(p, out, saved.horner, saved.lse); });
  return save ? saved : Saved{};
}

template <DeviceType D>
void TwoPass<D>::backward(const Problem& p, const Saved& saved, const Tensor& dout, const Gradients& to) {
  if (p.is_empty()) {
    to.clear();
    return;
  }
  dispatch_gpu("attention", p.dtype,
               [&](auto t) { GFSA_DEVICE_NAMESPACE::Backward<decltype(t)>(p, saved, dout, to).run(); });
}

template struct TwoPass<GFSA_DEVICE_TYPE>;

}  // namespace gfsa::kernels
