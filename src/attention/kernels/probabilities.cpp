#include "attention/kernels/probabilities.h"

#include <cmath>
#include <limits>

#include "core/cpu/math.h"
#include "core/cpu/simd.h"
#include "ops/dropout.h"
#include "ops/gemm.h"

namespace gfsa::kernels {
namespace {

constexpr int64_t kVector = 16;  // rows are padded to whole vectors of it (row_step)

// s[0..n) = softmax(scale s + bias) over the kept keys; zeros up to the next multiple of kVector, so that the
// exponentials run in whole vectors.
template <class A>
void softmax_row(A* s, int64_t n, A scale, const A* bias, const bool* keep) {
  constexpr A kHidden = -std::numeric_limits<A>::infinity();
  A maximum = kHidden;
  if (bias != nullptr) {
#pragma omp simd reduction(max : maximum)
    for (int64_t j = 0; j < n; ++j) {
      s[j] = scale * s[j] + bias[j];
      maximum = s[j] > maximum ? s[j] : maximum;
    }
  } else {
#pragma omp simd reduction(max : maximum)
    for (int64_t j = 0; j < n; ++j) {
      s[j] *= scale;
      maximum = s[j] > maximum ? s[j] : maximum;
    }
  }
  if (keep != nullptr) {
    maximum = kHidden;
#pragma omp simd reduction(max : maximum)
    for (int64_t j = 0; j < n; ++j) {
      s[j] = keep[j] ? s[j] : kHidden;
      maximum = s[j] > maximum ? s[j] : maximum;
    }
  }
  const int64_t padded = (n + kVector - 1) / kVector * kVector;
  for (int64_t j = n; j < padded; ++j) s[j] = kHidden;
  // Nothing to see: all exponentials shall be 0, and NaN scores shall stay NaN.
  if (maximum == kHidden) maximum = A(0);
  A sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < padded; ++j) {
    const A e = math::exp_nonpositive(s[j] - maximum);
    s[j] = e;
    sum += e;
  }
  const A factor = sum == A(0) ? A(0) : A(1) / sum;
#pragma omp simd
  for (int64_t j = 0; j < padded; ++j) s[j] *= factor;
}

}  // namespace

template <class T>
void probabilities(const Problem& p, const Head<T>& head, const RowBlock& block, acc_t<T>* a, int64_t ld) {
  using A = acc_t<T>;
  gemm_tile({.a_type = dtype_of<T>,
             .c_type = dtype_of<A>,
             .transpose_b = true,
             .m = block.rows,
             .n = block.width,
             .k = p.head_size,
             .lda = head.q.step,
             .ldb = head.k.step,
             .ldc = ld},
            head.q.row(block.row0), head.k.data, a);
  const A scale = static_cast<A>(p.scale);
  simd::run([&] {
    for (int64_t i = 0; i < block.rows; ++i) {
      A* s = a + i * ld;
      const int64_t row = block.row0 + i;
      const int64_t seen = p.causal ? std::min(block.width, p.past + row + 1) : block.width;
      softmax_row(s, seen, scale, head.bias == nullptr ? nullptr : head.bias + row * head.bias_step, head.keep);
      for (int64_t j = seen; j < block.width; ++j) s[j] = A(0);
    }
  });
}

template <class From, class To>
void to_operand(const Problem& p, int64_t b, int64_t h, const RowBlock& block, bool drop, const From* from, To* to,
                int64_t ld, float* mask) {
  using A = acc_t<From>;
  if (!drop) {
    simd::run([&] {
      for (int64_t i = 0; i < block.rows; ++i) {
        const From* x = from + i * ld;
        To* y = to + i * ld;
#pragma omp simd
        for (int64_t j = 0; j < block.width; ++j) y[j] = To(static_cast<A>(x[j]));
      }
    });
    return;
  }
  const A factor = static_cast<A>(1.0 / (1.0 - p.dropout));
  for (int64_t i = 0; i < block.rows; ++i) {
    const int64_t first = (h * p.rows + block.row0 + i) * p.keys;
    dropout_mask(mask, block.width, p.dropout_key, p.sample0 + static_cast<uint32_t>(b), static_cast<uint64_t>(first),
                 static_cast<float>(p.dropout));
    const From* x = from + i * ld;
    To* y = to + i * ld;
    simd::run([&] {
#pragma omp simd
      for (int64_t j = 0; j < block.width; ++j) y[j] = To(mask[j] != 0.0f ? factor * static_cast<A>(x[j]) : A(0));
    });
  }
}

template <class A, class M, class S>
void score_gradient(const RowBlock& block, const A* a, const M* m, const A* dm, S* ds, int64_t ld, A alpha, A scale,
                    A* dbias, int64_t dbias_step) {
  simd::run([&] {
    for (int64_t i = 0; i < block.rows; ++i) {
      const A *pa = a + i * ld, *pd = dm + i * ld;
      const M* pm = m + i * ld;
      S* out = ds + i * ld;
      A r = 0;
#pragma omp simd reduction(+ : r)
      for (int64_t j = 0; j < block.width; ++j) r += static_cast<A>(pm[j]) * (alpha * pd[j]);
      if (dbias == nullptr) {
#pragma omp simd
        for (int64_t j = 0; j < block.width; ++j) {
          out[j] = S(scale * (static_cast<A>(pm[j]) * (alpha * pd[j]) - r * pa[j]));
        }
        continue;
      }
      A* db = dbias + (block.row0 + i) * dbias_step;
#pragma omp simd
      for (int64_t j = 0; j < block.width; ++j) {
        const A g = static_cast<A>(pm[j]) * (alpha * pd[j]) - r * pa[j];
        db[j] += g;
        out[j] = S(scale * g);
      }
    }
  });
}

template void probabilities(const Problem&, const Head<double>&, const RowBlock&, double*, int64_t);
template void probabilities(const Problem&, const Head<float>&, const RowBlock&, float*, int64_t);
template void probabilities(const Problem&, const Head<bfloat16>&, const RowBlock&, float*, int64_t);
template void to_operand(const Problem&, int64_t, int64_t, const RowBlock&, bool, const double*, double*, int64_t,
                         float*);
template void to_operand(const Problem&, int64_t, int64_t, const RowBlock&, bool, const float*, float*, int64_t,
                         float*);
template void to_operand(const Problem&, int64_t, int64_t, const RowBlock&, bool, const float*, bfloat16*, int64_t,
                         float*);
template void score_gradient(const RowBlock&, const double*, const double*, const double*, double*, int64_t, double,
                             double, double*, int64_t);
template void score_gradient(const RowBlock&, const float*, const float*, const float*, float*, int64_t, float, float,
                             float*, int64_t);
template void score_gradient(const RowBlock&, const float*, const float*, const float*, bfloat16*, int64_t, float,
                             float, float*, int64_t);
template void score_gradient(const RowBlock&, const float*, const bfloat16*, const float*, bfloat16*, int64_t, float,
                             float, float*, int64_t);

}  // namespace gfsa::kernels
