#include "attention/kernels/decode.h"

#include <limits>

#include "attention/kernels/probabilities.h"
#include "attention/kernels/rows.h"
#include "attention/kernels/tasks.h"
#include "core/cpu/math.h"
#include "core/dispatch.h"
#include "ops/gemm.h"

namespace gfsa::kernels {
namespace {

constexpr int64_t kVector = 16;
constexpr int64_t kBlockRows = 64;  // of a prompt
// From here on products are faster than walks. (A single row would be about as fast as a product, but each length of
// the cache would be another shape for gemm to prepare and keep.)
constexpr int64_t kFewestRows = 4;

// s[j] = scale q . k_j for j < n.
template <class T, class A = acc_t<T>>
void dot_keys(const T* q, const T* keys, int64_t n, int64_t size, A scale, A* s) {
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) {
    const T *k0 = keys + j * size, *k1 = k0 + size, *k2 = k1 + size, *k3 = k2 + size;
    A s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
    for (int64_t d = 0; d < size; ++d) {
      const A x = static_cast<A>(q[d]);
      s0 += x * static_cast<A>(k0[d]);
      s1 += x * static_cast<A>(k1[d]);
      s2 += x * static_cast<A>(k2[d]);
      s3 += x * static_cast<A>(k3[d]);
    }
    s[j] = scale * s0, s[j + 1] = scale * s1, s[j + 2] = scale * s2, s[j + 3] = scale * s3;
  }
  for (; j < n; ++j) {
    A sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t d = 0; d < size; ++d) sum += static_cast<A>(q[d]) * static_cast<A>(keys[j * size + d]);
    s[j] = scale * sum;
  }
}

// s = softmax(s), n of them; room for whole vectors. Rounded to T as where matrices are multiplied.
template <class T, class A = acc_t<T>>
void softmax(A* s, int64_t n) {
  A maximum = -std::numeric_limits<A>::infinity();
#pragma omp simd reduction(max : maximum)
  for (int64_t j = 0; j < n; ++j) maximum = s[j] > maximum ? s[j] : maximum;
  if (maximum == -std::numeric_limits<A>::infinity()) maximum = 0;  // NaN stays NaN
  const int64_t padded = round_up(n, kVector);
  for (int64_t j = n; j < padded; ++j) s[j] = -std::numeric_limits<A>::infinity();
  A sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < padded; ++j) {
    s[j] = math::exp_nonpositive(s[j] - maximum);
    sum += s[j];
  }
  const A factor = A(1) / sum;
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) s[j] = static_cast<A>(T(factor * s[j]));
}

// acc[c] = sum over j < n of p[j] x[j][c].
template <class T, class A = acc_t<T>>
void weighted_sum(const A* p, const T* x, int64_t n, int64_t columns, A* acc) {
  std::fill(acc, acc + columns, A(0));
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) {
    const T *x0 = x + j * columns, *x1 = x0 + columns, *x2 = x1 + columns, *x3 = x2 + columns;
    const A p0 = p[j], p1 = p[j + 1], p2 = p[j + 2], p3 = p[j + 3];
#pragma omp simd
    for (int64_t c = 0; c < columns; ++c) {
      acc[c] += (p0 * static_cast<A>(x0[c]) + p1 * static_cast<A>(x1[c])) +
                (p2 * static_cast<A>(x2[c]) + p3 * static_cast<A>(x3[c]));
    }
  }
  for (; j < n; ++j) {
#pragma omp simd
    for (int64_t c = 0; c < columns; ++c) acc[c] += p[j] * static_cast<A>(x[j * columns + c]);
  }
}

template <class T>
class Decode {
  using A = acc_t<T>;

 public:
  Decode(const Step& step, const Tensor& out)
      : step_(step),
        out_(out),
        size_(step.p.head_size),
        columns_(step.p.degree * step.p.head_size),
        capacity_(step.keys.dim(2)) {
    int64_t longest = 0, rows = 1;
    for (size_t b = 0; b < step.before.size(); ++b) {
      longest = std::max(longest, step.before[b] + step.counts[b]);
      if (step.counts[b] >= kFewestRows) rows = kBlockRows;
    }
    ld_ = row_step(longest);
    a_ = layout_.add<A>(rows * ld_);
    m_ = std::is_same_v<T, A> ? a_ : layout_.add<T>(rows * ld_);
    acc_ = layout_.add<A>(std::max(columns_, rows * size_));
    row_ = layout_.add<A>(size_);
  }
  const ScratchLayout& layout() const { return layout_; }

  void run(int64_t task, const Scratch& s) const {
    const Problem& p = step_.p;
    const auto b = task / p.heads, h = task % p.heads;
    const int64_t before = step_.before[static_cast<size_t>(b)], count = step_.counts[static_cast<size_t>(b)];
    append(task, b, h, before, count);
    const HeadRows<T> y = head_rows<T>(out_, b, h, size_);
    zero_rows(y.row(count), y.step, p.rows - count, size_);
    if (count >= kFewestRows) {
      for (int64_t i = 0; i < count; i += kBlockRows) block(task, before, i, std::min(kBlockRows, count - i), s);
    } else {
      for (int64_t i = 0; i < count; ++i) row(task, before, i, s);
    }
  }

 private:
  T* keys(int64_t task) const { return step_.keys.template data<T>() + task * capacity_ * size_; }
  T* values(int64_t task, int64_t t) const {
    return step_.values.template data<T>() + (task * capacity_ + t) * columns_;
  }

  void append(int64_t task, int64_t b, int64_t h, int64_t before, int64_t count) const {
    const HeadRows<T> k = head_rows<T>(step_.p.k, b, h, size_), v = head_rows<T>(step_.p.v, b, h, size_);
    for (int64_t i = 0; i < count; ++i) {
      std::copy_n(k.row(i), size_, keys(task) + (before + i) * size_);
      std::copy_n(v.row(i), size_, values(task, before + i));
    }
  }

  // What is left when `last`, row t of A^k V, and all of the cache's row t are known; sums become those up to row t.
  void finish(int64_t task, int64_t t, const A* last, T* y, A* sum) const {
    const Problem& p = step_.p;
    const int64_t h = task % p.heads;
    const T* const x = values(task, t);
    A* const sums = step_.sums.template data<A>() + task * size_;
    const A cu = static_cast<A>(p.uniform(h) / static_cast<double>(t + 1)), c0 = static_cast<A>(p.c(h, 0)),
            ck = static_cast<A>(p.c(h, p.degree));
    simd::run([&] {
#pragma omp simd
      for (int64_t d = 0; d < size_; ++d) {
        const A v = static_cast<A>(x[d]);
        sums[d] += v;
        sum[d] = ck * last[d];
        if (c0 != A(0)) sum[d] += c0 * v;
        if (cu != A(0)) sum[d] += cu * sums[d];
      }
    });
    for (int64_t j = 1; j < p.degree; ++j) {
      combine_rows(sum, size_, A(1), static_cast<A>(p.c(h, j)), x + j * size_, size_, 1, size_);
    }
    store_rows(y, size_, sum, size_, 1, size_);
  }

  void row(int64_t task, int64_t before, int64_t i, const Scratch& s) const {
    const Problem& p = step_.p;
    const int64_t t = before + i, b = task / p.heads, h = task % p.heads;
    A *const a = s.at<A>(a_), *const acc = s.at<A>(acc_);
    T* const own = values(task, t);
    simd::run([&] {
      dot_keys(head_rows<T>(p.q, b, h, size_).row(i), keys(task), t + 1, size_, static_cast<A>(p.scale), a);
      softmax<T>(a, t + 1);
      weighted_sum(a, values(task, 0), t, columns_, acc);
      for (int64_t j = 0; j < p.degree; ++j) {
        A* const y = acc + j * size_;
#pragma omp simd
        for (int64_t d = 0; d < size_; ++d) y[d] += a[t] * static_cast<A>(own[j * size_ + d]);
        if (j + 1 == p.degree) break;
#pragma omp simd
        for (int64_t d = 0; d < size_; ++d) own[(j + 1) * size_ + d] = T(y[d]);
      }
    });
    finish(task, t, acc + columns_ - size_, head_rows<T>(out_, b, h, size_).row(i), s.at<A>(row_));
  }

  void block(int64_t task, int64_t before, int64_t first, int64_t rows, const Scratch& s) const {
    Problem p = step_.p;
    p.causal = true;
    p.past = before;
    p.keys = before + first + rows;
    p.width.assign(static_cast<size_t>(p.batch), p.keys);
    Head<T> head(p, task / p.heads, task % p.heads);
    head.k = {keys(task), size_};
    const RowBlock block{first, rows, p.keys};
    A *const a = s.at<A>(a_), *const acc = s.at<A>(acc_);
    T* const m = s.at<T>(m_);
    probabilities(p, head, block, a, ld_);
    if constexpr (!std::is_same_v<T, A>) to_operand(p, head.b, head.h, block, false, a, m, ld_, nullptr);
    for (int64_t j = 0; j < p.degree; ++j) {
      gemm_tile({.a_type = dtype_of<T>,
                 .c_type = dtype_of<A>,
                 .m = rows,
                 .n = size_,
                 .k = p.keys,
                 .lda = ld_,
                 .ldb = columns_,
                 .ldc = size_},
                m, values(task, 0) + j * size_, acc);
      if (j + 1 == p.degree) break;
      store_rows(values(task, before + first) + (j + 1) * size_, columns_, acc, size_, rows, size_);
    }
    const HeadRows<T> y = head_rows<T>(out_, head.b, head.h, size_);
    for (int64_t i = 0; i < rows; ++i) {
      finish(task, before + first + i, acc + i * size_, y.row(first + i), s.at<A>(row_));
    }
  }

  const Step& step_;
  const Tensor& out_;
  int64_t size_, columns_, capacity_, ld_;
  ScratchLayout layout_;
  int64_t a_, m_, acc_, row_;
};

}  // namespace

template <>
void DecodeKernels<DeviceType::cpu>::step(const Step& step, const Tensor& out) {
  dispatch_floating("attention_step", out, [&](auto t) {
    const Decode<decltype(t)> decode(step, out);
    for_each_task(step.p.batch * step.p.heads, decode.layout(),
                  [&](int64_t task, const Scratch& scratch) { decode.run(task, scratch); });
  });
}

}  // namespace gfsa::kernels
