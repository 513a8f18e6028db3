// gemm.h -- matrix products on raw memory: on the CPU by kernels of our own (gemm_blocked.h, gemm_few_rows.h), or by
// oneDNN's where those are faster. The ground under linear and attention; not differentiable by itself.
//
//   C[m, n] = op(A)[m, k] op(B)[k, n] (+ C if accumulate) (+ bias[n])
//
// Row-major with leading dimensions in elements; op(X) reads X transposed if the flag is set (then A is stored [k, m]
// with lda >= m, B is stored [n, k] with ldb >= k). Sums are kept in f32 (f64 for f64). The team works on it together.
// Same shape, same machine, same thread count: same bits.
#pragma once

#include <cstdint>
#include <vector>

#include "core/device.h"
#include "core/dtype.h"

namespace gfsa {

enum class Activation : uint8_t;  // ops/activation.h

struct Gemm {
  DType a_type = DType::f32;  // of A and B: f64, f32 or bf16
  DType c_type = DType::f32;  // of C: as A, or f32 when A is bf16
  bool transpose_a = false, transpose_b = false;
  int64_t m = 0, n = 0, k = 0;
  int64_t lda = 0, ldb = 0, ldc = 0;  // 0: dense
  bool accumulate = false;
  bool bias = false;  // [n], f32 (f64 for f64)
  // On the CPU: the product is of activation(A), activation(B), rounded to their type, which are never stored whole.
  Activation activation_a{}, activation_b{};
  bool operator==(const Gemm&) const = default;
};

// Several products of one shape, whose operands stand at even distances (in elements; 0: all read the same one).
struct GemmBatch {
  int64_t count = 1;
  int64_t step_a = 0, step_b = 0, step_c = 0;
  bool operator==(const GemmBatch&) const = default;
};

// What may be done beside a product, in the same trip through memory: by a GPU's library, and sums on the CPU too.
// gelu_tanh is that of ops/activation.h, the only GELU that cuBLASLt has. z: [m, n] of c_type, dense.
struct GemmEpilogue {
  enum class Kind : uint8_t {
    none,
    gelu_tanh,           // C = gelu_tanh(z) with z = product + bias, which is stored unless z is null
    gelu_tanh_gradient,  // C = product o gelu_tanh'(z); sums [n], unless null, become the sums of C's columns
    sums_of_a,           // sums [m] become the sums over k of op(A): a bias's gradient beside its weight's
    sums_of_b,           // sums [n] of op(B)
  };
  Kind kind = Kind::none;
  void* z = nullptr;
  float* sums = nullptr;
};

// Any of m, n, k may be 0 (k = 0 writes zeros, or the bias, or leaves C if accumulate).
void gemm(const Gemm& problem, const void* a, const void* b, void* c, const void* bias = nullptr);

// The same without bias for a small product that is one thread's own, in a parallel region or not: a tile of attention.
void gemm_tile(const Gemm& problem, const void* a, const void* b, void* c);

// The same as gemm() on any device, whose memory the pointers name. On GPUs: f32 and bf16, on the current stream,
// through cuBLASLt (the emulated device computes on the CPU), with algorithms chosen once a shape and kept.
void gemm(Device device, const Gemm& problem, const void* a, const void* b, void* c, const void* bias = nullptr,
          const GemmBatch& batch = {});

// The same with an epilogue, if the device's library has it for this problem (asked once a shape); else false, and
// nothing has been done. On the CPU: sums of what gemm_blocked.h packs. C may be added to only where nothing but sums
// are asked for.
bool gemm(Device device, const Gemm& problem, const GemmEpilogue& epilogue, const void* a, const void* b, void* c,
          const void* bias = nullptr);

// Which products gemm() computes on the CPU while one of these lives, for the calling thread: what a step is made of.
class ProductLog {
 public:
  struct Entry {
    Gemm problem;
    int64_t count = 0;
  };
  ProductLog();
  ~ProductLog();
  ProductLog(const ProductLog&) = delete;
  ProductLog& operator=(const ProductLog&) = delete;
  void note(const Gemm& problem);
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
  ProductLog* before_;
};

// Whether f32 products on GPUs may round their operands to TF32 (10 bits of mantissa, tensor cores). Off at first.
void allow_tf32(bool allow);
bool tf32_allowed();

template <DeviceType D>
struct GemmKernels {
  // m, n and count > 0; leading dimensions filled in. With an epilogue count is 1 and k > 0, and the rules are kept
  // that cuBLASLt has for z. False: it has no such epilogue.
  static bool run(Device device, const Gemm& problem, const void* a, const void* b, void* c, const void* bias,
                  const GemmBatch& batch, const GemmEpilogue& epilogue);
};

}  // namespace gfsa
