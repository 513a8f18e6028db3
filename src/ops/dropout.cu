// A thread four elements: where samples allow it, the numbers of one counter.
#include "ops/dropout.h"

#include "core/cuda/random.h"
#include "core/dispatch.h"
#include "ops/cuda/map.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

constexpr int kThreads = 256;

// What is kept: each element for itself, or samples. keeps_four: of elements [index, index + 4), index a multiple of 4.
struct Elements {
  GFSA_DEVICE static bool keeps(const Draws& draws, float p, int64_t sample, int64_t index) {
    return uniform_from_bits(draws.at(sample, static_cast<uint64_t>(index / 4))[static_cast<size_t>(index % 4)]) >= p;
  }
  GFSA_DEVICE static std::array<bool, 4> keeps_four(const Draws& draws, float p, int64_t sample, int64_t index) {
    const auto bits = draws.at(sample, static_cast<uint64_t>(index / 4));
    return {uniform_from_bits(bits[0]) >= p, uniform_from_bits(bits[1]) >= p, uniform_from_bits(bits[2]) >= p,
            uniform_from_bits(bits[3]) >= p};
  }
};
struct Paths {
  GFSA_DEVICE static bool keeps(const Draws& draws, float p, int64_t sample, int64_t) {
    return Elements::keeps(draws, p, sample, 0);
  }
  GFSA_DEVICE static std::array<bool, 4> keeps_four(const Draws& draws, float p, int64_t sample, int64_t) {
    const bool kept = Elements::keeps(draws, p, sample, 0);
    return {kept, kept, kept, kept};
  }
};

// kVector: samples of a multiple of 4 elements, in memory aligned to 4.
template <bool kVector, class T, class Choice>
struct Drop {
  static constexpr const char* kName = "drop";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(InPlace<const T> x, InPlace<T> y, int64_t n, int64_t inner, float scale, float p,
                              DrawsOfStep draws_of_step) const {
    const int64_t first = global_x() * 4;
    if (first >= n) return;
    const Draws draws = draws_of_step.now();
    if constexpr (kVector) {
      const int64_t sample = first / inner;
      const auto kept = Choice::keeps_four(draws, p, sample, first - sample * inner);
      Vector<T, 4> v = load_vector<4>(x, first);
      for (int k = 0; k < 4; ++k) v[k] = from_float<T>(kept[static_cast<size_t>(k)] ? widen(v[k]) * scale : 0.0f);
      store_vector(y, first, v);
    } else {
      for (int64_t i = first; i < n && i < first + 4; ++i) {
        const int64_t sample = i / inner;
        const float v = widen(load(x, i)) * scale;
        store(y, i, from_float<T>(Choice::keeps(draws, p, sample, i - sample * inner) ? v : 0.0f));
      }
    }
  }
};

template <class Choice>
void start(const char* op, const Tensor& x, const Tensor& y, float p, const DrawsOfStep& draws) {
  const int64_t n = x.numel();
  if (n == 0) return;
  dispatch_gpu(op, x.dtype(), [&](auto t) {
    using T = decltype(t);
    const Launch how = one_thread_each(op, (n + 3) / 4, kThreads, {&x.shape()});
    const auto aligned = [](const Tensor& tensor) {
      return reinterpret_cast<uintptr_t>(tensor.raw()) % (4 * sizeof(T)) == 0;
    };
    const int64_t inner = n / x.dim(0);
    const float scale = 1.0f / (1.0f - p);
    const T* from = x.data<T>();
    if (inner % 4 == 0 && aligned(x) && aligned(y)) {
      launch(Drop<true, T, Choice>{}, how, from, y.data<T>(), n, inner, scale, p, draws);
    } else {
      launch(Drop<false, T, Choice>{}, how, from, y.data<T>(), n, inner, scale, p, draws);
    }
  });
}

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa {
using namespace GFSA_DEVICE_NAMESPACE;

template <DeviceType D>
void DropoutKernels<D>::dropout(const Tensor& x, const Tensor& y, float p, const RandomKey& key, uint32_t sample0) {
  start<Elements>("dropout", x, y, p, {key, sample0});
}

template <DeviceType D>
void DropoutKernels<D>::drop_path(const Tensor& x, const Tensor& y, float p, const RandomKey& key, uint32_t sample0) {
  start<Paths>("drop_path", x, y, p, {key, sample0});
}

template struct DropoutKernels<GFSA_DEVICE_TYPE>;

}  // namespace gfsa
