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

// The passes of backward: D_{j+1} = M^T D_j, and dV with the last of them.
template <class T>
class KeyPasses {
 public:
  KeyPasses(const Problem& p, const Saved& saved, const Tensor& dout, const Gradients& to,
            const ChainGradients<T>& chain)
      : p_(p), to_(to), chain_(chain) {
    a_.scores = scores_of(p);
    a_.own_is_key = true;
    a_.own = view_of<const T>(p.k, p.head_size);
    a_.other = view_of<const T>(p.q, p.head_size);
    a_.lse = saved.lse.data<float>();
    a_.to.terms = chain.left();
    a_.to.factor_at = static_cast<int>(p.degree);
    if (to.v.tensor && p.device_coefficients) mean_ = visible_mean(p, dout, true, true);
  }
  // Those that somebody reads the results of, the last one among them if `last`.
  void run(bool last) {
    for (int64_t j = 0; j < p_.degree - 1; ++j) run_one(j);
    if (last && (to_.v.tensor || chain_.kept() == p_.degree)) run_one(p_.degree - 1);
  }
  // What the last one makes.
  Finish<T> values() const { return finish(p_.degree - 1); }

 private:
  Finish<T> finish(int64_t j) const {
    Finish<T> to = a_.to;
    to.raw = chain_.d_to_write(j + 1);
    if (j < p_.degree - 1 || !to_.v.tensor) return to;
    to.y = view_of<T>(to_.v.tensor, p_.head_size);
    to.accumulate = to_.v.accumulate;
    if (mean_.values) {
      to.end_term = static_cast<int>(p_.degree);
      to.mean = static_cast<const float*>(mean_.values.template data<float>());
      to.one_mean = mean_.one;
    }
    return to;
  }
  void run_one(int64_t j) {
    a_.x = chain_.d(j);
    ApplyArguments<T> a = a_;
    a.to = finish(j);
    with_columns(p_.head_size, [&](auto columns) { Passes<T, columns>::apply(a, false, p_.batch); });
  }

  const Problem& p_;
  const Gradients& to_;
  const ChainGradients<T>& chain_;
  ApplyArguments<T> a_;
  VisibleMean mean_;
};

template <class T>
void run_backward(const Problem& p, const Saved& saved, const Tensor& dout, const Gradients& to) {
  ChainGradients<T> chain(p, saved, dout, to);
  KeyPasses<T> passes(p, saved, dout, to, chain);
  const bool coefficients = to.device_coefficients.defined();
  const bool together = (to.v.tensor || coefficients) && chain.has_keys_and_values();
  passes.run(!together);
  if (!chain.wants_scores() && !coefficients) return;
  const VisibleMean mean = chain.mean();
  chain.sum_rows({}, mean, coefficients && !together);
  if (together) {
    chain.keys_and_values(passes.values());
    if (coefficients) chain.sum_rows({}, mean, true);
  } else {
    chain.keys();
  }
  chain.queries();
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
