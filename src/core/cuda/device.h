// device.h -- the vocabulary that kernels are written in, and the only header a kernel includes.
//
// A kernel file (.cu) is compiled twice: by nvcc for GPUs (namespace gfsa::cuda) and by the host's compiler, with
// GFSA_EMULATED defined, for the emulated device (namespace gfsa::emulated). Both can live in one program.
//
//   #include "core/cuda/device.h"
//   namespace gfsa::GFSA_DEVICE_NAMESPACE {
//   namespace {  // another file may have a kernel of this name
//   struct Scale {
//     static constexpr const char* kName = "scale";
//     static constexpr int kMaxThreads = 256;  // optional
//     GFSA_DEVICE void operator()(Global<const float> x, Global<float> y, float a, int64_t n) const {
//       const int64_t i = global_x();
//       if (i < n) store(y, i, a * load(x, i));
//     }
//   };
//   }
//   void scale(const float* x, float* y, float a, int64_t n) {
//     launch(Scale{}, {.grid = {blocks_for(n, 256)}, .block = {256}, .op = "scale"}, x, y, a, n);
//   }
//   }
//
// Rules: every access of global and shared memory goes through these functions (the emulated device has no operator[]);
// nothing on a thread's stack needs a destructor; a kernel's operator() is neither overloaded nor a template (its
// struct may be one). Functions of <cmath> with an f (expf, tanhf) and constexpr functions may be called; nvcc
// contracts a * b + c, the host does not.
//
// clang-format off
// Types
//   Global<T>     T* __restrict__ on the GPU: no other argument names this memory if anybody writes it (checked for
//                 equal addresses). InPlace<T>: another may. Shared<T>: shared memory. p + n, cast<U>(p) work on all.
//   Vector<T, N>  N elements, aligned to their size: 4, 8 or 16 bytes. v[i].
// Indices         thread_x() block_x() block_dim_x() grid_dim_x() and y, z; thread_rank() lane() warp();
//                 global_x(): int64
// Memory          load(p, i)  store(p, i, v)  load_vector<N>(p, i)  store_vector(p, i, v): i counts elements
// Shared memory   GFSA_SHARED(float, tile, 32 * 33); declares Shared<float> tile;
//                 dynamic_shared<T>(first_byte, count)
// Atomics         atomic_add atomic_max atomic_cas (float, int32, uint32, uint64): (p, i, v), cas (p, i, expected,
//                 desired); give back the old value
// Barriers        sync_block()  sync_block_or/and/count(predicate)  sync_warp(mask)  fence_block()  fence_device()
//                 sync_named(id, threads)  arrive_named(id, threads): id 1 to 15, threads a multiple of 32
// Warp            shuffle(v, lane)  shuffle_up/down(v, n)  shuffle_xor(v, mask)  vote_any/all/ballot(predicate): a last
//                 argument is the mask of lanes, default all. warp_sum(v)  warp_max(v): of all lanes, in every lane, by
//                 a butterfly 16, 8, 4, 2, 1. None of them orders memory accesses; sync_warp does.
// Copies          copy_async<bytes>(to, i, from, j): 4, 8 or 16 bytes, both sides aligned to them;
//                 copy_async<bytes>(to, i, from, j, valid): reads `valid` bytes, the rest arrives as 0
//                 copy_async_commit()  copy_async_wait<n>(): all groups of this thread but the last n
//                 copy_async_wait_all()
// Matrices        fragments as in the PTX manual; all lanes of the warp call
//                 ldmatrix(r, row)  ldmatrix_transposed(r, row): r[1], r[2] or r[4] registers, as many 8x8 matrices of
//                 bf16; lane l gives the address of row l % 8 of matrix l / 8 (16 bytes, aligned), others anything
//                 mma_bf16(d, a, b): m16n8k16, d += a b; a[4], b[2] pairs of bf16, d[4] f32
//                 mma_tf32(d, a, b): m16n8k8, a[4], b[2] from to_tf32()
// Warpgroups      Four warps, the first of a number divisible by 4: wgmma and its kin, on GPUs of compute capability 9.0
//                 alone and on the emulated device with GFSA_EMULATED_ARCH=90: DeviceRuntime::has_warpgroups() tells. A
//                 kernel that uses them says `static constexpr bool kNeedsWarpgroups = true`
//   Mbarrier      a word in shared memory, Shared<Mbarrier> b, that counts arrivals and bytes of a phase; one thread:
//                 mbarrier_init(b, i, arrivals), then mbarrier_init_fence(), then all: a barrier of the block
//                 mbarrier_arrive(b, i)  mbarrier_arrive_expect(b, i, bytes): the phase waits for these bytes too
//                 mbarrier_wait(b, i, parity): until the phase of that parity is over; the first phase's is 0, the
//                 next one's 1, then 0. What threads did before they arrived is before what follows the wait
//   TensorMap     a tensor of bf16 in global memory and the boxes of it that copies bring (launch.h), a member of the
//                 kernel's struct, from tensor_map(...) on the host
//                 copy_box_async(to, i, map, {column, row, c2, c3, c4}, b, n): one thread; TMA brings box_rows rows of
//                 64 columns to `to + i`, a multiple of 1024 bytes, in the 128-byte swizzle, zeros for what lies
//                 outside of the tensor, and tells b[n] of box_rows * 128 bytes
//                 prefetch_map(map)
//   Products      wgmma<Major>(d, a, b, accumulate): d[64][8 kTiles] of the warpgroup = (d +) a[64][16] b, in warp w's
//                 lanes the rows from 16 w on, laid out as mma's d[n][4]. a: a descriptor of a K-major tile, or a[4]
//                 registers as for mma. b: a descriptor of b[8 kTiles][16] (Major::k) or b[16][8 kTiles] (Major::mn).
//                 matrix_descriptor(address, leading, stride): matrix_descriptor.h; shared_address(p): in bytes
//                 Asynchronous: wgmma_fence() before the first after other code touched d or a; wgmma_commit(): those
//                 since the last one are a group; wgmma_wait<n>(d...): all of this thread's groups but the last n, of
//                 which d are the accumulators; in between nobody touches d, a, or the tiles
//                 fence_async_proxy(): what this thread stored to shared memory is there for wgmma
//   Registers     give_registers<n>()  take_registers<n>(): of each thread of the warpgroup from here on
// Conversions     to_float(bfloat16) to_bfloat16(float) pack_bf16(low, high) low_of(pair) high_of(pair) to_tf32(float)
//                 bits_of(float) float_of(bits)  as_float(float or bfloat16)  from_float<T>(float)
// Approximations  exp2_fast log2_fast rsqrt_fast: 2^-21, relative (log2 near 1: absolute); denormals are 0
// clang-format on
//
// Functions of a kernel that access memory for their caller take a last argument `Where where = Where::current()` and
// pass it on, so that findings name the caller's line.
//
// What the emulated device costs, in processor time of one core (2.6 GHz EPYC, -O3; test EmulatedDevice.Speed): a
// global load 6 ns, a shared load 8 ns, a barrier 40 ns and a shuffle 35 ns a thread, an mma of a warp 2.1 us. On a
// Xeon that takes 2.9 us for the mma, a wgmma takes each of its warps 6.5 us for m64n64k16 and 9.4 us for m64n128k16.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "core/cuda/launch.h"
#include "core/cuda/matrix_descriptor.h"
#include "core/dtype.h"

#if defined(GFSA_EMULATED)
#define GFSA_DEVICE_NAMESPACE emulated
#define GFSA_DEVICE_TYPE ::gfsa::DeviceType::emulated
#define GFSA_DEVICE inline
#include "core/cuda/device_emulated.h"
#elif defined(__CUDACC__)
#define GFSA_DEVICE_NAMESPACE cuda
#define GFSA_DEVICE_TYPE ::gfsa::DeviceType::cuda
#define GFSA_DEVICE __device__ __forceinline__
#include "core/cuda/device_nvcc.h"
#else
#error "kernels are compiled by nvcc, or with GFSA_EMULATED by the host's compiler"
#endif

namespace gfsa::GFSA_DEVICE_NAMESPACE {

// Elements of f32 or bf16 tensors as what is computed with, and back.
GFSA_DEVICE float as_float(float x) { return x; }
GFSA_DEVICE float as_float(bfloat16 x) { return to_float(x); }
template <class T>
GFSA_DEVICE T from_float(float x) {
  if constexpr (std::is_same_v<T, bfloat16>) {
    return to_bfloat16(x);
  } else {
    return x;
  }
}

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
