// map.h -- the kernels under elementwise ops. A .cu includes it and instantiates what its ops map:
//
//   template struct PointwiseKernel<GFSA_DEVICE_TYPE, Add, float, float, float>;  // f; types of result and operands
#pragma once

#include <algorithm>
#include <utility>

#include "core/cuda/device.h"
#include "ops/pointwise_kernels.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

inline constexpr int kMapThreads = 256;

// kVector elements a thread; all operands aligned to kVector of theirs.
template <class F, int kVector, class Y, class... X>
struct Map {
  static constexpr const char* kName = "map";
  static constexpr int kMaxThreads = kMapThreads;
  GFSA_DEVICE void operator()(F f, int64_t n, InPlace<Y> y, InPlace<const X>... x) const {
    const int64_t first = global_x() * kVector;
    if (first + kVector <= n) {
      Vector<Y, kVector> result;
      compute(f, result, load_vector<kVector>(x, first)...);
      store_vector(y, first, result);
    } else {
      for (int64_t i = first; i < n; ++i) store(y, i, from_float<Y>(f(widen(load(x, i))...)));
    }
  }

 private:
  GFSA_DEVICE static void compute(const F& f, Vector<Y, kVector>& y, const Vector<X, kVector>&... x) {
    for (int i = 0; i < kVector; ++i) y[i] = from_float<Y>(f(widen(x[i])...));
  }
};

template <class F, class Y, class... X>
struct MapStrided {
  static constexpr const char* kName = "map_strided";
  static constexpr int kMaxThreads = kMapThreads;
  GFSA_DEVICE void operator()(F f, StridedLoop loop, InPlace<Y> y, InPlace<const X>... x) const {
    const int64_t i = global_x();
    if (i >= loop.numel) return;
    const auto at = loop.offsets(i);
    const auto value = [&]<size_t... I>(std::index_sequence<I...>) { return f(widen(load(x, at[I + 1]))...); }
    (std::index_sequence_for<X...>{});
    store(y, at[0], from_float<Y>(value));
  }
};

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa {

template <DeviceType D, class F, class Y, class... X>
void PointwiseKernel<D, F, Y, X...>::run(const char* op, const F& f, const StridedLoop& loop, bool contiguous, Y* y,
                                         const X*... x) {
  using namespace GFSA_DEVICE_NAMESPACE;
  constexpr size_t kWidest = std::max({sizeof(Y), sizeof(X)...});
  constexpr int kVector = static_cast<int>(16 / kWidest);
  const auto aligned = [](const auto* p) { return reinterpret_cast<uintptr_t>(p) % (kVector * sizeof(*p)) == 0; };
  const auto how = [op](int64_t threads) { return one_thread_each(op, threads, kMapThreads); };
  if (contiguous && aligned(y) && (... && aligned(x))) {
    launch(Map<F, kVector, Y, X...>{}, how((loop.numel + kVector - 1) / kVector), f, loop.numel, y, x...);
  } else {
    launch(MapStrided<F, Y, X...>{}, how(loop.numel), f, loop, y, x...);
  }
}

}  // namespace gfsa
