#include "ops/gemm_onednn.h"

#include <dnnl.hpp>

#include <array>
#include <cstring>
#include <new>
#include <unordered_map>

#include "base/error.h"
#include "base/strings.h"
#include "base/threads.h"
#include "ops/kept_memory.h"

namespace gfsa {
namespace {

using dnnl::memory;

memory::data_type onednn_type(DType t) { return t == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32; }

struct Key {
  Gemm problem;
  bool alone;  // of one thread
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
                                             g.bias << 19 | k.alone << 20};
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

// The scratchpad of all of a thread's primitives: the same one may run on many threads at once.
struct Scratchpad {};

Prepared prepare(const Gemm& g, bool alone) {
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
  // A primitive blocks its work for the threads it sees when it is made.
  const int team = omp_get_max_threads();
  if (alone) omp_set_num_threads(1);
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
    fail("gemm: oneDNN refuses [{}, {}] x [{}, {}] of {}: {}", g.m, g.k, g.k, g.n, name_of(g.a_type), e.what());
  }
}

}  // namespace

bool is_onednn_faster_in_bf16() {
  static const bool faster = [] {
    const auto isa = dnnl::get_effective_cpu_isa();
    return isa == dnnl::cpu_isa::avx512_core_amx ||
           (isa == dnnl::cpu_isa::avx512_core_bf16 && __builtin_cpu_is("amd") != 0);
  }();
  return faster;
}

void gemm_onednn(const Gemm& g, bool alone, const void* a, const void* b, void* c, const void* bias) {
  thread_local std::unordered_map<Key, Prepared, KeyHash> prepared;
  const Key key{g, alone};
  auto it = prepared.find(key);
  if (it == prepared.end()) it = prepared.emplace(key, prepare(g, alone)).first;
  Prepared& p = it->second;
  thread_local dnnl::stream stream(engine());
  p.a.set_data_handle(const_cast<void*>(a));
  p.b.set_data_handle(const_cast<void*>(b));
  p.c.set_data_handle(c);
  p.scratch.set_data_handle(kept_memory<Scratchpad>(p.scratch.get_desc().get_size()));
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

}  // namespace gfsa
