// simd.h -- run-time dispatch for the CPU kernels, without a compiler flag on any file.
//
//   simd::run([&] { for (int64_t i = begin; i < end; ++i) y[i] = relu(x[i]); });
//
// The body is a plain loop over inline functions. run() holds it three times, each time inlined whole ("flatten") into
// a function compiled for one instruction set, so that the vectoriser works with that set's registers; the processor
// decides which copy runs. Reductions need `#pragma omp simd reduction(...)`: the compiler may not reorder sums by
// itself. The part of matrix products that is oneDNN's (ops/gemm.h) does not go through here: it picks for itself.
#pragma once

namespace gfsa::simd {

enum class Isa : int { baseline, avx2, avx512 };

// The widest set this processor has; GFSA_ISA=baseline|avx2|avx512 lowers it.
Isa active();
// For tests: run the kernels with a narrower set. Asking for one that the processor lacks is an error.
void set_active(Isa isa);
Isa supported();
const char* name(Isa isa);

template <class Body>
[[gnu::flatten, gnu::noinline,
  gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512cd,fma,f16c,bmi2,prefer-vector-width=512")]] void
run_avx512(const Body& body) {
  body();
}
template <class Body>
[[gnu::flatten, gnu::noinline, gnu::target("avx2,fma,f16c,bmi2")]] void run_avx2(const Body& body) {
  body();
}
template <class Body>
[[gnu::flatten, gnu::noinline]] void run_baseline(const Body& body) {
  body();
}

template <class Body>
void run(const Body& body) {
  switch (active()) {
    case Isa::avx512:
      return run_avx512(body);
    case Isa::avx2:
      return run_avx2(body);
    case Isa::baseline:
      return run_baseline(body);
  }
}

}  // namespace gfsa::simd

namespace gfsa {

// A register of W numbers.
template <class A, int W>
struct Register {
  // NOLINTNEXTLINE(modernize-use-using): GCC drops attributes of an alias whose type depends on parameters
  typedef A type __attribute__((vector_size(W * sizeof(A)), aligned(alignof(A)), may_alias));
};

}  // namespace gfsa
