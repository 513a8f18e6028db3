// visible_mean.h -- U X without U: the mean of X's rows over the keys that a query row may see, row after row, in O(n
// D).
#pragma once

#include "attention/kernels/problem.h"

namespace gfsa::kernels {

template <class T>
class VisibleMean {
 public:
  // sum: scratch of head_size elements.
  VisibleMean(const Problem& p, const Head<T>& head, acc_t<T>* sum)
      : causal_(p.causal), size_(p.head_size), head_(head), sum_(sum) {
    std::fill(sum_, sum_ + size_, acc_t<T>(0));
  }
  // y += c mean(i); i must not decrease from call to call.
  void add(int64_t i, acc_t<T> c, acc_t<T>* y) {
    advance(i);
    if (count_ == 0) return;
    const acc_t<T> f = c / static_cast<acc_t<T>>(count_);
    for (int64_t d = 0; d < size_; ++d) y[d] += f * sum_[d];
  }
  // g . mean(i)
  double dot(int64_t i, const T* g) {
    advance(i);
    if (count_ == 0) return 0;
    acc_t<T> total = 0;
    for (int64_t d = 0; d < size_; ++d) total += static_cast<acc_t<T>>(g[d]) * sum_[d];
    return static_cast<double>(total) / static_cast<double>(count_);
  }

 private:
  void advance(int64_t i) {
    const int64_t end = causal_ ? std::min(head_.width, i + 1) : head_.width;
    for (; next_ < end; ++next_) {
      if (head_.keep != nullptr && !head_.keep[next_]) continue;
      const T* v = head_.v.row(next_);
      for (int64_t d = 0; d < size_; ++d) sum_[d] += static_cast<acc_t<T>>(v[d]);
      ++count_;
    }
  }
  bool causal_;
  int64_t size_, next_ = 0, count_ = 0;
  const Head<T>& head_;
  acc_t<T>* sum_;
};

// dv[j] += c sum over the rows i that see j of g[i] / (keys that i sees): U^T G. dv: dense [keys, head_size].
template <class T>
void add_mean_gradient(const Problem& p, const Head<T>& head, acc_t<T> c, HeadRows<T> g, acc_t<T>* dv, acc_t<T>* sum) {
  using A = acc_t<T>;
  const auto kept = [&](int64_t j) { return head.keep == nullptr || head.keep[j]; };
  int64_t count = 0;
  for (int64_t j = 0; j < head.width; ++j) count += kept(j) ? 1 : 0;
  std::fill(sum, sum + p.head_size, A(0));
  const auto add_row = [&](int64_t i) {
    if (count == 0) return;
    const A f = c / static_cast<A>(count);
    for (int64_t d = 0; d < p.head_size; ++d) sum[d] += f * static_cast<A>(g.row(i)[d]);
  };
  // Causal: key j is seen by rows i >= j, so the sum grows from the last row down, while the count of keys shrinks.
  int64_t i = p.rows - 1;
  if (!p.causal) {
    for (; i >= 0; --i) add_row(i);
  }
  for (int64_t j = head.width - 1; j >= 0; --j) {
    for (; i >= j; --i) add_row(i);
    if (!kept(j)) continue;
    for (int64_t d = 0; d < p.head_size; ++d) dv[j * p.head_size + d] += sum[d];
    if (p.causal) --count;
  }
}

}  // namespace gfsa::kernels
