#include "ops/dropout.h"

#include <cmath>
#include <cstring>

#include "core/cpu/philox_block.h"
#include "core/dispatch.h"
#include "core/expect.h"
#include "core/on_device.h"
#include "core/profile.h"
#include "ops/pointwise.h"

namespace gfsa {
namespace {

constexpr int64_t kCounters = 64, kElements = 4 * kCounters;  // of one block

// uniform_from_bits(bits) >= p, exactly, is bits >= this.
uint32_t least_kept(float p) { return static_cast<uint32_t>(std::ceil(p * 0x1p24f)) << 8; }

void keep_or_drop(const uint32_t* bits, int64_t n, uint32_t least, float scale, float* to) {
  simd::run([=] {
    const float kept = scale;  // not read under the condition, where a loop of vectors could not
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) to[i] = bits[i] >= least ? kept : 0.0f;
  });
}

void check(const char* op, const Tensor& x, double p) {
  Expect(op).floating("x", x).that(p >= 0 && p < 1, "p is {}, expected [0, 1)", p);
}

}  // namespace

template <>
void DropoutKernels<DeviceType::cpu>::dropout(const Tensor& x, const Tensor& y, float p, const RandomKey& key,
                                              uint32_t sample0) {
  const int64_t samples = x.dim(0), inner = samples == 0 ? 0 : x.numel() / samples;
  const int64_t blocks = (inner + kElements - 1) / kElements;
  const uint32_t least = least_kept(p);
  dispatch_floating("dropout", x.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* from = x.data<T>();
    T* to = y.data<T>();
    parallel_for(samples * blocks, 16, [&](int64_t begin, int64_t end) {
      simd::run([=] {
        using A = acc_t<T>;
        uint32_t bits[kElements];
        for (int64_t u = begin; u < end; ++u) {
          const int64_t sample = u / blocks, first = u % blocks * kElements, n = std::min(kElements, inner - first);
          philox_block(key, sample0 + static_cast<uint32_t>(sample), static_cast<uint64_t>(first / 4), (n + 3) / 4,
                       bits);
          const T* xs = from + sample * inner + first;
          T* ys = to + sample * inner + first;
          const A scale = A(1) / (A(1) - static_cast<A>(p));
#pragma omp simd
          for (int64_t i = 0; i < n; ++i) store(ys + i, bits[i] >= least ? load(xs + i) * scale : A(0));
        }
      });
    });
  });
}

template <>
void DropoutKernels<DeviceType::cpu>::drop_path(const Tensor& x, const Tensor& y, float p, const RandomKey& key,
                                                uint32_t sample0) {
  const int64_t samples = x.dim(0), inner = samples == 0 ? 0 : x.numel() / samples;
  if (inner == 0) return;
  dispatch_floating("drop_path", x.dtype(), [&](auto t) {
    using T = decltype(t);
    using A = acc_t<T>;
    const A scale = A(1) / (A(1) - static_cast<A>(p));
    const T* from = x.data<T>();
    T* to = y.data<T>();
    parallel_for(x.numel(), kPointwiseGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end;) {
        const int64_t sample = i / inner, stop = std::min(end, (sample + 1) * inner);
        const bool kept = dropout_keeps(key, sample0 + static_cast<uint32_t>(sample), 0, p);
        if (kept) {
          simd::run([=] {
#pragma omp simd
            for (int64_t k = i; k < stop; ++k) store(to + k, load(from + k) * scale);
          });
        } else {
          std::memset(static_cast<void*>(to + i), 0, static_cast<size_t>(stop - i) * sizeof(T));
        }
        i = stop;
      }
    });
  });
}

namespace {

void apply_dropout(const Tensor& x, const Tensor& y, float p, const RandomKey& key, uint32_t sample0) {
  on_device("dropout", x, [&](auto d) { DropoutKernels<d>::dropout(x, y, p, key, sample0); });
}
void apply_drop_path(const Tensor& x, const Tensor& y, float p, const RandomKey& key, uint32_t sample0) {
  on_device("drop_path", x, [&](auto d) { DropoutKernels<d>::drop_path(x, y, p, key, sample0); });
}

using Apply = void (*)(const Tensor&, const Tensor&, float, const RandomKey&, uint32_t);

Tensor drop(const char* op, Apply apply, const Tensor& x, double p, const RandomKey& key, uint32_t sample0,
            bool training) {
  check(op, x, p);
  if (p == 0 || !training) return x;
  Expect(op).that(x.rank() > 0, "x is a scalar, expected samples in dimension 0");
  const OpRange range(op);
  const auto share = static_cast<float>(p);
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  apply(x.contiguous(), y, share, key, sample0);
  return record(op, y, {x}, [apply, share, key, sample0](Tensor dy, GradOut& out) {
    const Tensor dx = reuse_or_empty(dy);
    profile::set_bytes(2 * dx.bytes());
    apply(dy, dx, share, key, sample0);
    out.give(0, dx);
  });
}

}  // namespace

Tensor dropout(const Tensor& x, double p, const RandomKey& key, uint32_t sample0, bool training) {
  return drop("dropout", apply_dropout, x, p, key, sample0, training);
}

Tensor drop_path(const Tensor& x, double p, const RandomKey& key, uint32_t sample0, bool training) {
  return drop("drop_path", apply_drop_path, x, p, key, sample0, training);
}

void dropout_mask(float* out, int64_t n, const RandomKey& key, uint32_t sample, uint64_t first_index, float p) {
  const float scale = 1.0f / (1.0f - p);
  const uint32_t least = least_kept(p);
  uint32_t bits[kElements];
  int64_t skip = static_cast<int64_t>(first_index % 4);
  uint64_t counter = first_index / 4;
  for (int64_t done = 0; done < n; skip = 0, counter += kCounters) {
    const int64_t count = std::min(kElements - skip, n - done);
    philox_block(key, sample, counter, (skip + count + 3) / 4, bits);
    keep_or_drop(bits + skip, count, least, scale, out + done);
    done += count;
  }
}

}  // namespace gfsa
