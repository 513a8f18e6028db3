#include "train/finite.h"

#include <algorithm>

#include "base/threads.h"
#include "core/cpu/simd.h"
#include "core/dispatch.h"
#include "core/on_device.h"

namespace gfsa::train {
namespace {

constexpr int64_t kBlock = 1 << 15;  // elements

// An IEEE number is not finite exactly if all bits of its exponent are set.
template <class Bits>
inline bool any_not_finite(const Bits* x, int64_t n, Bits exponent) {
  Bits found = 0;
#pragma omp simd reduction(| : found)
  for (int64_t i = 0; i < n; ++i) found |= static_cast<Bits>((x[i] & exponent) == exponent);
  return found != 0;
}

template <class Bits>
std::optional<int64_t> first_in(const Bits* x, int64_t n, Bits exponent) {
  const int64_t blocks = (n + kBlock - 1) / kBlock;
  std::vector<char> found(static_cast<size_t>(blocks));
  parallel_for(blocks, 2, [&](int64_t begin, int64_t end) {
    simd::run([&] {
      for (int64_t b = begin; b < end; ++b) {
        found[static_cast<size_t>(b)] =
            static_cast<char>(any_not_finite(x + b * kBlock, std::min(kBlock, n - b * kBlock), exponent));
      }
    });
  });
  const auto block = std::find(found.begin(), found.end(), 1);
  if (block == found.end()) return std::nullopt;
  int64_t i = (block - found.begin()) * kBlock;
  while ((x[i] & exponent) != exponent) ++i;
  return i;
}

// t: contiguous, floating, on the CPU.
std::optional<int64_t> first_on_cpu(const Tensor& t) {
  const int64_t n = t.numel();
  switch (t.dtype()) {
    case DType::f64:
      return first_in<uint64_t>(static_cast<const uint64_t*>(t.raw()), n, 0x7FF0000000000000u);
    case DType::bf16:
      return first_in<uint16_t>(static_cast<const uint16_t*>(t.raw()), n, 0x7F80u);
    default:
      return first_in<uint32_t>(static_cast<const uint32_t*>(t.raw()), n, 0x7F800000u);
  }
}

}  // namespace

template <>
void FiniteKernels<DeviceType::cpu>::mark(const Tensor& x, const Tensor& flag) {
  if (first_on_cpu(x)) *flag.data<int32_t>() = 1;
}

std::optional<int64_t> first_not_finite(const Tensor& tensor) {
  if (!is_floating(tensor.dtype()) || tensor.numel() == 0) return std::nullopt;
  Tensor t = tensor.detach().contiguous();
  if (!is_on_cpu(t)) {
    if (not_finite_flags({t}).item() == 0) return std::nullopt;
    t = t.to(Device{});
  }
  return first_on_cpu(t);
}

Tensor not_finite_flags(const std::vector<Tensor>& tensors) {
  const auto n = static_cast<int64_t>(tensors.size());
  const Tensor flags = Tensor::zeros({n}, DType::i32, n == 0 ? Device{} : tensors[0].device());
  for (int64_t i = 0; i < n; ++i) {
    const Tensor& t = tensors[static_cast<size_t>(i)];
    if (!is_floating(t.dtype()) || t.numel() == 0) continue;
    on_device("not_finite_flags", t, [&](auto d) { FiniteKernels<d>::mark(t, flags.slice(0, i, i + 1)); });
  }
  return flags;
}

}  // namespace gfsa::train
