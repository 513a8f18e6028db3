#include "ops/reduce_kernels.h"

#include <algorithm>
#include <array>

#include "base/threads.h"
#include "core/cpu/simd.h"
#include "core/dispatch.h"
#include "ops/pointwise.h"
#include "ops/reduce_loops.h"

namespace gfsa {
namespace {

template <class T>
inline int64_t first_maximum(const T* x, int64_t n) {
  using A = acc_t<T>;
  constexpr int64_t kLanes = 32;
  A lanes[kLanes];
  int32_t nan_lanes[kLanes];
  for (int64_t l = 0; l < kLanes; ++l) lanes[l] = load(x), nan_lanes[l] = 0;
  const auto visit = [&](int64_t l, A v) {
    lanes[l] = v > lanes[l] ? v : lanes[l];
    nan_lanes[l] |= v != v ? 1 : 0;
  };
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
#pragma omp simd
    for (int64_t l = 0; l < kLanes; ++l) visit(l, load(x + i + l));
  }
  for (int64_t l = 0; i + l < n; ++l) visit(l, load(x + i + l));
  A largest = lanes[0];
  int32_t nan = 0;
  for (int64_t l = 0; l < kLanes; ++l) {
    largest = lanes[l] > largest ? lanes[l] : largest;
    nan |= nan_lanes[l];
  }
  for (int64_t k = 0; k < n; ++k) {
    const A v = load(x + k);
    if (nan != 0 ? v != v : v == largest) return k;
  }
  return 0;
}

}  // namespace

template <>
void ReduceKernels<DeviceType::cpu>::sum(const char* op, const Tensor& x, const Tensor& with, int64_t outer,
                                         int64_t reduced, int64_t inner, double factor, const Tensor& y) {
  dispatch_floating(op, x.dtype(), [&](auto t) {
    using T = decltype(t);
    using A = acc_t<T>;
    const T* from = x.data<T>();
    const auto products = [&](const auto* second) {
      sum_middle<A>(
          outer, reduced, inner, factor, [from, second](int64_t i) { return widen(from[i]) * widen(second[i]); },
          y.data<A>());
    };
    const auto values = [&](auto* to) {
      sum_middle<A>(
          outer, reduced, inner, factor, [from](int64_t i) { return widen(from[i]); }, to);
    };
    if (with.defined() && with.dtype() == x.dtype()) {
      products(with.data<T>());
    } else if (with.defined()) {
      products(with.data<bfloat16>());
    } else if (y.dtype() == dtype_of<T>) {
      values(y.data<T>());
    } else if (y.dtype() == dtype_of<A>) {
      values(y.data<A>());
    } else if constexpr (std::is_same_v<T, float>) {
      values(y.data<bfloat16>());
    } else {
      fail("{}: {} into {}", op, name_of(x.dtype()), name_of(y.dtype()));
    }
  });
}

template <>
void ReduceKernels<DeviceType::cpu>::column_sums(const Tensor& x, const Tensor& sums, bool accumulate) {
  const int64_t columns = x.dim(-1), rows = columns == 0 ? 0 : x.numel() / columns;
  dispatch_floating("column_sums", x.dtype(), [&](auto t) {
    using T = decltype(t);
    using A = acc_t<T>;
    const T* from = x.data<T>();
    A* total = sums.data<A>();
    // A thread owns whole columns, so the order of the sum is the same for any number of threads; blocks of rows keep
    // the rounding error of long sums small.
    constexpr int64_t kColumns = 32, kRows = 64;
    parallel_for((columns + kColumns - 1) / kColumns, 1, [&](int64_t begin, int64_t end) {
      for (int64_t chunk = begin; chunk < end; ++chunk) {
        const int64_t first = chunk * kColumns, width = std::min(kColumns, columns - first);
        simd::run([&] {
          std::array<A, kColumns> sum{};
          for (int64_t r0 = 0; r0 < rows; r0 += kRows) {
            std::array<A, kColumns> block{};
            for (int64_t r = r0; r < std::min(rows, r0 + kRows); ++r) {
              const T* row = from + r * columns + first;
              for (int64_t j = 0; j < width; ++j) block[static_cast<size_t>(j)] += static_cast<A>(row[j]);
            }
            for (int64_t j = 0; j < width; ++j) sum[static_cast<size_t>(j)] += block[static_cast<size_t>(j)];
          }
          for (int64_t j = 0; j < width; ++j) {
            total[first + j] = (accumulate ? total[first + j] : A(0)) + sum[static_cast<size_t>(j)];
          }
        });
      }
    });
  });
}

template <>
void ReduceKernels<DeviceType::cpu>::maxima(const char* op, const Tensor& x, int64_t n, const Tensor& positions,
                                            const Tensor& values) {
  dispatch_floating(op, x.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* from = x.data<T>();
    int64_t* to = positions.data<int64_t>();
    T* largest = values.defined() ? values.data<T>() : nullptr;
    parallel_for(positions.numel(), std::max<int64_t>(1, kSumGrain / std::max<int64_t>(1, n)),
                 [&](int64_t begin, int64_t end) {
                   simd::run([=] {
                     for (int64_t o = begin; o < end; ++o) {
                       to[o] = first_maximum(from + o * n, n);
                       if (largest != nullptr) largest[o] = from[o * n + to[o]];
                     }
                   });
                 });
  });
}

template <>
void ReduceKernels<DeviceType::cpu>::put(const Tensor& dy, int64_t n, const Tensor& positions, const Tensor& dx) {
  dispatch_floating("max", dy.dtype(), [&](auto t) {
    using T = decltype(t);
    const int64_t* at = positions.data<int64_t>();
    for (int64_t o = 0; o < positions.numel(); ++o) dx.data<T>()[o * n + at[o]] = dy.data<T>()[o];
  });
}

}  // namespace gfsa
