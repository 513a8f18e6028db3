// gemm.h -- matrix products on raw memory, through oneDNN (it picks AVX2, AVX-512, AVX512-BF16 or AMX). The ground
// under linear and attention; not differentiable by itself.
//
//   C[m, n] = op(A)[m, k] op(B)[k, n] (+ C if accumulate) (+ bias[n])
//
// Row-major with leading dimensions in elements; op(X) reads X transposed if the flag is set (then A is stored [k, m]
// with lda >= m, B is stored [n, k] with ldb >= k). Sums are kept in f32 (f64 for f64). Called outside a parallel
// region the team works on it together; inside one, each call is the calling thread's own (tiles of attention).
// Primitives are made once a shape and kept. Same shape, same machine, same thread count: same bits.
#pragma once

#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"

namespace gfsa {

struct Gemm {
  DType a_type = DType::f32;  // of A and B: f64, f32 or bf16
  DType c_type = DType::f32;  // of C: as A, or f32 when A is bf16
  bool transpose_a = false, transpose_b = false;
  int64_t m = 0, n = 0, k = 0;
  int64_t lda = 0, ldb = 0, ldc = 0;  // 0: dense
  bool accumulate = false;
  bool bias = false;  // [n], f32 (f64 for f64)
  bool operator==(const Gemm&) const = default;
};

// Several products of one shape, whose operands stand at even distances (in elements; 0: all read the same one).
struct GemmBatch {
  int64_t count = 1;
  int64_t step_a = 0, step_b = 0, step_c = 0;
  bool operator==(const GemmBatch&) const = default;
};

// Any of m, n, k may be 0 (k = 0 writes zeros, or the bias, or leaves C if accumulate).
void gemm(const Gemm& problem, const void* a, const void* b, void* c, const void* bias = nullptr);

// The same on any device, whose memory the pointers name. On GPUs: f32 and bf16, on the current stream, through
// cuBLASLt (the emulated device computes on the CPU), with algorithms chosen once a shape and kept.
void gemm(Device device, const Gemm& problem, const void* a, const void* b, void* c, const void* bias = nullptr,
          const GemmBatch& batch = {});

// Whether f32 products on GPUs may round their operands to TF32 (10 bits of mantissa, tensor cores). Off at first.
void allow_tf32(bool allow);
bool tf32_allowed();

template <DeviceType D>
struct GemmKernels {
  // m, n and count > 0; leading dimensions filled in.
  static void run(Device device, const Gemm& problem, const void* a, const void* b, void* c, const void* bias,
                  const GemmBatch& batch);
};

}  // namespace gfsa
