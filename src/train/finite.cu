// Looks at tensors on a GPU for elements that are not finite.
#include <algorithm>

#include "core/cuda/device.h"
#include "train/finite.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = 2048;  // each thread then goes on in strides

// N elements an access. An IEEE number is not finite exactly if all bits of its exponent are set.
template <class Bits, int N>
struct MarkNotFinite {
  static constexpr const char* kName = "mark_not_finite";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(Global<const Bits> x, Global<int32_t> flag, Bits exponent, int64_t n) const {
    bool found = false;
    const int64_t stride = int64_t{grid_dim_x()} * kThreads;
    const int64_t whole = n / N;
    for (int64_t i = global_x(); i < whole; i += stride) {
      if constexpr (N == 1) {
        found = found || (load(x, i) & exponent) == exponent;
      } else {
        auto v = load_vector<N>(x, i * N);
        for (int j = 0; j < N; ++j) found = found || (v[j] & exponent) == exponent;
      }
    }
    const int64_t tail = whole * N + global_x();
    if (tail < n) found = found || (load(x, tail) & exponent) == exponent;
    if (sync_block_or(found) && thread_x() == 0) atomic_max(flag, 0, 1);
  }
};

template <class Bits>
void mark(const Tensor& x, const Tensor& flag, Bits exponent) {
  constexpr int kVector = 16 / sizeof(Bits);
  const int64_t n = x.numel();
  const auto run = [&](auto kernel, int per_access) {
    const int64_t blocks = std::min<int64_t>(kMaxBlocks, (n + kThreads * per_access - 1) / (kThreads * per_access));
    launch(kernel,
           {.grid = {static_cast<uint32_t>(blocks)},
            .block = {kThreads},
            .op = "not_finite_flags",
            .shapes = {&x.shape()}},
           static_cast<const Bits*>(x.raw()), flag.data<int32_t>(), exponent, n);
  };
  if (reinterpret_cast<uintptr_t>(x.raw()) % 16 == 0) {
    run(MarkNotFinite<Bits, kVector>{}, kVector);
  } else {
    run(MarkNotFinite<Bits, 1>{}, 1);
  }
}

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa::train {
using namespace GFSA_DEVICE_NAMESPACE;

template <DeviceType D>
void FiniteKernels<D>::mark(const Tensor& x, const Tensor& flag) {
  if (x.dtype() == DType::bf16) {
    GFSA_DEVICE_NAMESPACE::mark<uint16_t>(x, flag, 0x7F80u);
  } else if (x.dtype() == DType::f32) {
    GFSA_DEVICE_NAMESPACE::mark<uint32_t>(x, flag, 0x7F800000u);
  } else {
    fail("not_finite_flags: on a GPU takes f32 or bf16, not {}", name_of(x.dtype()));
  }
}

template struct FiniteKernels<GFSA_DEVICE_TYPE>;

}  // namespace gfsa::train
