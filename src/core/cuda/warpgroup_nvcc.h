// warpgroup_nvcc.h -- what device.h says of warpgroups, on a GPU of compute capability 9.0 in PTX; device_nvcc.h
// includes it. (PTX ISA manual: "mbarrier", "cp.async.bulk.tensor", "Asynchronous Warpgroup Level Matrix
// Instructions".)
#pragma once

#include <array>

#include "core/cuda/matrix_descriptor.h"
#include "core/cuda/matrix_nvcc.h"

namespace gfsa::cuda {

// Instructions of sm_90a: other passes of the compiler must not see them. The host's pass sees what a GPU may have.
#if defined(__CUDA_ARCH__) && !defined(__CUDA_ARCH_FEAT_SM90_ALL)
inline constexpr bool kHasWarpgroups = false;
#else
inline constexpr bool kHasWarpgroups = true;
#endif

// A CUtensorMap: 128 bytes that the driver fills in.
struct alignas(64) TensorMap {
  unsigned char bytes[128];
};
TensorMap tensor_map(const BoxedTensor& tensor);  // on the host

__device__ __forceinline__ void mbarrier_init(Mbarrier* b, int64_t i, uint32_t arrivals, Where = Where::current()) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(b + i)), "r"(arrivals) : "memory");
}
__device__ __forceinline__ void mbarrier_init_fence(Where = Where::current()) {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ __forceinline__ void mbarrier_arrive(Mbarrier* b, int64_t i, Where = Where::current()) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(b + i)) : "memory");
}
__device__ __forceinline__ void mbarrier_arrive_expect(Mbarrier* b, int64_t i, uint32_t bytes,
                                                       Where = Where::current()) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(b + i)), "r"(bytes)
               : "memory");
}
__device__ __forceinline__ void mbarrier_wait(Mbarrier* b, int64_t i, uint32_t parity, Where = Where::current()) {
  uint32_t over = 0;
  do {  // the instruction itself waits for some time
    asm volatile(
        "{ .reg .pred over; "
        "mbarrier.try_wait.parity.shared::cta.b64 over, [%1], %2; "
        "selp.u32 %0, 1, 0, over; }"
        : "=r"(over)
        : "r"(shared_address(b + i)), "r"(parity)
        : "memory");
  } while (over == 0);
}

template <class T>
__device__ __forceinline__ void copy_box_async(T* to, int64_t i, const TensorMap& map, const std::array<int, 5>& at,
                                               Mbarrier* b, int64_t n, Where = Where::current()) {
  asm volatile(
      "cp.async.bulk.tensor.5d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], "
      "[%1, {%2, %3, %4, %5, %6}], [%7];" ::"r"(shared_address(to + i)),
      "l"(&map), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]), "r"(at[4]), "r"(shared_address(b + n))
      : "memory");
}
__device__ __forceinline__ void prefetch_map(const TensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

__device__ __forceinline__ void fence_async_proxy(Where = Where::current()) {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
template <int kRegisters>
__device__ __forceinline__ void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

__device__ __forceinline__ void wgmma_fence(Where = Where::current()) {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void wgmma_commit(Where = Where::current()) {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// The compiler must not move what reads or writes accumulators across the wait.
template <int kTiles>
__device__ __forceinline__ void keep_in_order(float (&d)[kTiles][4]) {
#pragma unroll
  for (int n = 0; n < kTiles; ++n) {
#pragma unroll
    for (int e = 0; e < 4; ++e) asm volatile("" : "+f"(d[n][e])::"memory");
  }
}
template <int kGroupsLeft, class... D>
__device__ __forceinline__ void wgmma_wait(D&... d) {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kGroupsLeft) : "memory");
  (keep_in_order(d), ...);
}

#define GFSA_D(n) "+f"(d[n][0]), "+f"(d[n][1]), "+f"(d[n][2]), "+f"(d[n][3])
#define GFSA_D8(n) \
  GFSA_D(n), GFSA_D(n + 1), GFSA_D(n + 2), GFSA_D(n + 3), GFSA_D(n + 4), GFSA_D(n + 5), GFSA_D(n + 6), GFSA_D(n + 7)
#define GFSA_D8_NAMES                                                          \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16," \
  "%17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define GFSA_D16_NAMES                                                                                     \
  GFSA_D8_NAMES                                                                                            \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, " \
  "%52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"

// a in shared memory.
template <Major kMajor, int kTiles>
__device__ __forceinline__ void wgmma(float (&d)[kTiles][4], uint64_t a, uint64_t b, bool accumulate,
                                      Where = Where::current()) {
  static_assert(kTiles == 8 || kTiles == 16);
  constexpr int kTransposed = kMajor == Major::mn ? 1 : 0;
  const int add = accumulate ? 1 : 0;
  if constexpr (kTiles == 8) {
    asm volatile(
        "{ .reg .pred add; setp.ne.b32 add, %34, 0; "
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" GFSA_D8_NAMES "}, %32, %33, add, 1, 1, 0, %35; }"
        : GFSA_D8(0)
        : "l"(a), "l"(b), "r"(add), "n"(kTransposed));
  } else {
    asm volatile(
        "{ .reg .pred add; setp.ne.b32 add, %66, 0; "
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" GFSA_D16_NAMES "}, %64, %65, add, 1, 1, 0, %67; }"
        : GFSA_D8(0), GFSA_D8(8)
        : "l"(a), "l"(b), "r"(add), "n"(kTransposed));
  }
}
// a in registers.
template <Major kMajor, int kTiles>
__device__ __forceinline__ void wgmma(float (&d)[kTiles][4], const uint32_t (&a)[4], uint64_t b, bool accumulate,
                                      Where = Where::current()) {
  static_assert(kTiles == 8 || kTiles == 16);
  constexpr int kTransposed = kMajor == Major::mn ? 1 : 0;
  const int add = accumulate ? 1 : 0;
  if constexpr (kTiles == 8) {
    asm volatile(
        "{ .reg .pred add; setp.ne.b32 add, %37, 0; "
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" GFSA_D8_NAMES
        "}, {%32, %33, %34, %35}, %36, add, 1, 1, %38; }"
        : GFSA_D8(0)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add), "n"(kTransposed));
  } else {
    asm volatile(
        "{ .reg .pred add; setp.ne.b32 add, %69, 0; "
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" GFSA_D16_NAMES
        "}, {%64, %65, %66, %67}, %68, add, 1, 1, %70; }"
        : GFSA_D8(0), GFSA_D8(8)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add), "n"(kTransposed));
  }
}
#undef GFSA_D
#undef GFSA_D8
#undef GFSA_D8_NAMES
#undef GFSA_D16_NAMES

}  // namespace gfsa::cuda
