#include "ops/gemm.h"

#include <atomic>

#include "base/error.h"
#include "base/threads.h"
#include "core/dispatch.h"
#include "core/on_device.h"
#include "core/profile.h"
#include "ops/activation.h"
#include "ops/gemm_blocked.h"
#include "ops/gemm_few_rows.h"
#include "ops/gemm_onednn.h"
#include "ops/kept_memory.h"

namespace gfsa {
namespace {

// Leading dimensions filled in, and those of single rows made canonical (their value never matters).
Gemm normalised(Gemm g) {
  if (g.lda == 0 || (g.transpose_a ? g.k : g.m) == 1) g.lda = g.transpose_a ? g.m : g.k;
  if (g.ldb == 0 || (g.transpose_b ? g.n : g.k) == 1) g.ldb = g.transpose_b ? g.k : g.n;
  if (g.ldc == 0 || g.m == 1) g.ldc = g.n;
  return g;
}

void empty_product(const Gemm& g, void* c, const void* bias) {
  for (int64_t i = 0; i < g.m; ++i) {
    for (int64_t j = 0; j < g.n; ++j) {
      const int64_t at = i * g.ldc + j;
      if (g.c_type == DType::f64) {
        double& out = static_cast<double*>(c)[at];
        out = (g.accumulate ? out : 0.0) + (g.bias ? static_cast<const double*>(bias)[j] : 0.0);
        continue;
      }
      const float add = g.bias ? static_cast<const float*>(bias)[j] : 0.0f;
      if (g.c_type == DType::f32) {
        float& out = static_cast<float*>(c)[at];
        out = (g.accumulate ? out : 0.0f) + add;
      } else {
        bfloat16& out = static_cast<bfloat16*>(c)[at];
        out = bfloat16((g.accumulate ? static_cast<float>(out) : 0.0f) + add);
      }
    }
  }
}

bool is_empty(const Gemm& g, void* c, const void* bias) {
  if (g.k == 0) empty_product(g, c, bias);
  return g.m == 0 || g.n == 0 || g.k == 0;
}

// Whether gemm_blocked() is the one that computes it.
bool is_blocked(const Gemm& g) { return !has_few_rows(g) && !(g.a_type == DType::bf16 && is_onednn_faster_in_bf16()); }

thread_local ProductLog* product_log = nullptr;

void count_product(const Gemm& g) {
  profile::add_flops(2 * g.m * g.n * g.k);
  if (product_log != nullptr) product_log->note(g);
}

// activation(x) of an operand as a whole, for kernels that have none; dense from then on.
template <class Operand>
const void* activated(Activation& activation, DType type, int64_t rows, int64_t columns, const void* x, int64_t& step) {
  if (activation == Activation::none) return x;
  void* const y = kept_memory<Operand>(static_cast<size_t>(rows * columns) * size_of(type));
  dispatch_floating("gemm", type, [&](auto t) {
    using T = decltype(t);
    parallel_for(rows, 1, [&](int64_t begin, int64_t end) {
      activation_block(activation, end - begin, columns, static_cast<const T*>(x) + begin * step, step,
                       static_cast<T*>(y) + begin * columns, columns);
    });
  });
  activation = Activation::none;
  step = columns;
  return y;
}
struct OperandA {};
struct OperandB {};

}  // namespace

ProductLog::ProductLog() : before_(product_log) { product_log = this; }
ProductLog::~ProductLog() { product_log = before_; }
void ProductLog::note(const Gemm& problem) {
  for (Entry& e : entries_) {
    if (e.problem == problem) {
      ++e.count;
      return;
    }
  }
  entries_.push_back({problem, 1});
}

void gemm(const Gemm& problem, const void* a, const void* b, void* c, const void* bias) {
  Gemm g = normalised(problem);
  if (is_empty(g, c, bias)) return;
  count_product(g);
  if (is_blocked(g)) return gemm_blocked(g, a, b, c, bias);
  a = activated<OperandA>(g.activation_a, g.a_type, g.transpose_a ? g.k : g.m, g.transpose_a ? g.m : g.k, a, g.lda);
  b = activated<OperandB>(g.activation_b, g.a_type, g.transpose_b ? g.n : g.k, g.transpose_b ? g.k : g.n, b, g.ldb);
  if (has_few_rows(g)) return gemm_few_rows(g, a, b, c, bias);
  gemm_onednn(g, false, a, b, c, bias);
}

void gemm_tile(const Gemm& problem, const void* a, const void* b, void* c) {
  const Gemm g = normalised(problem);
  if (is_empty(g, c, nullptr)) return;
  if (g.a_type == DType::f32 || (g.a_type == DType::bf16 && is_onednn_faster_in_bf16())) {
    return gemm_onednn(g, true, a, b, c, nullptr);
  }
  gemm_blocked(g, a, b, c, nullptr);
}

template <>
bool GemmKernels<DeviceType::cpu>::run(Device /*device*/, const Gemm& g, const void* a, const void* b, void* c,
                                       const void* bias, const GemmBatch& batch, const GemmEpilogue& epilogue) {
  using Kind = GemmEpilogue::Kind;
  if (epilogue.kind != Kind::none) {
    const bool sums_of_packed =
        (epilogue.kind == Kind::sums_of_a && g.transpose_a) || (epilogue.kind == Kind::sums_of_b && !g.transpose_b);
    if (!sums_of_packed || g.a_type == DType::f64 || !is_blocked(g)) return false;
    count_product(g);
    gemm_blocked(g, a, b, c, bias,
                 {epilogue.kind == Kind::sums_of_a ? ColumnSums::Of::a : ColumnSums::Of::b, epilogue.sums});
    return true;
  }
  const auto at = [](auto* memory, int64_t elements, DType type) {
    using Bytes = std::conditional_t<std::is_const_v<std::remove_pointer_t<decltype(memory)>>, const char, char>;
    return static_cast<Bytes*>(memory) + elements * static_cast<int64_t>(size_of(type));
  };
  for (int64_t i = 0; i < batch.count; ++i) {
    gemm(g, at(a, i * batch.step_a, g.a_type), at(b, i * batch.step_b, g.a_type), at(c, i * batch.step_c, g.c_type),
         bias);
  }
  return true;
}

namespace {

bool run(Device device, const Gemm& g, const void* a, const void* b, void* c, const void* bias, const GemmBatch& batch,
         const GemmEpilogue& epilogue) {
  bool done = false;
  if (device.type != DeviceType::cpu && (g.activation_a != Activation::none || g.activation_b != Activation::none)) {
    fail("gemm: activations of operands are the CPU's alone");
  }
  on_device("gemm", device, [&](auto d) {
    if (d != DeviceType::cpu && g.a_type == DType::f64) {
      fail("gemm: on a GPU takes f32 or bf16, not f64; use device: cpu");
    }
    done = GemmKernels<d>::run(device, g, a, b, c, bias, batch, epilogue);
    // On the others it is the CPU's product that counts.
    if (d == DeviceType::cuda && done) profile::add_flops(2 * g.m * g.n * g.k * batch.count);
  });
  return done;
}

}  // namespace

void gemm(Device device, const Gemm& problem, const void* a, const void* b, void* c, const void* bias,
          const GemmBatch& batch) {
  const Gemm g = normalised(problem);
  if (g.m == 0 || g.n == 0 || batch.count == 0) return;
  run(device, g, a, b, c, bias, batch, {});
}

bool gemm(Device device, const Gemm& problem, const GemmEpilogue& epilogue, const void* a, const void* b, void* c,
          const void* bias) {
  const Gemm g = normalised(problem);
  if (g.m == 0 || g.n == 0 || g.k == 0) return false;
  const bool about_z =
      epilogue.kind == GemmEpilogue::Kind::gelu_tanh || epilogue.kind == GemmEpilogue::Kind::gelu_tanh_gradient;
  if (about_z && g.accumulate) fail("gemm: what gelu_tanh makes cannot be added to C");
  // What CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD and .._POINTER say in cublasLt.h.
  if (epilogue.z != nullptr && (g.n % 8 != 0 || reinterpret_cast<uintptr_t>(epilogue.z) % 16 != 0)) return false;
  return run(device, g, a, b, c, bias, {}, epilogue);
}

namespace {
std::atomic<bool> tf32{false};
}  // namespace
void allow_tf32(bool allow) { tf32 = allow; }
bool tf32_allowed() { return tf32; }

}  // namespace gfsa
