// backward.h -- what the forms made of tiles share in backward on a GPU: the chains D_0, D_1, ... and T_1, ..., V in
// memory, and what is left to do once the chains are finished.
#pragma once

#include "attention/kernels/cuda/pass.h"
#include "attention/kernels/cuda/visible_mean.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

// T_1 .. T_{k-1} or D_1 .. one after the other: [links, B, H, rows, D], packed [links, 1, H, N, D].
template <class T>
HeadView<T> link_of(const Tensor& all, const kernels::Problem& p, int64_t index) {
  const int64_t head = all.dim(3) * p.head_size, batch_step = all.dim(1) > 1 ? p.heads * head : p.head_size;
  return view_at<T>(all.data<std::remove_const_t<T>>() + index * (all.dim(1) * p.heads * head), batch_step, head,
                    p.head_size, p.head_size);
}
template <class T>
Chain<const T> chain_of(const HeadView<const T>& alone, int64_t alone_at, const Tensor& others,
                        const kernels::Problem& p) {
  Chain<const T> chain{.alone = alone, .alone_at = static_cast<int>(alone_at), .others = {}};
  if (!others) return chain;
  chain.others = link_of<const T>(others, p, 0);
  chain.between = others.numel() / others.dim(0);
  return chain;
}

// One call's chains, in whose memory a form writes D_1, ... before it asks for the gradients.
template <class T>
class ChainGradients {
 public:
  ChainGradients(const kernels::Problem& p, const kernels::Saved& saved, const Tensor& dout,
                 const kernels::Gradients& to);

  const Chain<const T>& left() const { return left_; }    // D_0 = dout, D_1, ...
  const Chain<const T>& right() const { return right_; }  // T_1, ..., V
  // D_1 .. D_kept are written, as far as somebody reads them.
  int64_t kept() const { return kept_; }
  HeadView<const T> d(int64_t j) const { return j == 0 ? left_.alone : link_of<const T>(d_, p_, j - 1); }
  HeadView<T> d_to_write(int64_t j) const { return j <= kept_ ? link_of<T>(d_, p_, j - 1) : HeadView<T>(); }
  bool wants_scores() const { return to_.q.tensor || to_.k.tensor || to_.bias.tensor; }
  const float* row_terms() const { return terms_ ? terms_.template data<float>() : nullptr; }
  // Of V, for sum_rows(); empty where nobody asks for it.
  VisibleMean mean() const;

  // r_i for rows of the span, all of whose D_j are finished; with `coefficients` dc too, and the span is all rows.
  void sum_rows(const Span& span, const VisibleMean& mean, bool coefficients);
  // dQ, dK and dbias, if they are wanted, once all r_i are known.
  void queries() const { gradient(false, to_.q); }
  void keys() const { gradient(true, to_.k); }
  // dK and the last pass, M^T D_{k-1}, in one; where there is such a kernel.
  bool has_keys_and_values() const;
  void keys_and_values(const Finish<T>& values) const;
  void bias() const;

 private:
  GradientArguments<T> arguments(bool own_is_key) const;
  GradientArguments<T> arguments(bool own_is_key, const kernels::Target& target) const;
  void gradient(bool own_is_key, const kernels::Target& target) const;

  const kernels::Problem& p_;
  const kernels::Saved& saved_;
  const kernels::Gradients& to_;
  int64_t kept_;
  Tensor d_, terms_;
  Chain<const T> left_, right_;
};

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
