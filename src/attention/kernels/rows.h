// rows.h -- elementwise work on small row-major matrices, between the matrix products. A is the accumulator's type.
#pragma once

#include "core/cpu/simd.h"
#include "core/dtype.h"

namespace gfsa::kernels {

// to = from, or to += from.
template <class T, class A>
void store_rows(T* to, int64_t to_step, const A* from, int64_t from_step, int64_t rows, int64_t columns,
                bool accumulate = false) {
  simd::run([&] {
    for (int64_t i = 0; i < rows; ++i) {
      T* y = to + i * to_step;
      const A* x = from + i * from_step;
      if (accumulate) {
#pragma omp simd
        for (int64_t j = 0; j < columns; ++j) y[j] = T(static_cast<A>(y[j]) + x[j]);
      } else {
#pragma omp simd
        for (int64_t j = 0; j < columns; ++j) y[j] = T(x[j]);
      }
    }
  });
}

template <class T>
void zero_rows(T* to, int64_t step, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) to[i * step + j] = T(acc_t<T>(0));
  }
}

// y = f y + c x; exact where f = 1 and c = 0 (x is not looked at) and no work where nothing changes.
template <class A, class T>
void combine_rows(A* y, int64_t y_step, A f, A c, const T* x, int64_t x_step, int64_t rows, int64_t columns) {
  if (f == A(1) && c == A(0)) return;
  simd::run([&] {
    for (int64_t i = 0; i < rows; ++i) {
      A* out = y + i * y_step;
      const T* in = x + i * x_step;
      if (c == A(0)) {
#pragma omp simd
        for (int64_t j = 0; j < columns; ++j) out[j] = f * out[j];
      } else {
#pragma omp simd
        for (int64_t j = 0; j < columns; ++j) out[j] = f * out[j] + c * static_cast<A>(in[j]);
      }
    }
  });
}

// y = c x
template <class A, class T>
void scaled_rows(A* y, int64_t y_step, A c, const T* x, int64_t x_step, int64_t rows, int64_t columns) {
  simd::run([&] {
    for (int64_t i = 0; i < rows; ++i) {
      A* out = y + i * y_step;
      const T* in = x + i * x_step;
#pragma omp simd
      for (int64_t j = 0; j < columns; ++j) out[j] = c * static_cast<A>(in[j]);
    }
  });
}

// sum of x o y: rows in the accumulator's type, their sum in double.
template <class X, class Y>
double dot_rows(const X* x, int64_t x_step, const Y* y, int64_t y_step, int64_t rows, int64_t columns) {
  using A = acc_t<X>;
  double total = 0;
  simd::run([&] {
    for (int64_t i = 0; i < rows; ++i) {
      const X* a = x + i * x_step;
      const Y* b = y + i * y_step;
      A sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t j = 0; j < columns; ++j) sum += static_cast<A>(a[j]) * static_cast<A>(b[j]);
      total += static_cast<double>(sum);
    }
  });
  return total;
}

}  // namespace gfsa::kernels
