// pointwise.h -- the loops under elementwise ops: y[i] = f(x0[i], x1[i], ...). Every element is one thread's work, so
// results do not depend on the number of threads.
//
//   map<T, T, T>("add", Add{}, y, a, b);    // y[i] = Add{}(a[i], b[i])
//
// f is a function object that kernels can call too (ops/functions.h): the CPU inlines it into vector loops, GPUs have a
// kernel for each (f, types) that a .cu instantiates (ops/cuda/map.h).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <type_traits>

#include "base/threads.h"
#include "core/cpu/simd.h"
#include "core/dispatch.h"
#include "core/on_device.h"
#include "core/strided_loop.h"
#include "core/tensor.h"
#include "ops/pointwise_kernels.h"

namespace gfsa {

inline constexpr int64_t kPointwiseGrain = 1 << 14;

// Elements by address. In a loop under `#pragma omp simd` a bfloat16 as a temporary of the loop's own scope would be
// given a place in memory for each lane, which ends the vectorising; inside these functions it is none of the loop's
// business.
template <class T>
inline auto load(const T* x) {
  return widen(*x);
}
template <class T, class V>
inline void store(T* y, V value) {
  *y = T(value);
}

// Contiguous memory. y may be one of the inputs (not a shifted piece of one): the pragma says that no iteration reads
// what another writes, which keeps the vector loop when it is.
template <class Y, class F, class... X>
void pointwise(int64_t n, Y* y, const F& f, const X*... x) {
  parallel_for(n, kPointwiseGrain, [&](int64_t begin, int64_t end) {
    simd::run([=] {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) store(y + i, f(load(x + i)...));
    });
  });
}

// f(offsets of the operands, length) for every piece of a row in the elements [begin, end).
template <class F>
inline void for_each_row(const StridedLoop& loop, int64_t begin, int64_t end, const F& f) {
  const int last = loop.rank - 1;
  const int64_t columns = loop.size[last];
  for (int64_t i = begin; i < end;) {
    int64_t row = i / columns;
    const int64_t column = i - row * columns, length = std::min(columns - column, end - i);
    std::array<int64_t, StridedLoop::kOperands> at;
    for (int k = 0; k < StridedLoop::kOperands; ++k) at[k] = column * loop.step[k][last];
    for (int d = last - 1; d >= 0; --d) {
      const int64_t q = row % loop.size[d];
      row /= loop.size[d];
      for (int k = 0; k < StridedLoop::kOperands; ++k) at[k] += q * loop.step[k][d];
    }
    f(at, length);
    i += length;
  }
}

// y[i] = f(a[i]); operands of the loop in the order y, a.
template <class Y, class F, class A>
void pointwise_strided(const StridedLoop& loop, Y* y, const F& f, const A* a) {
  parallel_for(loop.numel, kPointwiseGrain, [&](int64_t begin, int64_t end) {
    simd::run([&loop, y, f, a, begin, end] {
      const int last = loop.rank - 1;
      const int64_t sy = loop.step[0][last], sa = loop.step[1][last];
      for_each_row(loop, begin, end, [=](const auto& at, int64_t n) {
        for (int64_t i = 0; i < n; ++i) store(y + at[0] + i * sy, f(load(a + at[1] + i * sa)));
      });
    });
  });
}

// y[i] = f(a[i], b[i]); operands of the loop in the order y, a, b. y may be a or b.
template <class Y, class F, class A, class B>
void pointwise_strided(const StridedLoop& loop, Y* y, const F& f, const A* a, const B* b) {
  parallel_for(loop.numel, kPointwiseGrain, [&](int64_t begin, int64_t end) {
    simd::run([&loop, y, f, a, b, begin, end] {
      const int last = loop.rank - 1;
      const int64_t sy = loop.step[0][last], sa = loop.step[1][last], sb = loop.step[2][last];
      for_each_row(loop, begin, end, [=](const auto& at, int64_t n) {
        Y* yr = y + at[0];
        const A* ar = a + at[1];
        const B* br = b + at[2];
        if (sy == 1 && sa == 1 && sb == 1) {
#pragma omp simd
          for (int64_t i = 0; i < n; ++i) store(yr + i, f(load(ar + i), load(br + i)));
        } else if (sy == 1 && sa == 1 && sb == 0) {
          const auto bv = widen(*br);
#pragma omp simd
          for (int64_t i = 0; i < n; ++i) store(yr + i, f(load(ar + i), bv));
        } else if (sy == 1 && sa == 0 && sb == 1) {
          const auto av = widen(*ar);
#pragma omp simd
          for (int64_t i = 0; i < n; ++i) store(yr + i, f(av, load(br + i)));
        } else {
          for (int64_t i = 0; i < n; ++i) store(yr + i * sy, f(load(ar + i * sa), load(br + i * sb)));
        }
      });
    });
  });
}

// y[i] = f(a[i], b[i], c[i]); operands of the loop in the order y, a, b, c.
template <class Y, class F, class A, class B, class C>
void pointwise_strided(const StridedLoop& loop, Y* y, const F& f, const A* a, const B* b, const C* c) {
  parallel_for(loop.numel, kPointwiseGrain, [&](int64_t begin, int64_t end) {
    simd::run([&loop, y, f, a, b, c, begin, end] {
      const int last = loop.rank - 1;
      const int64_t sy = loop.step[0][last], sa = loop.step[1][last], sb = loop.step[2][last], sc = loop.step[3][last];
      for_each_row(loop, begin, end, [=](const auto& at, int64_t n) {
        Y* yr = y + at[0];
        const A* ar = a + at[1];
        const B* br = b + at[2];
        const C* cr = c + at[3];
        if (sy == 1 && sa == 1 && sb == 1 && sc == 1) {
#pragma omp simd
          for (int64_t i = 0; i < n; ++i) store(yr + i, f(load(ar + i), load(br + i), load(cr + i)));
        } else {
          for (int64_t i = 0; i < n; ++i)
            store(yr + i * sy, f(load(ar + i * sa), load(br + i * sb), load(cr + i * sc)));
        }
      });
    });
  });
}

// y[i] = f(x[i]...) for tensors of one shape on one device: y of type Y, the operands, each stretched to y's shape, of
// types X. y may be an operand of y's own shape and type.
template <class Y, class... X, class F, class... Tensors>
void map(const char* op, const F& f, const Tensor& y, const Tensors&... x) {
  static_assert(sizeof...(X) == sizeof...(x) && sizeof...(X) <= 3);
  if (y.numel() == 0) return;
  const bool contiguous = y.is_contiguous() && (... && (x.is_contiguous() && x.shape() == y.shape()));
  on_device(op, y, [&](auto d) {
    if constexpr (d == DeviceType::cpu) {
      if (contiguous) {
        pointwise(y.numel(), y.template data<Y>(), f, static_cast<const X*>(x.template data<X>())...);
      } else {
        pointwise_strided(StridedLoop({y, x.expand(y.shape())...}), y.template data<Y>(), f,
                          static_cast<const X*>(x.template data<X>())...);
      }
    } else if constexpr (std::is_same_v<acc_t<Y>, double>) {
      dispatch_gpu(op, DType::f64, [](auto) {});
    } else {
      PointwiseKernel<d, F, Y, X...>::run(op, f, StridedLoop({y, x.expand(y.shape())...}), contiguous,
                                          y.template data<Y>(), x.template data<X>()...);
    }
  });
}

// Where a backward may write a gradient of dy's shape and dtype: dy itself if nobody else can see it. dy becomes
// contiguous.
inline Tensor reuse_or_empty(Tensor& dy) {
  if (!dy.is_contiguous()) dy = dy.contiguous();
  return dy.is_unique() ? dy : Tensor::empty(dy.shape(), dy.dtype(), dy.device());
}

}  // namespace gfsa
