// device_nvcc.h -- the vocabulary of device.h on a GPU; device.h includes it. Raw PTX lives here, in matrix_nvcc.h and
// in warpgroup_nvcc.h.
#pragma once

#include <cuda_runtime.h>

#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "core/cuda/matrix_nvcc.h"
#include "core/cuda/warpgroup_nvcc.h"

namespace gfsa::cuda {

template <class T>
using Global = T* __restrict__;
template <class T>
using InPlace = T*;
template <class T>
using Shared = T*;
template <class U, class T>
__device__ __forceinline__ U* cast(T* p) {
  return reinterpret_cast<U*>(p);
}

__device__ __forceinline__ uint32_t thread_x() { return threadIdx.x; }
__device__ __forceinline__ uint32_t thread_y() { return threadIdx.y; }
__device__ __forceinline__ uint32_t thread_z() { return threadIdx.z; }
__device__ __forceinline__ uint32_t block_x() { return blockIdx.x; }
__device__ __forceinline__ uint32_t block_y() { return blockIdx.y; }
__device__ __forceinline__ uint32_t block_z() { return blockIdx.z; }
__device__ __forceinline__ uint32_t block_dim_x() { return blockDim.x; }
__device__ __forceinline__ uint32_t block_dim_y() { return blockDim.y; }
__device__ __forceinline__ uint32_t block_dim_z() { return blockDim.z; }
__device__ __forceinline__ uint32_t grid_dim_x() { return gridDim.x; }
__device__ __forceinline__ uint32_t grid_dim_y() { return gridDim.y; }
__device__ __forceinline__ uint32_t grid_dim_z() { return gridDim.z; }
__device__ __forceinline__ uint32_t thread_rank() {
  return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
}
__device__ __forceinline__ uint32_t lane() { return thread_rank() % 32; }
__device__ __forceinline__ uint32_t warp() { return thread_rank() / 32; }
__device__ __forceinline__ int64_t global_x() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }

template <class T>
__device__ __forceinline__ std::remove_const_t<T> load(T* p, int64_t i, Where = Where::current()) {
  return p[i];
}
template <class T>
__device__ __forceinline__ void store(T* p, int64_t i, std::type_identity_t<T> v, Where = Where::current()) {
  p[i] = v;
}
// One access: through the type of a register or of a vector of them, whatever T is.
template <int N, class T>
__device__ __forceinline__ Vector<std::remove_const_t<T>, N> load_vector(T* p, int64_t i, Where = Where::current()) {
  using Moved = MovedAs<sizeof(T) * N>;
  const Moved bits = *reinterpret_cast<const Moved*>(p + i);
  Vector<std::remove_const_t<T>, N> v;
  memcpy(static_cast<void*>(&v), &bits, sizeof(bits));
  return v;
}
template <class T, int N>
__device__ __forceinline__ void store_vector(T* p, int64_t i, const Vector<T, N>& v, Where = Where::current()) {
  using Moved = MovedAs<sizeof(T) * N>;
  Moved bits;
  memcpy(&bits, static_cast<const void*>(&v), sizeof(bits));
  *reinterpret_cast<Moved*>(p + i) = bits;
}

// The type that atomicAdd and its kin know for T's bits.
template <class T>
using AtomicBits = std::conditional_t<sizeof(T) == 8, unsigned long long, unsigned>;
template <class T>
__device__ __forceinline__ T atomic_cas(T* p, int64_t i, std::type_identity_t<T> expected,
                                        std::type_identity_t<T> desired, Where = Where::current()) {
  using Bits = AtomicBits<T>;
  static_assert(sizeof(Bits) == sizeof(T));
  return std::bit_cast<T>(
      atomicCAS(reinterpret_cast<Bits*>(p + i), std::bit_cast<Bits>(expected), std::bit_cast<Bits>(desired)));
}
template <class T>
__device__ __forceinline__ T atomic_add(T* p, int64_t i, std::type_identity_t<T> v, Where = Where::current()) {
  if constexpr (std::is_same_v<T, uint64_t>) {
    return atomicAdd(reinterpret_cast<unsigned long long*>(p + i), static_cast<unsigned long long>(v));
  } else {
    return atomicAdd(p + i, v);
  }
}
template <class T>
__device__ __forceinline__ T atomic_max(T* p, int64_t i, std::type_identity_t<T> v, Where = Where::current()) {
  if constexpr (std::is_same_v<T, float>) {
    T old = p[i];
    while (old < v) {
      const T seen = atomic_cas(p, i, old, v);
      if (std::bit_cast<uint32_t>(seen) == std::bit_cast<uint32_t>(old)) break;
      old = seen;
    }
    return old;
  } else if constexpr (std::is_same_v<T, uint64_t>) {
    return atomicMax(reinterpret_cast<unsigned long long*>(p + i), static_cast<unsigned long long>(v));
  } else {
    return atomicMax(p + i, v);
  }
}

#define GFSA_SHARED(T, name, count)                                         \
  __shared__ __align__(16) unsigned char name##_bytes[sizeof(T) * (count)]; \
  const ::gfsa::cuda::Shared<T> name = reinterpret_cast<T*>(name##_bytes)
template <class T>
__device__ __forceinline__ T* dynamic_shared(int64_t first_byte, int64_t, Where = Where::current()) {
  extern __shared__ __align__(1024) unsigned char gfsa_dynamic_shared[];  // so that swizzled tiles may start in it
  return reinterpret_cast<T*>(gfsa_dynamic_shared + first_byte);
}

__device__ __forceinline__ void sync_block(Where = Where::current()) { __syncthreads(); }
__device__ __forceinline__ bool sync_block_or(bool p, Where = Where::current()) { return __syncthreads_or(p) != 0; }
__device__ __forceinline__ bool sync_block_and(bool p, Where = Where::current()) { return __syncthreads_and(p) != 0; }
__device__ __forceinline__ uint32_t sync_block_count(bool p, Where = Where::current()) {
  return static_cast<uint32_t>(__syncthreads_count(p));
}
__device__ __forceinline__ void sync_named(uint32_t id, uint32_t threads, Where = Where::current()) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
__device__ __forceinline__ void arrive_named(uint32_t id, uint32_t threads, Where = Where::current()) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
__device__ __forceinline__ void sync_warp(uint32_t mask = kAllLanes, Where = Where::current()) { __syncwarp(mask); }
__device__ __forceinline__ void fence_block() { __threadfence_block(); }
__device__ __forceinline__ void fence_device() { __threadfence(); }

// Any type of up to 8 bytes travels as its bits.
template <class T, class F>
__device__ __forceinline__ T by_bits(T v, F&& f) {
  using Bits = std::conditional_t<sizeof(T) == 8, unsigned long long, unsigned>;
  Bits bits = 0;
  memcpy(&bits, static_cast<const void*>(&v), sizeof(T));
  bits = f(bits);
  memcpy(static_cast<void*>(&v), &bits, sizeof(T));
  return v;
}
template <class T>
__device__ __forceinline__ T shuffle(T v, int source, uint32_t mask = kAllLanes, Where = Where::current()) {
  return by_bits(v, [=](auto bits) { return __shfl_sync(mask, bits, source); });
}
template <class T>
__device__ __forceinline__ T shuffle_up(T v, uint32_t n, uint32_t mask = kAllLanes, Where = Where::current()) {
  return by_bits(v, [=](auto bits) { return __shfl_up_sync(mask, bits, n); });
}
template <class T>
__device__ __forceinline__ T shuffle_down(T v, uint32_t n, uint32_t mask = kAllLanes, Where = Where::current()) {
  return by_bits(v, [=](auto bits) { return __shfl_down_sync(mask, bits, n); });
}
template <class T>
__device__ __forceinline__ T shuffle_xor(T v, uint32_t lanes, uint32_t mask = kAllLanes, Where = Where::current()) {
  return by_bits(v, [=](auto bits) { return __shfl_xor_sync(mask, bits, static_cast<int>(lanes)); });
}
__device__ __forceinline__ uint32_t vote_ballot(bool p, uint32_t mask = kAllLanes, Where = Where::current()) {
  return __ballot_sync(mask, p);
}
__device__ __forceinline__ bool vote_any(bool p, uint32_t mask = kAllLanes, Where = Where::current()) {
  return __any_sync(mask, p) != 0;
}
__device__ __forceinline__ bool vote_all(bool p, uint32_t mask = kAllLanes, Where = Where::current()) {
  return __all_sync(mask, p) != 0;
}
template <class T>
__device__ __forceinline__ T warp_sum(T v, Where = Where::current()) {
#pragma unroll
  for (uint32_t lanes = 16; lanes > 0; lanes /= 2) v = v + shuffle_xor(v, lanes);
  return v;
}
template <class T>
__device__ __forceinline__ T warp_max(T v, Where = Where::current()) {
#pragma unroll
  for (uint32_t lanes = 16; lanes > 0; lanes /= 2) {
    const T other = shuffle_xor(v, lanes);
    if constexpr (std::is_same_v<T, float>) {
      v = fmaxf(v, other);
    } else {
      v = v < other ? other : v;
    }
  }
  return v;
}

// Parameters keep what operator() says of them: plain arguments of a __global__ function. The kernel itself stays where
// arguments lie, for copies read the TensorMaps in it there.
template <class K, class... P>
__global__ void __launch_bounds__(max_threads_of<K>(), min_blocks_of<K>())
    run_kernel(const __grid_constant__ K kernel, P... p) {
  if constexpr (kHasWarpgroups || !needs_warpgroups<K>()) kernel(p...);
}

// Throws, naming kernel, op, shapes and launch, if `status` is a cudaError_t other than success.
void check_launch(int status, const char* kernel, const Launch& how);

template <class K, class... P, class... A>
void launch_as(std::tuple<P...>*, const K& kernel, const Launch& how, A&&... arguments) {
  static_assert(sizeof...(P) == sizeof...(A), "as many arguments as operator() has parameters");
  void (*const entry)(const K, P...) = run_kernel<K, P...>;
  constexpr uint32_t kWithoutAsking = 48 << 10;
  if (how.shared_bytes > kWithoutAsking) {
    check_launch(cudaFuncSetAttribute(reinterpret_cast<const void*>(entry), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      static_cast<int>(how.shared_bytes)),
                 K::kName, how);
  }
  const Stream stream = how.stream.handle == nullptr ? current_runtime().current_stream() : how.stream;
  entry<<<dim3(how.grid.x, how.grid.y, how.grid.z), dim3(how.block.x, how.block.y, how.block.z), how.shared_bytes,
          static_cast<cudaStream_t>(stream.handle)>>>(kernel, static_cast<P>(arguments)...);
  check_launch(cudaGetLastError(), K::kName, how);
}
template <class K, class... A>
void launch(const K& kernel, const Launch& how, A&&... arguments) {
  using Tuple = typename KernelParameters<decltype(&K::operator())>::Tuple;
  launch_as(static_cast<Tuple*>(nullptr), kernel, how, std::forward<A>(arguments)...);
}

}  // namespace gfsa::cuda
