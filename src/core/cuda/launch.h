// launch.h -- what a launch says beside its kernel and arguments, and what both halves of device.h know about kernels.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <tuple>

#include "core/cuda/runtime.h"
#include "core/dtype.h"
#include "core/shape.h"

namespace gfsa {

struct Dim3 {
  uint32_t x = 1, y = 1, z = 1;
  constexpr uint64_t count() const { return uint64_t{x} * y * z; }
  bool operator==(const Dim3&) const = default;
};

struct Launch {
  Dim3 grid;
  Dim3 block;
  uint32_t shared_bytes = 0;  // dynamic shared memory
  Stream stream = {};         // default: the current one
  // For errors: the op and the shapes that it was called with.
  const char* op = "";
  std::array<const Shape*, 4> shapes = {};

  std::string op_text() const {
    std::string text = op;
    for (const Shape* shape : shapes) {
      if (shape != nullptr) text += (text.empty() ? "" : " ") + shape->text();
    }
    return text;
  }
};

// A word of shared memory that threads and copies arrive at.
using Mbarrier = uint64_t;

// What a TensorMap describes: a tensor of bf16 whose element (i0, .., i4) stands at sum of i_d steps[d], and boxes of
// 64 x box_rows elements of its first two dimensions. steps[0] is 1; the address and the other steps are multiples of
// 16 bytes, box_rows is at most 256.
struct BoxedTensor {
  const bfloat16* data = nullptr;
  std::array<int64_t, 5> sizes{1, 1, 1, 1, 1}, steps{1, 0, 0, 0, 0};
  int64_t box_rows = 64;
};
inline constexpr int64_t kBoxColumns = 64;

// Blocks of `per_block` that cover `n`.
constexpr uint32_t blocks_for(int64_t n, int64_t per_block) {
  return static_cast<uint32_t>((n + per_block - 1) / per_block);
}

// A thread for each of n elements, in blocks of `of_block` threads.
inline Launch one_thread_each(const char* op, int64_t n, uint32_t of_block,
                              const std::array<const Shape*, 4>& shapes = {}) {
  return {.grid = {blocks_for(n, of_block)}, .block = {of_block}, .op = op, .shapes = shapes};
}

// So that both halves agree on it: plain bytes, moved as one access.
template <class T, int N>
struct alignas(sizeof(T) * N) Vector {
  static_assert(sizeof(T) * N == 4 || sizeof(T) * N == 8 || sizeof(T) * N == 16, "an access moves 4, 8 or 16 bytes");
  T v[N];
  constexpr T& operator[](int i) { return v[i]; }
  constexpr const T& operator[](int i) const { return v[i]; }
};
constexpr uint32_t kAllLanes = 0xFFFFFFFFu;

// The parameter types of a kernel's operator().
template <class F>
struct KernelParameters;
template <class K, class... P>
struct KernelParameters<void (K::*)(P...) const> {
  using Tuple = std::tuple<P...>;
};

// A kernel may say `static constexpr int kMaxThreads` (threads of a block) and kMinBlocks (blocks at once on a
// multiprocessor): the compiler then knows how many registers it may use, and larger blocks are refused.
template <class K>
constexpr int max_threads_of() {
  if constexpr (requires { K::kMaxThreads; }) {
    return K::kMaxThreads;
  } else {
    return 1024;
  }
}
template <class K>
constexpr int min_blocks_of() {
  if constexpr (requires { K::kMinBlocks; }) {
    return K::kMinBlocks;
  } else {
    return 1;
  }
}

// With `static constexpr bool kNeedsWarpgroups = true` a kernel is compiled for GPUs that have them alone.
template <class K>
constexpr bool needs_warpgroups() {
  if constexpr (requires { K::kNeedsWarpgroups; }) {
    return K::kNeedsWarpgroups;
  } else {
    return false;
  }
}

}  // namespace gfsa
