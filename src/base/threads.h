// threads.h -- the one OpenMP team that kernels and oneDNN share. Work is cut statically, so the same number of threads
// gives the same bits; kernels cut so that other numbers of threads do too (each output element is one thread's work).
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <exception>

namespace gfsa {

// Threads of the team: 0 means one a core this process may use (affinity and cgroup respected). Never more than
// OMP_THREAD_LIMIT.
void set_threads(int threads);
int threads();

// Numbers too small to be normal (below 1.2e-38 in f32) count as 0 from now on, in this thread and those that it starts
// later: for programs, before anything else. Processors compute with them some hundred times slower, and training makes
// them: an optimizer's moments of a word's embedding while the word does not occur, a softmax that is sure of itself.
void flush_denormals();

// body(begin, end) over [0, n) in contiguous pieces of at least `grain` elements. Runs inline when one piece is enough
// or when already inside a parallel region. The first exception thrown by a body is rethrown here.
template <class Body>
void parallel_for(int64_t n, int64_t grain, const Body& body) {
  if (n <= 0) return;
  const int64_t pieces = omp_in_parallel() != 0 ? 1 : std::min<int64_t>(threads(), (n + grain - 1) / grain);
  if (pieces <= 1) {
    body(int64_t{0}, n);
    return;
  }
  std::exception_ptr error;
#pragma omp parallel num_threads(static_cast <int>(pieces))
  {
    const int64_t i = omp_get_thread_num(), t = omp_get_num_threads();
    try {
      if (n * i / t < n * (i + 1) / t) body(n * i / t, n * (i + 1) / t);
    } catch (...) {
#pragma omp critical(gfsa_parallel_for)
      if (!error) error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace gfsa
