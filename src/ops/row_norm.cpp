#include "ops/row_norm.h"

#include <algorithm>
#include <cmath>

#include "base/threads.h"
#include "core/cpu/simd.h"
#include "core/dispatch.h"
#include "ops/lanes.h"

namespace gfsa {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements worth a thread

int64_t row_grain(int64_t columns) { return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, columns)); }

// mean [rows] (ignored where not centred) and rstd [rows] are results; bias may be null, branch and sum too.
template <bool kCentred, class In, class B, class Out, class A = acc_t<In>>
void normalize(const In* x, const B* branch, In* sum, const A* weight, const A* bias, Out* y, A* mean, A* rstd,
               int64_t rows, int64_t columns, double eps) {
  parallel_for(rows, row_grain(columns), [&](int64_t begin, int64_t end) {
    simd::run([&] {
      for (int64_t r = begin; r < end; ++r) {
        const In* xr = x + r * columns;
        Out* yr = y + r * columns;
        if (branch != nullptr) {
          const B* br = branch + r * columns;
          In* sr = sum + r * columns;
#pragma omp simd
          for (int64_t c = 0; c < columns; ++c) sr[c] = In(static_cast<A>(xr[c]) + static_cast<A>(br[c]));
          xr = sr;  // still in the cache
        }
        A m = 0;
        if constexpr (kCentred) {
          m = lane_sum<A>(columns, [=](int64_t c) { return static_cast<A>(xr[c]); }) / static_cast<A>(columns);
          mean[r] = m;
        }
        const A squares = lane_sum<A>(columns, [=](int64_t c) {
          const A d = static_cast<A>(xr[c]) - m;
          return d * d;
        });
        const A s = A(1) / std::sqrt(squares / static_cast<A>(columns) + static_cast<A>(eps));
        rstd[r] = s;
        if (bias != nullptr) {
#pragma omp simd
          for (int64_t c = 0; c < columns; ++c) yr[c] = Out((static_cast<A>(xr[c]) - m) * s * weight[c] + bias[c]);
        } else {
#pragma omp simd
          for (int64_t c = 0; c < columns; ++c) yr[c] = Out((static_cast<A>(xr[c]) - m) * s * weight[c]);
        }
      }
    });
  });
}

// dx may be null. partial: null, or [blocks, 2, columns]: the blocks' sums of dy xhat and of dy.
template <bool kCentred, class In, class Out, class A = acc_t<In>>
void slopes(const In* x, const A* weight, const A* mean, const A* rstd, const Out* dy, In* dx, bool accumulate,
            A* partial, int64_t rows, int64_t columns) {
  const int64_t blocks = (rows + kNormBlockRows - 1) / kNormBlockRows;
  parallel_for(blocks, std::max<int64_t>(1, row_grain(columns) / kNormBlockRows), [&](int64_t begin, int64_t end) {
    simd::run([&] {
      for (int64_t r = begin * kNormBlockRows; r < std::min(rows, end * kNormBlockRows); ++r) {
        const In* xr = x + r * columns;
        const Out* dyr = dy + r * columns;
        const A m = kCentred ? mean[r] : A(0), s = rstd[r];
        if (partial != nullptr) {
          A* dw = partial + r / kNormBlockRows * 2 * columns;
          A* db = dw + columns;
          const A keep = r % kNormBlockRows == 0 ? A(0) : A(1);
          if (keep == A(0)) std::fill(dw, dw + 2 * columns, A(0));
#pragma omp simd
          for (int64_t c = 0; c < columns; ++c) {
            const A d = static_cast<A>(dyr[c]);
            dw[c] += d * (static_cast<A>(xr[c]) - m) * s;
            db[c] += d;
          }
        }
        if (dx == nullptr) continue;
        const auto [sum, with_xhat] = lane_sums<A>(columns, [=](int64_t c, A& g, A& g_xhat) {
          g = static_cast<A>(dyr[c]) * weight[c];
          g_xhat = g * ((static_cast<A>(xr[c]) - m) * s);
        });
        const A a = kCentred ? sum / static_cast<A>(columns) : A(0), b = with_xhat / static_cast<A>(columns);
        In* dxr = dx + r * columns;
        if (accumulate) {
#pragma omp simd
          for (int64_t c = 0; c < columns; ++c) {
            const A g = static_cast<A>(dyr[c]) * weight[c];
            dxr[c] = In(static_cast<A>(dxr[c]) + s * (g - a - (static_cast<A>(xr[c]) - m) * s * b));
          }
        } else {
#pragma omp simd
          for (int64_t c = 0; c < columns; ++c) {
            const A g = static_cast<A>(dyr[c]) * weight[c];
            dxr[c] = In(s * (g - a - (static_cast<A>(xr[c]) - m) * s * b));
          }
        }
      }
    });
  });
}

// result [columns] (+)= the sum over blocks of partial[block, which, :], in order.
template <class A>
void add_blocks(const A* partial, int which, int64_t blocks, int64_t columns, A* result, bool accumulate) {
  parallel_for(columns, row_grain(blocks), [&](int64_t begin, int64_t end) {
    simd::run([&] {
      constexpr int64_t kStrip = 64;
      for (int64_t first = begin; first < end; first += kStrip) {
        const int64_t n = std::min(kStrip, end - first);
        A sum[kStrip] = {};
        for (int64_t k = 0; k < blocks; ++k) {
          const A* p = partial + (2 * k + which) * columns + first;
          for (int64_t c = 0; c < n; ++c) sum[c] += p[c];
        }
        for (int64_t c = 0; c < n; ++c) result[first + c] = accumulate ? result[first + c] + sum[c] : sum[c];
      }
    });
  });
}

}  // namespace

template <>
void RowNormKernels<DeviceType::cpu>::forward(const char* op, const Tensor& x, const Tensor& branch, const Tensor& sum,
                                              const Tensor& weight, const Tensor& bias, const Tensor& y,
                                              const Tensor& mean, const Tensor& rstd, double eps) {
  dispatch_floating_pair(op, x.dtype(), y.dtype(), [&](auto in, auto to) {
    using In = decltype(in);
    using Out = decltype(to);
    using A = acc_t<In>;
    const A* b = bias ? bias.data<A>() : nullptr;
    const int64_t rows = rstd.numel(), columns = weight.numel();
    dispatch_branch<In>(branch, [&](auto of_branch) {
      using B = decltype(of_branch);
      const B* added = branch ? branch.data<B>() : nullptr;
      In* sums = branch ? sum.data<In>() : nullptr;
      if (mean) {
        normalize<true>(x.data<In>(), added, sums, weight.data<A>(), b, y.data<Out>(), mean.data<A>(), rstd.data<A>(),
                        rows, columns, eps);
      } else {
        normalize<false>(x.data<In>(), added, sums, weight.data<A>(), b, y.data<Out>(), static_cast<A*>(nullptr),
                         rstd.data<A>(), rows, columns, eps);
      }
    });
  });
}

template <>
void RowNormKernels<DeviceType::cpu>::backward(const char* op, const Tensor& x, const Tensor& weight,
                                               const Tensor& mean, const Tensor& rstd, const Tensor& dy,
                                               const GradOut::Target& dx, const GradOut::Target& dweight,
                                               const GradOut::Target& dbias) {
  dispatch_floating_pair(op, x.dtype(), dy.dtype(), [&](auto in, auto to) {
    using In = decltype(in);
    using Out = decltype(to);
    using A = acc_t<In>;
    const int64_t rows = rstd.numel(), columns = weight.numel();
    const int64_t blocks = (rows + kNormBlockRows - 1) / kNormBlockRows;
    const bool sums = dweight.tensor || dbias.tensor;
    const Tensor partial = sums ? Tensor::empty({blocks, 2, columns}, weight.dtype()) : Tensor();
    A* const partials = sums ? partial.data<A>() : nullptr;
    In* const dx_data = dx.tensor ? dx.tensor.data<In>() : nullptr;
    if (mean) {
      slopes<true>(x.data<In>(), weight.data<A>(), mean.data<A>(), rstd.data<A>(), dy.data<Out>(), dx_data,
                   dx.accumulate, partials, rows, columns);
    } else {
      slopes<false>(x.data<In>(), weight.data<A>(), static_cast<A*>(nullptr), rstd.data<A>(), dy.data<Out>(), dx_data,
                    dx.accumulate, partials, rows, columns);
    }
    for (int which : {0, 1}) {
      const auto& [tensor, accumulate] = which == 0 ? dweight : dbias;
      if (tensor) add_blocks<A>(partials, which, blocks, columns, tensor.template data<A>(), accumulate);
    }
  });
}

}  // namespace gfsa
