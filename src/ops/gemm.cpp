#include "ops/gemm.h"

#include <dnnl.hpp>

#include <array>
#include <atomic>
#include <cstring>
#include <new>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "base/threads.h"
#include "core/cpu/simd.h"
#include "core/dispatch.h"
#include "ops/gemm_few_rows.h"

namespace gfsa {
namespace {

using dnnl::memory;

memory::data_type onednn_type(DType t) { return t == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32; }

struct Key {
  Gemm problem;
  bool in_parallel;
  bool operator==(const Key&) const = default;
};

struct KeyHash {
  size_t operator()(const Key& k) const {
    const Gemm& g = k.problem;
    const std::array<int64_t, 7> numbers{g.m,
                                         g.n,
                                         g.k,
                                         g.lda,
                                         g.ldb,
                                         g.ldc,
                                         static_cast<int64_t>(g.a_type) | static_cast<int64_t>(g.c_type) << 8 |
                                             g.transpose_a << 16 | g.transpose_b << 17 | g.accumulate << 18 |
                                             g.bias << 19 | k.in_parallel << 20};
    return hash_name({reinterpret_cast<const char*>(numbers.data()), sizeof numbers});
  }
};

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

// One prepared product: the primitive, and memory objects whose pointers are set at each call.
struct Prepared {
  dnnl::matmul primitive;
  memory a, b, c, bias, scratch;
};

// A scratchpad for each thread, shared by all its primitives: the same one may run on many threads at once.
void* scratch_memory(size_t bytes) {
  thread_local std::vector<char> buffer;
  constexpr size_t kAlignment = 64;
  if (buffer.size() < bytes + kAlignment) buffer.resize(bytes + kAlignment);
  const auto address = reinterpret_cast<uintptr_t>(buffer.data());
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the next aligned address
  return reinterpret_cast<void*>((address + kAlignment - 1) / kAlignment * kAlignment);
}

// Empty if this processor's oneDNN has no kernel for the types (bf16 before AVX-512).
std::optional<Prepared> prepare(const Gemm& g) {
  const memory::desc a({g.m, g.k}, onednn_type(g.a_type),
                       g.transpose_a ? memory::dims{1, g.lda} : memory::dims{g.lda, 1});
  const memory::desc b({g.k, g.n}, onednn_type(g.a_type),
                       g.transpose_b ? memory::dims{1, g.ldb} : memory::dims{g.ldb, 1});
  const memory::desc c({g.m, g.n}, onednn_type(g.c_type), memory::dims{g.ldc, 1});
  const memory::desc bias({1, g.n}, memory::data_type::f32, memory::dims{g.n, 1});
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (g.accumulate) {
    dnnl::post_ops ops;
    ops.append_sum(1.0f);
    attributes.set_post_ops(ops);
  }
  // A primitive blocks its work for the threads it sees when it is made; a tile inside a parallel region has one.
  const int team = omp_get_max_threads();
  if (omp_in_parallel() != 0) omp_set_num_threads(1);
  struct Restore {
    int team;
    ~Restore() { omp_set_num_threads(team); }
  } restore{team};
  try {
    const auto desc = g.bias ? dnnl::matmul::desc(a, b, bias, c) : dnnl::matmul::desc(a, b, c);
    const dnnl::matmul::primitive_desc pd(desc, attributes, engine());
    Prepared p;
    p.primitive = dnnl::matmul(pd);
    p.a = memory(a, engine(), nullptr);
    p.b = memory(b, engine(), nullptr);
    p.c = memory(c, engine(), nullptr);
    if (g.bias) p.bias = memory(bias, engine(), nullptr);
    p.scratch = memory(pd.scratchpad_desc(), engine(), nullptr);
    return p;
  } catch (const dnnl::error& e) {
    if (e.status == dnnl_unimplemented && g.a_type == DType::bf16) return std::nullopt;
    fail("gemm: oneDNN refuses [{}, {}] x [{}, {}] of {}: {}", g.m, g.k, g.k, g.n, name_of(g.a_type), e.what());
  }
}

// Leading dimensions filled in, and those of single rows made canonical (their value never matters).
Gemm normalised(Gemm g) {
  if (g.lda == 0 || (g.transpose_a ? g.k : g.m) == 1) g.lda = g.transpose_a ? g.m : g.k;
  if (g.ldb == 0 || (g.transpose_b ? g.n : g.k) == 1) g.ldb = g.transpose_b ? g.k : g.n;
  if (g.ldc == 0 || g.m == 1) g.ldc = g.n;
  return g;
}

// f64, for gradient checks and exact comparisons; oneDNN has none. Rows in parallel, the inner loop over columns.
void gemm_f64(const Gemm& g, const double* a, const double* b, double* c, const double* bias) {
  std::vector<double> packed;  // op(B) as [k, n]
  if (g.transpose_b) {
    packed.resize(static_cast<size_t>(g.k * g.n));
    for (int64_t j = 0; j < g.n; ++j) {
      for (int64_t p = 0; p < g.k; ++p) packed[static_cast<size_t>(p * g.n + j)] = b[j * g.ldb + p];
    }
  }
  const double* rows = g.transpose_b ? packed.data() : b;
  const int64_t step = g.transpose_b ? g.n : g.ldb;
  parallel_for(g.m, std::max<int64_t>(1, 65536 / std::max<int64_t>(1, g.k * g.n)), [&](int64_t begin, int64_t end) {
    simd::run([&] {
      for (int64_t i = begin; i < end; ++i) {
        double* out = c + i * g.ldc;
        for (int64_t j = 0; j < g.n; ++j) out[j] = (g.accumulate ? out[j] : 0.0) + (bias != nullptr ? bias[j] : 0.0);
        for (int64_t p = 0; p < g.k; ++p) {
          const double x = g.transpose_a ? a[p * g.lda + i] : a[i * g.lda + p];
          const double* row = rows + p * step;
          for (int64_t j = 0; j < g.n; ++j) out[j] += x * row[j];
        }
      }
    });
  });
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

// Dense f32 copy of a bf16 matrix of r rows.
std::vector<float> widened(const void* from, int64_t rows, int64_t columns, int64_t step) {
  std::vector<float> out(static_cast<size_t>(rows * columns));
  const auto* x = static_cast<const bfloat16*>(from);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j)
      out[static_cast<size_t>(i * columns + j)] = static_cast<float>(x[i * step + j]);
  }
  return out;
}

// bf16 on a processor without bf16 kernels: the same product of the widened operands.
void gemm_widened(const Gemm& g, const void* a, const void* b, void* c, const void* bias) {
  const auto wide_a = g.transpose_a ? widened(a, g.k, g.m, g.lda) : widened(a, g.m, g.k, g.lda);
  const auto wide_b = g.transpose_b ? widened(b, g.n, g.k, g.ldb) : widened(b, g.k, g.n, g.ldb);
  Gemm wide = g;
  wide.a_type = wide.c_type = DType::f32;
  wide.lda = wide.ldb = 0;
  if (g.c_type == DType::f32) return gemm(wide, wide_a.data(), wide_b.data(), c, bias);
  std::vector<float> wide_c = widened(c, g.m, g.n, g.ldc);
  wide.ldc = 0;
  gemm(wide, wide_a.data(), wide_b.data(), wide_c.data(), bias);
  auto* out = static_cast<bfloat16*>(c);
  for (int64_t i = 0; i < g.m; ++i) {
    for (int64_t j = 0; j < g.n; ++j) out[i * g.ldc + j] = bfloat16(wide_c[static_cast<size_t>(i * g.n + j)]);
  }
}

}  // namespace

void gemm(const Gemm& problem, const void* a, const void* b, void* c, const void* bias) {
  const Gemm g = normalised(problem);
  if (g.m == 0 || g.n == 0) return;
  if (g.k == 0) return empty_product(g, c, bias);
  if (g.a_type == DType::f64) {
    return gemm_f64(g, static_cast<const double*>(a), static_cast<const double*>(b), static_cast<double*>(c),
                    g.bias ? static_cast<const double*>(bias) : nullptr);
  }
  if (has_few_rows(g)) return gemm_few_rows(g, a, b, c, bias);
  thread_local std::unordered_map<Key, std::optional<Prepared>, KeyHash> prepared;
  const Key key{g, omp_in_parallel() != 0};
  auto it = prepared.find(key);
  if (it == prepared.end()) it = prepared.emplace(key, prepare(g)).first;
  if (!it->second) return gemm_widened(g, a, b, c, bias);
  Prepared& p = *it->second;
  thread_local dnnl::stream stream(engine());
  p.a.set_data_handle(const_cast<void*>(a));
  p.b.set_data_handle(const_cast<void*>(b));
  p.c.set_data_handle(c);
  p.scratch.set_data_handle(scratch_memory(p.scratch.get_desc().get_size()));
  // The C call: no allocation, which a map of arguments would cost at each tile.
  std::array<dnnl_exec_arg_t, 5> arguments{{{DNNL_ARG_SRC, p.a.get()},
                                            {DNNL_ARG_WEIGHTS, p.b.get()},
                                            {DNNL_ARG_DST, p.c.get()},
                                            {DNNL_ARG_SCRATCHPAD, p.scratch.get()},
                                            {DNNL_ARG_BIAS, nullptr}}};
  if (g.bias) {
    p.bias.set_data_handle(const_cast<void*>(bias));
    arguments[4].memory = p.bias.get();
  }
  const auto status = dnnl_primitive_execute(p.primitive.get(), stream.get(), g.bias ? 5 : 4, arguments.data());
  if (status == dnnl_out_of_memory) throw std::bad_alloc();
  if (status != dnnl_success) fail("gemm: oneDNN failed with status {}", static_cast<int>(status));
}

template <>
bool GemmKernels<DeviceType::cpu>::run(Device /*device*/, const Gemm& g, const void* a, const void* b, void* c,
                                       const void* bias, const GemmBatch& batch, const GemmEpilogue& epilogue) {
  if (epilogue.kind != GemmEpilogue::Kind::none) return false;
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
  on_device("gemm", device, [&](auto d) {
    if (d != DeviceType::cpu && g.a_type == DType::f64) {
      fail("gemm: on a GPU takes f32 or bf16, not f64; use device: cpu");
    }
    done = GemmKernels<d>::run(device, g, a, b, c, bias, batch, epilogue);
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
  if (device.type == DeviceType::cpu || g.m == 0 || g.n == 0 || g.k == 0) return false;
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
