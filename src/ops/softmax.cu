// A warp a row; rows are read again from the cache, not kept in registers, so that any width goes.
#include "core/cpu/math.h"
#include "core/dispatch.h"
#include "ops/cuda/rows.h"
#include "ops/softmax_kernels.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

template <int V, class T>
struct Exponentials {
  static constexpr const char* kName = "softmax";
  static constexpr int kMaxThreads = kRowWarps * 32;
  GFSA_DEVICE void operator()(Global<const T> x, Global<T> y, bool log, int64_t rows, int64_t columns) const {
    const int64_t row = row_of_warp();
    if (row >= rows) return;
    const int64_t begin = row * columns, first = int64_t{lane()} * V;
    float largest = -INFINITY;
    for (int64_t c = first; c < columns; c += 32 * V) {
      const Floats<V> v = load_floats<V, T>(x, begin + c);
      for (int k = 0; k < V; ++k) largest = fmaxf(largest, v[k]);
    }
    largest = warp_max(largest);
    // An all -inf row keeps 0, so that its exponentials are 0 and not NaN (and those of NaN stay NaN).
    const float shift = largest == -INFINITY ? 0.0f : largest;
    float sum = 0;
    for (int64_t c = first; c < columns; c += 32 * V) {
      const Floats<V> v = load_floats<V, T>(x, begin + c);
      for (int k = 0; k < V; ++k) sum += math::exp_nonpositive(v[k] - shift);
    }
    sum = warp_sum(sum);
    const float scale = sum == 0.0f ? 0.0f : 1.0f / sum, offset = sum == 0.0f ? 0.0f : shift + logf(sum);
    for (int64_t c = first; c < columns; c += 32 * V) {
      Floats<V> v = load_floats<V, T>(x, begin + c);
      for (int k = 0; k < V; ++k) v[k] = log ? v[k] - offset : math::exp_nonpositive(v[k] - shift) * scale;
      store_floats<V, T>(y, begin + c, v);
    }
  }
};

template <int V, class T>
struct Slopes {
  static constexpr const char* kName = "softmax_backward";
  static constexpr int kMaxThreads = kRowWarps * 32;
  GFSA_DEVICE void operator()(Global<const T> y, Global<const T> dy, Global<T> dx, bool log, bool accumulate,
                              int64_t rows, int64_t columns) const {
    const int64_t row = row_of_warp();
    if (row >= rows) return;
    const int64_t begin = row * columns, first = int64_t{lane()} * V;
    float largest = -INFINITY, total = 0, product = 0;
    for (int64_t c = first; c < columns; c += 32 * V) {
      const Floats<V> v = load_floats<V, T>(y, begin + c), d = load_floats<V, T>(dy, begin + c);
      for (int k = 0; k < V; ++k) {
        largest = fmaxf(largest, v[k]);
        total += v[k];
        product += log ? d[k] : d[k] * v[k];
      }
    }
    product = warp_sum(product);
    // As on the CPU: y rounded to bf16 no longer sums to 1, and a log_softmax of nothing but -inf has no gradient.
    total = log ? 1.0f : warp_sum(total);
    const bool none = log && warp_max(largest) == -INFINITY;
    const float sum = total == 0.0f ? 0.0f : product / total;
    for (int64_t c = first; c < columns; c += 32 * V) {
      const Floats<V> v = load_floats<V, T>(y, begin + c), d = load_floats<V, T>(dy, begin + c);
      Floats<V> g;
      for (int k = 0; k < V; ++k) {
        g[k] = log ? d[k] - math::exp_nonpositive(v[k]) * sum : v[k] * (d[k] - sum);
        if (none) g[k] = 0;
      }
      if (accumulate) {
        const Floats<V> before = load_floats<V, T>(dx, begin + c);
        for (int k = 0; k < V; ++k) g[k] += before[k];
      }
      store_floats<V, T>(dx, begin + c, g);
    }
  }
};

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa {
using namespace GFSA_DEVICE_NAMESPACE;

template <DeviceType D>
void SoftmaxKernels<D>::forward(bool log, const Tensor& x, const Tensor& y) {
  if (x.numel() == 0) return;
  dispatch_gpu("softmax", x.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* from = x.data<T>();
    T* to = y.data<T>();
    const int64_t columns = x.dim(-1);
    const auto start = [&](auto v) {
      launch(Exponentials<v, T>{}, a_warp_each_row("softmax", x.numel() / columns, {&x.shape()}), from, to, log,
             x.numel() / columns, columns);
    };
    with_row_vectors(columns, start, from, to);
  });
}

template <DeviceType D>
void SoftmaxKernels<D>::backward(bool log, const Tensor& y, const Tensor& dy, const GradOut::Target& dx) {
  if (y.numel() == 0) return;
  dispatch_gpu("softmax", y.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* ys = y.data<T>();
    const T* dys = dy.data<T>();
    T* to = dx.tensor.data<T>();
    const int64_t columns = y.dim(-1);
    const auto start = [&](auto v) {
      launch(Slopes<v, T>{}, a_warp_each_row("softmax_backward", y.numel() / columns, {&y.shape()}), ys, dys, to, log,
             dx.accumulate, y.numel() / columns, columns);
    };
    with_row_vectors(columns, start, ys, dys, to);
  });
}

template struct SoftmaxKernels<GFSA_DEVICE_TYPE>;

}  // namespace gfsa
