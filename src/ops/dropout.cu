// A thread four elements: the numbers of one counter.
#include "ops/dropout.h"

#include "core/dispatch.h"
#include "ops/cuda/map.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

constexpr int kThreads = 256;
constexpr int kElements = 4 * kThreads;  // of a block, all of one sample

// kVector: whole groups of four, aligned to them.
template <bool kVector, class T, class Keep>
GFSA_DEVICE void scale_kept(InPlace<const T> x, InPlace<T> y, int64_t first, int64_t count, float scale,
                            const Keep& keep, Where where = Where::current()) {
  if constexpr (kVector) {
    Vector<T, 4> v = load_vector<4>(x, first, where);
    for (int k = 0; k < 4; ++k) v[k] = narrowed<T>(keep(k) ? widen(v[k]) * scale : 0.0f);
    store_vector(y, first, v, where);
  } else {
    for (int k = 0; k < 4 && k < count; ++k) {
      const float v = widen(load(x, first + k, where));
      store(y, first + k, narrowed<T>(keep(k) ? v * scale : 0.0f), where);
    }
  }
}

template <bool kVector, class T>
struct Dropout {
  static constexpr const char* kName = "dropout";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(InPlace<const T> x, InPlace<T> y, int64_t inner, int64_t blocks, float p, float scale,
                              RandomKey key, uint32_t sample0) const {
    const int64_t sample = block_x() / blocks, i = (block_x() - sample * blocks) * kElements + 4 * int64_t{thread_x()};
    if (i >= inner) return;
    const auto bits = philox(key, sample0 + static_cast<uint32_t>(sample), static_cast<uint64_t>(i / 4));
    scale_kept<kVector, T>(x, y, sample * inner + i, inner - i, scale,
                           [&](int k) { return uniform_from_bits(bits[static_cast<size_t>(k)]) >= p; });
  }
};

template <bool kVector, class T>
struct DropPath {
  static constexpr const char* kName = "drop_path";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(InPlace<const T> x, InPlace<T> y, int64_t inner, int64_t blocks, float p, float scale,
                              RandomKey key, uint32_t sample0) const {
    const int64_t sample = block_x() / blocks, i = (block_x() - sample * blocks) * kElements + 4 * int64_t{thread_x()};
    if (i >= inner) return;
    const bool kept = dropout_keeps(key, sample0 + static_cast<uint32_t>(sample), 0, p);
    scale_kept<kVector, T>(x, y, sample * inner + i, inner - i, scale, [=](int) { return kept; });
  }
};

template <template <bool, class> class Kernel>
void start(const char* op, const Tensor& x, const Tensor& y, float p, const RandomKey& key, uint32_t sample0) {
  if (x.numel() == 0) return;
  const int64_t samples = x.dim(0), inner = x.numel() / samples, blocks = blocks_for(inner, kElements);
  dispatch_gpu(op, x.dtype(), [&](auto t) {
    using T = decltype(t);
    const Launch how{
        .grid = {static_cast<uint32_t>(samples * blocks)}, .block = {kThreads}, .op = op, .shapes = {&x.shape()}};
    const float scale = 1.0f / (1.0f - p);
    const auto aligned = [](const Tensor& tensor) {
      return reinterpret_cast<uintptr_t>(tensor.raw()) % (4 * sizeof(T)) == 0;
    };
    const T* from = x.data<T>();
    if (inner % 4 == 0 && aligned(x) && aligned(y)) {
      launch(Kernel<true, T>{}, how, from, y.data<T>(), inner, blocks, p, scale, key, sample0);
    } else {
      launch(Kernel<false, T>{}, how, from, y.data<T>(), inner, blocks, p, scale, key, sample0);
    }
  });
}

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa {
using namespace GFSA_DEVICE_NAMESPACE;

template <DeviceType D>
void DropoutKernels<D>::dropout(const Tensor& x, const Tensor& y, float p, const RandomKey& key, uint32_t sample0) {
  start<Dropout>("dropout", x, y, p, key, sample0);
}

template <DeviceType D>
void DropoutKernels<D>::drop_path(const Tensor& x, const Tensor& y, float p, const RandomKey& key, uint32_t sample0) {
  start<DropPath>("drop_path", x, y, p, key, sample0);
}

template struct DropoutKernels<GFSA_DEVICE_TYPE>;

}  // namespace gfsa
