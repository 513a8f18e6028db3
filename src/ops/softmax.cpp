#include "ops/softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "autograd/autograd.h"
#include "base/threads.h"
#include "core/cpu/math.h"
#include "core/cpu/simd.h"
#include "core/dispatch.h"
#include "core/expect.h"
#include "core/on_device.h"
#include "core/profile.h"
#include "ops/lanes.h"
#include "ops/softmax_kernels.h"

namespace gfsa {
namespace {

int64_t row_grain(int64_t columns) { return std::max<int64_t>(1, (1 << 13) / std::max<int64_t>(1, columns)); }

template <bool kLog, class T>
void exponentials(const T* x, T* y, int64_t rows, int64_t columns) {
  using A = acc_t<T>;
  constexpr A kInfinity = std::numeric_limits<A>::infinity();
  parallel_for(rows, row_grain(columns), [&](int64_t begin, int64_t end) {
    // Whole vectors: what stands behind the row adds nothing to the sum.
    constexpr int64_t kVector = std::is_same_v<A, float> ? 16 : 1;
    const int64_t padded = (columns + kVector - 1) / kVector * kVector;
    std::vector<A> buffer(static_cast<size_t>(padded));
    A* e = buffer.data();
    simd::run([&] {
      for (int64_t r = begin; r < end; ++r) {
        const T* xr = x + r * columns;
        T* yr = y + r * columns;
#pragma omp simd
        for (int64_t c = 0; c < columns; ++c) e[c] = static_cast<A>(xr[c]);
        const A largest = lane_max<A>(columns, [=](int64_t c) { return e[c]; });
        // An all -inf row keeps 0, so that its exponentials are 0 and not NaN (and those of NaN stay NaN).
        const A shift = largest == -kInfinity ? A(0) : largest;
        std::fill(e + columns, e + padded, -kInfinity);
#pragma omp simd
        for (int64_t c = 0; c < padded; ++c) e[c] = math::exp_nonpositive(e[c] - shift);
        const A sum = lane_sum<A>(columns, [=](int64_t c) { return e[c]; });
        if constexpr (kLog) {
          const A offset = sum == A(0) ? A(0) : shift + std::log(sum);
#pragma omp simd
          for (int64_t c = 0; c < columns; ++c) yr[c] = T(static_cast<A>(xr[c]) - offset);
        } else {
          const A scale = sum == A(0) ? A(0) : A(1) / sum;
#pragma omp simd
          for (int64_t c = 0; c < columns; ++c) yr[c] = T(e[c] * scale);
        }
      }
    });
  });
}

template <bool kLog, class T>
void slopes(const T* y, const T* dy, T* dx, bool accumulate, int64_t rows, int64_t columns) {
  using A = acc_t<T>;
  constexpr A kInfinity = std::numeric_limits<A>::infinity();
  parallel_for(rows, row_grain(columns), [&](int64_t begin, int64_t end) {
    simd::run([&] {
      const A before = accumulate ? A(1) : A(0);
      for (int64_t r = begin; r < end; ++r) {
        const T* yr = y + r * columns;
        const T* dyr = dy + r * columns;
        T* dxr = dx + r * columns;
        if (!accumulate) std::fill(dxr, dxr + columns, T(A(0)));
        if constexpr (kLog) {
          const A largest = lane_max<A>(columns, [=](int64_t c) { return static_cast<A>(yr[c]); });
          const A sum = lane_sum<A>(columns, [=](int64_t c) { return static_cast<A>(dyr[c]); });
          if (largest == -kInfinity) continue;
#pragma omp simd
          for (int64_t c = 0; c < columns; ++c) {
            const A g = static_cast<A>(dyr[c]) - math::exp_nonpositive(static_cast<A>(yr[c])) * sum;
            dxr[c] = T(before * static_cast<A>(dxr[c]) + g);
          }
        } else {
          // Rounded to bf16, y no longer sums to 1; dividing by what it sums to keeps dx free of dy's constant part.
          const auto [product, total] = lane_sums<A>(columns, [=](int64_t c, A& dy_y, A& just_y) {
            just_y = static_cast<A>(yr[c]);
            dy_y = static_cast<A>(dyr[c]) * just_y;
          });
          const A sum = total == A(0) ? A(0) : product / total;
#pragma omp simd
          for (int64_t c = 0; c < columns; ++c) {
            const A g = static_cast<A>(yr[c]) * (static_cast<A>(dyr[c]) - sum);
            dxr[c] = T(before * static_cast<A>(dxr[c]) + g);
          }
        }
      }
    });
  });
}

int64_t rows_of(const Tensor& x) { return x.dim(-1) == 0 ? 0 : x.numel() / x.dim(-1); }

Tensor soft(bool log, const Tensor& x) {
  const char* name = log ? "log_softmax" : "softmax";
  const OpRange range(name);
  Expect(name).shape("x", x, "... C").floating("x", x);
  const Tensor xc = x.detach().contiguous();
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  on_device(name, x, [&](auto d) { SoftmaxKernels<d>::forward(log, xc, y); });
  return record(name, y, {x}, [name, log, y](const Tensor& dy, GradOut& grads) {
    const Tensor dyc = dy.contiguous();
    const GradOut::Target dx = grads.target(0);
    on_device(name, y, [&](auto d) { SoftmaxKernels<d>::backward(log, y, dyc, dx); });
  });
}

}  // namespace

template <>
void SoftmaxKernels<DeviceType::cpu>::forward(bool log, const Tensor& x, const Tensor& y) {
  dispatch_floating("softmax", x, [&](auto t) {
    using T = decltype(t);
    const auto run = log ? exponentials<true, T> : exponentials<false, T>;
    run(x.data<T>(), y.data<T>(), rows_of(x), x.dim(-1));
  });
}

template <>
void SoftmaxKernels<DeviceType::cpu>::backward(bool log, const Tensor& y, const Tensor& dy, const GradOut::Target& dx) {
  dispatch_floating("softmax", y, [&](auto t) {
    using T = decltype(t);
    const auto run = log ? slopes<true, T> : slopes<false, T>;
    run(y.data<T>(), dy.data<T>(), dx.tensor.data<T>(), dx.accumulate, rows_of(y), y.dim(-1));
  });
}

Tensor softmax(const Tensor& x) { return soft(false, x); }
Tensor log_softmax(const Tensor& x) { return soft(true, x); }

}  // namespace gfsa
