// Matrix products on GPUs, through cuBLASLt.
//
// cuBLASLt thinks in columns: our row-major C = op(A) op(B) is its column-major C^T = op(B)^T op(A)^T, so A and B
// change places, m and n too, and a bias of C's columns is one of its rows, which its epilogue adds. What it supports
// is asked of its heuristics, not taken from a table.
#include <cublasLt.h>
#include <cuda_runtime.h>

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <tuple>
#include <type_traits>

#include "base/error.h"
#include "core/cuda/runtime.h"
#include "core/tensor.h"
#include "ops/cuda/add_bias.h"
#include "ops/gemm.h"

namespace gfsa {
namespace {

// What an algorithm may use beside its operands; one piece a device, from its arena.
constexpr size_t kWorkspaceBytes = size_t{32} << 20;

void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS) fail("gemm: cuBLASLt: {}: {}", what, cublasLtGetStatusString(status));
}

cudaDataType_t type_of(DType t) { return t == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

template <class Handle, cublasStatus_t (*kDestroy)(Handle)>
struct Destroy {
  void operator()(Handle h) const { kDestroy(h); }
};
template <class Handle, cublasStatus_t (*kDestroy)(Handle)>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, Destroy<Handle, kDestroy>>;
using Description = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

template <class T>
void set(const Description& d, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  check(cublasLtMatmulDescSetAttribute(d.get(), attribute, &value, sizeof value), "description");
}

Layout layout(DType type, int64_t rows, int64_t columns, int64_t step, int64_t count, int64_t between) {
  cublasLtMatrixLayout_t raw = nullptr;
  check(cublasLtMatrixLayoutCreate(&raw, type_of(type), static_cast<uint64_t>(rows), static_cast<uint64_t>(columns),
                                   step),
        "layout");
  Layout made(raw);
  const auto batch = static_cast<int32_t>(count);
  check(cublasLtMatrixLayoutSetAttribute(raw, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch), "layout");
  check(cublasLtMatrixLayoutSetAttribute(raw, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &between, sizeof between),
        "layout");
  return made;
}

// One shape's product, with the algorithm that cuBLASLt's heuristics like best.
struct Prepared {
  Description description;
  Layout a, b, c;
  cublasLtMatmulAlgo_t algorithm{};
  bool adds_bias = false;        // in its epilogue; else a kernel does
  DType bias_type = DType::f32;  // in which the epilogue takes it
};

struct Key {
  int device;
  Gemm g;
  GemmBatch batch;
  bool tf32;
  std::array<bool, 4> aligned;  // A, B, C, bias or sums to 16 bytes
  GemmEpilogue::Kind epilogue;
  bool has_z, has_sums;
  auto tie() const {
    return std::tie(device, g.a_type, g.c_type, g.transpose_a, g.transpose_b, g.m, g.n, g.k, g.lda, g.ldb, g.ldc,
                    g.accumulate, g.bias, batch.count, batch.step_a, batch.step_b, batch.step_c, tf32, aligned,
                    epilogue, has_z, has_sums);
  }
  bool operator<(const Key& other) const { return tie() < other.tie(); }
};

class Library {
 public:
  explicit Library(Device device) : device_(device) { check(cublasLtCreate(&handle_), "start"); }

  // False: there is no such epilogue.
  bool run(const Key& key, const void* a, const void* b, void* c, const void* bias, const GemmEpilogue& epilogue) {
    const std::lock_guard lock(mutex_);
    if (key.g.k == 0) return empty_product(key, c, bias), true;
    auto it = prepared_.find(key);
    if (it == prepared_.end()) it = prepared_.emplace(key, prepare(key, bias, epilogue)).first;
    if (!it->second) return false;
    const Prepared& p = *it->second;
    if (!workspace_) workspace_ = Tensor::empty({static_cast<int64_t>(kWorkspaceBytes)}, DType::u8, device_);
    Tensor narrow_bias;
    const void* added = bias;
    if (p.adds_bias && p.bias_type == DType::bf16) {
      narrow_bias = Tensor::empty({key.g.n}, DType::bf16, device_);
      to_bf16<DeviceType::cuda>(static_cast<const float*>(bias), narrow_bias.data<bfloat16>(), key.g.n);
      added = narrow_bias.raw();
    }
    set_pointers(p, key, added, epilogue);
    const float one = 1, beta = key.g.accumulate ? 1.0f : 0.0f;
    const auto stream = static_cast<cudaStream_t>(cuda::runtime(device_.index).current_stream().handle);
    check(cublasLtMatmul(handle_, p.description.get(), &one, b, p.b.get(), a, p.a.get(), &beta, c, p.c.get(), c,
                         p.c.get(), &p.algorithm, workspace_.raw(), kWorkspaceBytes, stream),
          "product");
    if (key.g.bias && !p.adds_bias) add_bias(key, c, bias);
    return true;
  }

 private:
  // Empty: there is no such epilogue.
  std::optional<Prepared> prepare(const Key& key, const void* bias, const GemmEpilogue& epilogue) {
    const Gemm& g = key.g;
    // Where the result is bf16, so may have to be the bias.
    if (auto all = try_prepare(key, bias, epilogue, g.bias, DType::f32)) return all;
    if (g.bias && g.c_type == DType::bf16) {
      if (auto all = try_prepare(key, bias, epilogue, true, DType::bf16)) return all;
    }
    if (key.epilogue != GemmEpilogue::Kind::none) return std::nullopt;
    if (g.bias) {
      if (auto plain = try_prepare(key, nullptr, epilogue, false, DType::f32)) return plain;
    }
    fail("gemm: cuBLASLt has no algorithm for [{}, {}] x [{}, {}] of {} into {}{}", g.m, g.k, g.k, g.n,
         name_of(g.a_type), name_of(g.c_type), key.batch.count > 1 ? fmt::format(", {} of them", key.batch.count) : "");
  }

  static cublasLtEpilogue_t epilogue_of(const Key& key, bool bias) {
    switch (key.epilogue) {
      case GemmEpilogue::Kind::none:
        return bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
      case GemmEpilogue::Kind::gelu_tanh:
        if (key.has_z) return bias ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
        return bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
      case GemmEpilogue::Kind::gelu_tanh_gradient:
        return key.has_sums ? CUBLASLT_EPILOGUE_DGELU_BGRAD : CUBLASLT_EPILOGUE_DGELU;
      case GemmEpilogue::Kind::sums_of_a:
        return CUBLASLT_EPILOGUE_BGRADB;  // A and B change places
      case GemmEpilogue::Kind::sums_of_b:
        return CUBLASLT_EPILOGUE_BGRADA;
    }
    return CUBLASLT_EPILOGUE_DEFAULT;
  }

  static void set_pointers(const Prepared& p, const Key& key, const void* bias, const GemmEpilogue& epilogue) {
    if (p.adds_bias) set(p.description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    if (key.has_sums) set(p.description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, epilogue.sums);
    if (key.has_z) set(p.description, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, epilogue.z);
  }

  std::optional<Prepared> try_prepare(const Key& key, const void* bias, const GemmEpilogue& epilogue, bool adds_bias,
                                      DType bias_type) {
    const Gemm& g = key.g;
    const GemmBatch& n = key.batch;
    Prepared p;
    cublasLtMatmulDesc_t raw = nullptr;
    check(cublasLtMatmulDescCreate(&raw, key.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
          "description");
    p.description.reset(raw);
    set(p.description, CUBLASLT_MATMUL_DESC_TRANSA, g.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(p.description, CUBLASLT_MATMUL_DESC_TRANSB, g.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    p.adds_bias = adds_bias;
    p.bias_type = bias_type;
    set(p.description, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(key, adds_bias));
    if (adds_bias || key.has_sums) set(p.description, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, type_of(bias_type));
    if (key.has_z) set(p.description, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, g.n);
    set_pointers(p, key, bias, epilogue);
    // The layouts are of what stands in memory, seen in columns.
    p.b = g.transpose_b ? layout(g.a_type, g.k, g.n, g.ldb, n.count, n.step_b)
                        : layout(g.a_type, g.n, g.k, g.ldb, n.count, n.step_b);
    p.a = g.transpose_a ? layout(g.a_type, g.m, g.k, g.lda, n.count, n.step_a)
                        : layout(g.a_type, g.k, g.m, g.lda, n.count, n.step_a);
    p.c = layout(g.c_type, g.n, g.m, g.ldc, n.count, n.step_c);

    cublasLtMatmulPreference_t raw_preference = nullptr;
    check(cublasLtMatmulPreferenceCreate(&raw_preference), "preference");
    const Preference preference(raw_preference);
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
      check(cublasLtMatmulPreferenceSetAttribute(raw_preference, attribute, &value, sizeof value), "preference");
    };
    const auto alignment = [](bool aligned, DType type) {
      return aligned ? 16u : static_cast<uint32_t>(size_of(type));
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(key.aligned[1], g.a_type));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(key.aligned[0], g.a_type));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(key.aligned[2], g.c_type));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(key.aligned[2], g.c_type));
    // Split sums must be added in a fixed order: no atomics.
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
           static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE));
    cublasLtMatmulHeuristicResult_t best{};
    int found = 0;
    const auto status = cublasLtMatmulAlgoGetHeuristic(handle_, raw, p.b.get(), p.a.get(), p.c.get(), p.c.get(),
                                                       raw_preference, 1, &best, &found);
    if (status != CUBLAS_STATUS_SUCCESS || found == 0 || best.state != CUBLAS_STATUS_SUCCESS) return std::nullopt;
    p.algorithm = best.algo;
    return p;
  }

  void empty_product(const Key& key, void* c, const void* bias) {
    const auto bytes = static_cast<int64_t>(size_of(key.g.c_type));
    DeviceRuntime& runtime = cuda::runtime(device_.index);
    for (int64_t row = 0; !key.g.accumulate && row < key.batch.count * key.g.m; ++row) {
      const int64_t at = row / key.g.m * key.batch.step_c + row % key.g.m * key.g.ldc;
      runtime.fill_async(static_cast<char*>(c) + at * bytes, 0, static_cast<size_t>(key.g.n * bytes), {});
    }
    if (key.g.bias) add_bias(key, c, bias);
  }

  void add_bias(const Key& key, void* c, const void* bias) {
    const auto bytes = static_cast<int64_t>(size_of(key.g.c_type));
    for (int64_t i = 0; i < key.batch.count; ++i) {
      add_bias_rows<DeviceType::cuda>(key.g.c_type, static_cast<char*>(c) + i * key.batch.step_c * bytes, key.g.m,
                                      key.g.n, key.g.ldc, static_cast<const float*>(bias));
    }
  }

  Device device_;
  std::mutex mutex_;
  cublasLtHandle_t handle_ = nullptr;
  Tensor workspace_;
  std::map<Key, std::optional<Prepared>> prepared_;
};

Library& library(Device device) {
  static std::mutex mutex;
  static auto* libraries = new std::map<int, std::unique_ptr<Library>>;  // outlives the driver's own end
  const std::lock_guard lock(mutex);
  auto& slot = (*libraries)[device.index];
  if (!slot) slot = std::make_unique<Library>(device);
  return *slot;
}

bool is_aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

}  // namespace

template <DeviceType D>
bool GemmKernels<D>::run(Device device, const Gemm& g, const void* a, const void* b, void* c, const void* bias,
                         const GemmBatch& batch, const GemmEpilogue& epilogue) {
  return library(device).run({device.index,
                              g,
                              batch,
                              g.a_type == DType::f32 && tf32_allowed(),
                              {is_aligned(a), is_aligned(b), is_aligned(c), is_aligned(g.bias ? bias : epilogue.sums)},
                              epilogue.kind,
                              epilogue.z != nullptr,
                              epilogue.sums != nullptr},
                             a, b, c, bias, epilogue);
}
template struct GemmKernels<DeviceType::cuda>;

}  // namespace gfsa
