// The two-pass form on GPUs: which passes there are. The passes themselves: cuda/pass_kernels.h.
#include "attention/kernels/cuda/backward.h"
#include "attention/kernels/kernels.h"
#include "core/dispatch.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

using kernels::Gradients;
using kernels::Problem;
using kernels::Saved;

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
    a.to.y = pass == 0 ? view_of<T>(out, size) : link_of<T>(horner, p, pass - 1);
    a.to.factor_at = first ? static_cast<int>(k) : 0;
    a.to.terms = {.alone = values, .alone_at = static_cast<int>(pass), .others = {}};
    a.to.first_term = static_cast<int>(pass);
    a.to.end_term = p.device_coefficients ? a.to.first_term + 1 : a.to.first_term;
    if (pass == 0 && p.device_coefficients) {
      mean = visible_mean(p, p.v, false, true);
      a.to.mean = static_cast<const float*>(mean.values.data<float>());
      a.to.one_mean = mean.one;
    }
    with_columns(size, [&](auto columns) { Passes<T, columns>::apply(a, first, p.batch); });
  }
}

// D_{j+1} = M^T D_j, and dV with the last of them.
template <class T>
void sweep_chain(const Problem& p, const Saved& saved, const Tensor& dout, const Gradients& to,
                 const ChainGradients<T>& chain) {
  const int64_t size = p.head_size, k = p.degree, last = to.v.tensor ? k : chain.kept();
  ApplyArguments<T> a;
  a.scores = scores_of(p);
  a.own_is_key = true;
  a.own = view_of<const T>(p.k, size);
  a.other = view_of<const T>(p.q, size);
  a.lse = saved.lse.data<float>();
  a.to.terms = chain.left();
  a.to.factor_at = static_cast<int>(k);
  VisibleMean mean;
  for (int64_t j = 0; j < last; ++j) {
    a.x = chain.d(j);
    a.to.raw = chain.d_to_write(j + 1);
    if (j == k - 1 && to.v.tensor) {
      a.to.y = view_of<T>(to.v.tensor, size);
      a.to.accumulate = to.v.accumulate;
      if (p.device_coefficients) {
        a.to.end_term = static_cast<int>(k);
        mean = visible_mean(p, dout, true, true);
        a.to.mean = static_cast<const float*>(mean.values.data<float>());
        a.to.one_mean = mean.one;
      }
    }
    with_columns(size, [&](auto columns) { Passes<T, columns>::apply(a, false, p.batch); });
  }
}

template <class T>
void run_backward(const Problem& p, const Saved& saved, const Tensor& dout, const Gradients& to) {
  ChainGradients<T> chain(p, saved, dout, to);
  sweep_chain(p, saved, dout, to, chain);
  if (!chain.wants_scores() && !to.device_coefficients) return;
  chain.sum_rows({}, chain.mean(), to.device_coefficients.defined());
  chain.queries();
  chain.keys();
  chain.bias();
}

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
  dispatch_gpu("attention", p.dtype, [&](auto t) { run_backward<decltype(t)>(p, saved, dout, to); });
}

template struct TwoPass<GFSA_DEVICE_TYPE>;

}  // namespace gfsa::kernels
