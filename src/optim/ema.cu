#include "optim/cuda/segments.h"
#include "optim/ema_kernels.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

template <int V>
struct Update {
  static constexpr const char* kName = "ema";
  static constexpr int kMaxThreads = kUpdateThreads;
  GFSA_DEVICE void operator()(Global<float> average, Global<const float> value, int64_t n, Global<const double> step,
                              Global<const double> scale) const {
    const int64_t i = global_x() * V;
    if (i >= n || (scale != nullptr && is_nan(static_cast<float>(load(scale, 0))))) return;
    const float decay = static_cast<float>(load(step, 0)), weight = static_cast<float>(load(step, 1));
    const Floats<V> old = load_floats<V, float>(average, i), now = load_floats<V, float>(value, i);
    Floats<V> next;
    for (int k = 0; k < V; ++k) next[k] = averaged(decay, weight, old[k], now[k]);
    store_floats<V, float>(average, i, next);
  }
};

struct Swap {
  static constexpr const char* kName = "swap";
  static constexpr int kMaxThreads = kUpdateThreads;
  GFSA_DEVICE void operator()(Global<float> a, Global<float> b, int64_t n) const {
    const int64_t i = global_x();
    if (i >= n) return;
    const float x = load(a, i);
    store(a, i, load(b, i));
    store(b, i, x);
  }
};

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa {
using namespace GFSA_DEVICE_NAMESPACE;

template <DeviceType D>
void EmaKernels<D>::update(const Tensor& average, const Tensor& value, const EmaStep* step, const Tensor& scale) {
  const int64_t n = average.numel();
  if (n == 0) return;
  float* to = average.data<float>();
  const float* from = value.data<float>();
  const auto run = [&](auto v) {
    launch(Update<v>{}, a_block_each("ema", blocks_for(n, kUpdateThreads * v)), to, from, n, &step->decay,
           scale.defined() ? scale.data<double>() : nullptr);
  };
  with_row_vectors(n, run, to, from);
}

template <DeviceType D>
void EmaKernels<D>::swap(const Tensor& a, const Tensor& b) {
  if (a.numel() == 0) return;
  launch(Swap{}, a_block_each("ema", blocks_for(a.numel(), kUpdateThreads)), a.data<float>(), b.data<float>(),
         a.numel());
}

template struct EmaKernels<GFSA_DEVICE_TYPE>;

}  // namespace gfsa
