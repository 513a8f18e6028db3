// A thread four elements: where samples allow it, the numbers of one counter.
#include "ops/dropout.h"

#include "core/dispatch.h"
#include "ops/cuda/map.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

constexpr int kThreads = 256;

// What is kept: each element for itself, or samples. keeps_four: of elements [index, index + 4), index a multiple of 4.
struct Elements {
  RandomKey key;
  uint32_t sample0;
  float p;
  GFSA_DEVICE bool keeps(int64_t sample, int64_t index) const {
    return dropout_keeps(key, sample0 + static_cast<uint32_t>(sample), static_cast<uint64_t>(index), p);
  }
  GFSA_DEVICE std::array<bool, 4> keeps_four(int64_t sample, int64_t index) const {
    const auto bits = philox(key, sample0 + static_cast<uint32_t>(sample), static_cast<uint64_t>(index / 4));
    return {uniform_from_bits(bits[0]) >= p, uniform_from_bits(bits[1]) >= p, uniform_from_bits(bits[2]) >= p,
            uniform_from_bits(bits[3]) >= p};
  }
};
struct Paths {
  RandomKey key;
  uint32_t sample0;
  float p;
  GFSA_DEVICE bool keeps(int64_t sample, int64_t) const {
    return dropout_keeps(key, sample0 + static_cast<uint32_t>(sample), 0, p);
  }
  GFSA_DEVICE std::array<bool, 4> keeps_four(int64_t sample, int64_t index) const {
    const bool kept = keeps(sample, index);
    return {kept, kept, kept, kept};
  }
};

// kVector: samples of a multiple of 4 elements, in memory aligned to 4.
template <bool kVector, class T, class Choice>
struct Drop {
  static constexpr const char* kName = "drop";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(InPlace<const T> x, InPlace<T> y, int64_t n, int64_t inner, float scale,
                              Choice choice) const {
    const int64_t first = global_x() * 4;
    if (first >= n) return;
    if constexpr (kVector) {
      const int64_t sample = first / inner;
      const auto kept = choice.keeps_four(sample, first - sample * inner);
      Vector<T, 4> v = load_vector<4>(x, first);
      for (int k = 0; k < 4; ++k) v[k] = from_float<T>(kept[static_cast<size_t>(k)] ? widen(v[k]) * scale : 0.0f);
      store_vector(y, first, v);
    } else {
      for (int64_t i = first; i < n && i < first + 4; ++i) {
        const int64_t sample = i / inner;
        const float v = widen(load(x, i)) * scale;
        store(y, i, from_float<T>(choice.keeps(sample, i - sample * inner) ? v : 0.0f));
      }
    }
  }
};

template <class Choice>
void start(const char* op, const Tensor& x, const Tensor& y, const Choice& choice) {
  const int64_t n = x.numel();
  if (n == 0) return;
  dispatch_gpu(op, x.dtype(), [&](auto t) {
    using T = decltype(t);
    const Launch how = one_thread_each(op, (n + 3) / 4, kThreads, {&x.shape()});
    const auto aligned = [](const Tensor& tensor) {
      return reinterpret_cast<uintptr_t>(tensor.raw()) % (4 * sizeof(T)) == 0;
    };
    const int64_t inner = n / x.dim(0);
    const float scale = 1.0f / (1.0f - choice.p);
    const T* from = x.data<T>();
    if (inner % 4 == 0 && aligned(x) && aligned(y)) {
      launch(Drop<true, T, Choice>{}, how, from, y.data<T>(), n, inner, scale, choice);
    } else {
      launch(Drop<false, T, Choice>{}, how, from, y.data<T>(), n, inner, scale, choice);
    }
  });
}

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa {
using namespace GFSA_DEVICE_NAMESPACE;

template <DeviceType D>
void DropoutKernels<D>::dropout(const Tensor& x, const Tensor& y, float p, const RandomKey& key, uint32_t sample0) {
  start("dropout", x, y, Elements{key, sample0, p});
}

template <DeviceType D>
void DropoutKernels<D>::drop_path(const Tensor& x, const Tensor& y, float p, const RandomKey& key, uint32_t sample0) {
  start("drop_path", x, y, Paths{key, sample0, p});
}

template struct DropoutKernels<GFSA_DEVICE_TYPE>;

}  // namespace gfsa
