#include "ops/gemm_few_rows.h"

#include <algorithm>
#include <vector>

#include "base/threads.h"
#include "core/cpu/simd.h"
#include "core/tensor.h"

namespace gfsa {
namespace {

// Up to here faster than gemm_blocked.h, measured with the weights of GPT-2 (124M).
constexpr int64_t kMostRows = 64, kMostRowsOfDots = 16;
constexpr int64_t kWorthATeam = 1 << 15;  // elements of B
constexpr int64_t kDepth = 8;    // rows of B [k, n] at a time: so often is an element of C loaded and stored less
constexpr int64_t kTile = 64;    // columns of these: all that a tile of f32 needs stays in the first cache
constexpr int64_t kStrip = 256;  // columns for which all k are done: their sums stay there, too
constexpr int64_t kLine = 64;    // bytes

// A as f32 [m, k], sums [m, n] with C's or their own row step.
template <class T>
struct Product {
  int64_t m, n, k;
  const float* a;
  int64_t a_step;
  const T* b;
  int64_t b_step;
  float* sums;
  int64_t sums_step;
};

// sums[j] += the sum over i < kDepth of a[i] b[i][j].
template <class T>
inline void add_rows(const float* a, const T* b, int64_t step, float* sums, int64_t columns) {
  const float a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3], a4 = a[4], a5 = a[5], a6 = a[6], a7 = a[7];
  const T *b0 = b, *b1 = b0 + step, *b2 = b1 + step, *b3 = b2 + step, *b4 = b3 + step, *b5 = b4 + step, *b6 = b5 + step,
          *b7 = b6 + step;
#pragma omp simd
  for (int64_t j = 0; j < columns; ++j) {
    float sum = sums[j];
    sum += a0 * static_cast<float>(b0[j]);
    sum += a1 * static_cast<float>(b1[j]);
    sum += a2 * static_cast<float>(b2[j]);
    sum += a3 * static_cast<float>(b3[j]);
    sum += a4 * static_cast<float>(b4[j]);
    sum += a5 * static_cast<float>(b5[j]);
    sum += a6 * static_cast<float>(b6[j]);
    sum += a7 * static_cast<float>(b7[j]);
    sums[j] = sum;
  }
}

// B is stored [k, n]. Its rows are far apart, and of each only a strip is read before the next one: the processor does
// not see that coming.
template <class T>
void columns_by_row(const Product<T>& p, int64_t begin, int64_t end) {
  alignas(kLine) float wide[kDepth * kTile];
  for (int64_t strip = begin; strip < end; strip += kStrip) {
    for (int64_t k = 0; k < p.k; k += kDepth) {
      const int64_t depth = std::min(kDepth, p.k - k), next = std::min(kDepth, p.k - k - depth);
      for (int64_t j = strip; j < std::min(strip + kStrip, end); j += kTile) {
        const int64_t columns = std::min(kTile, end - j);
        const T* const b = p.b + k * p.b_step + j;
        for (int64_t i = 0; i < next; ++i) {
          const char* const row = reinterpret_cast<const char*>(b + (kDepth + i) * p.b_step);
          for (int64_t at = 0; at < columns * static_cast<int64_t>(sizeof(T)); at += kLine)
            __builtin_prefetch(row + at);
        }
        const float* const a = p.a + k;
        float* const sums = p.sums + j;
        if (depth < kDepth) {
          for (int64_t i = 0; i < depth; ++i) {
            for (int64_t r = 0; r < p.m; ++r) {
              const float x = a[r * p.a_step + i];
              float* const to = sums + r * p.sums_step;
#pragma omp simd
              for (int64_t c = 0; c < columns; ++c) to[c] += x * static_cast<float>(b[i * p.b_step + c]);
            }
          }
        } else if (p.m > 1 && sizeof(T) < sizeof(float)) {
          for (int64_t i = 0; i < kDepth; ++i) {
#pragma omp simd
            for (int64_t c = 0; c < columns; ++c) wide[i * kTile + c] = static_cast<float>(b[i * p.b_step + c]);
          }
          for (int64_t r = 0; r < p.m; ++r) add_rows(a + r * p.a_step, wide, kTile, sums + r * p.sums_step, columns);
        } else {
          for (int64_t r = 0; r < p.m; ++r) add_rows(a + r * p.a_step, b, p.b_step, sums + r * p.sums_step, columns);
        }
      }
    }
  }
}

// B is stored [n, k]: kRows rows of A with four of its rows, which are those from j on.
template <int kRows, class T, class B>
inline void dots(const Product<T>& p, int64_t r, int64_t j, const B* b0, int64_t step) {
  const float *a0 = p.a + r * p.a_step, *a1 = a0 + (kRows - 1) * p.a_step;
  const B *b1 = b0 + step, *b2 = b1 + step, *b3 = b2 + step;
  float s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
#pragma omp simd reduction(+ : s00, s01, s02, s03, s10, s11, s12, s13)
  for (int64_t i = 0; i < p.k; ++i) {
    const float x0 = static_cast<float>(b0[i]), x1 = static_cast<float>(b1[i]), x2 = static_cast<float>(b2[i]),
                x3 = static_cast<float>(b3[i]);
    s00 += a0[i] * x0, s01 += a0[i] * x1, s02 += a0[i] * x2, s03 += a0[i] * x3;
    if constexpr (kRows == 2) s10 += a1[i] * x0, s11 += a1[i] * x1, s12 += a1[i] * x2, s13 += a1[i] * x3;
  }
  float* const to = p.sums + r * p.sums_step + j;
  to[0] += s00, to[1] += s01, to[2] += s02, to[3] += s03;
  if constexpr (kRows == 2) {
    float* const below = to + p.sums_step;
    below[0] += s10, below[1] += s11, below[2] += s12, below[3] += s13;
  }
}

template <class T>
void columns_by_dots(const Product<T>& p, int64_t begin, int64_t end) {
  const bool widens = sizeof(T) < sizeof(float) && p.m > 2;  // else each of its elements is read once or twice
  std::vector<float> wide(static_cast<size_t>(widens ? 4 * p.k : 0));
  float* const four = wide.data();
  const auto all_rows = [&](int64_t j, const auto* b, int64_t step) {
    int64_t r = 0;
    for (; r + 2 <= p.m; r += 2) dots<2>(p, r, j, b, step);
    if (r < p.m) dots<1>(p, r, j, b, step);
  };
  int64_t j = begin;
  for (; j + 4 <= end; j += 4) {
    const T* const b = p.b + j * p.b_step;
    if (!widens) {
      all_rows(j, b, p.b_step);
      continue;
    }
    for (int64_t i = 0; i < 4; ++i) {
#pragma omp simd
      for (int64_t c = 0; c < p.k; ++c) four[i * p.k + c] = static_cast<float>(b[i * p.b_step + c]);
    }
    all_rows(j, four, p.k);
  }
  for (; j < end; ++j) {
    const T* const b = p.b + j * p.b_step;
    for (int64_t r = 0; r < p.m; ++r) {
      const float* const a = p.a + r * p.a_step;
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t i = 0; i < p.k; ++i) sum += a[i] * static_cast<float>(b[i]);
      p.sums[r * p.sums_step + j] += sum;
    }
  }
}

// What the sums start from, and what becomes of them.
template <class C>
void start(const Gemm& g, const C* c, const float* bias, float* sums, int64_t step, int64_t begin, int64_t end) {
  for (int64_t r = 0; r < g.m; ++r) {
#pragma omp simd
    for (int64_t j = begin; j < end; ++j)
      sums[r * step + j] = (g.accumulate ? static_cast<float>(c[r * g.ldc + j]) : 0.0f) + (g.bias ? bias[j] : 0.0f);
  }
}

template <class T, class C>
void multiply(const Gemm& g, const T* a, const T* b, C* c, const float* bias) {
  Product<T> p{g.m, g.n, g.k, nullptr, g.lda, b, g.ldb, nullptr, g.ldc};
  Tensor wide_a, sums;
  if constexpr (std::is_same_v<T, float>) {
    p.a = a;
  } else {
    wide_a = Tensor::empty({g.m, g.k}, DType::f32);
    float* const to = wide_a.data<float>();
    for (int64_t r = 0; r < g.m; ++r) {
      for (int64_t i = 0; i < g.k; ++i) to[r * g.k + i] = static_cast<float>(a[r * g.lda + i]);
    }
    p.a = to, p.a_step = g.k;
  }
  if constexpr (std::is_same_v<C, float>) {
    p.sums = c;
  } else {
    sums = Tensor::empty({g.m, g.n}, DType::f32);
    p.sums = sums.data<float>(), p.sums_step = g.n;
  }
  const int64_t tiles = (g.n + kTile - 1) / kTile;
  parallel_for(tiles, std::max<int64_t>(1, kWorthATeam / (kTile * g.k)), [&](int64_t first, int64_t last) {
    const int64_t begin = first * kTile, end = std::min(g.n, last * kTile);
    simd::run([&] {
      start(g, c, bias, p.sums, p.sums_step, begin, end);
      if (g.transpose_b) {
        columns_by_dots(p, begin, end);
      } else {
        columns_by_row(p, begin, end);
      }
      if constexpr (!std::is_same_v<C, float>) {
        for (int64_t r = 0; r < g.m; ++r) {
#pragma omp simd
          for (int64_t j = begin; j < end; ++j) c[r * g.ldc + j] = C(p.sums[r * p.sums_step + j]);
        }
      }
    });
  });
}

}  // namespace

bool has_few_rows(const Gemm& g) {
  return g.a_type != DType::f64 && !g.transpose_a && g.m <= (g.transpose_b ? kMostRowsOfDots : kMostRows) &&
         g.n >= kTile && g.k >= kTile && g.n * g.k >= kWorthATeam && omp_in_parallel() == 0;
}

void gemm_few_rows(const Gemm& g, const void* a, const void* b, void* c, const void* bias) {
  const auto* const add = static_cast<const float*>(bias);
  if (g.a_type == DType::f32) {
    multiply(g, static_cast<const float*>(a), static_cast<const float*>(b), static_cast<float*>(c), add);
  } else if (g.c_type == DType::f32) {
    multiply(g, static_cast<const bfloat16*>(a), static_cast<const bfloat16*>(b), static_cast<float*>(c), add);
  } else {
    multiply(g, static_cast<const bfloat16*>(a), static_cast<const bfloat16*>(b), static_cast<bfloat16*>(c), add);
  }
}

}  // namespace gfsa
