#include "base/threads.h"

#ifdef __SSE2__
#include <xmmintrin.h>
#endif

namespace gfsa {
namespace {
// Under OMP_THREAD_LIMIT or OMP_DYNAMIC teams are quietly smaller than what was asked for, and oneDNN, which relies on
// the number, then leaves parts of its products out: nobody may ask for more than there will be.
int make_team(int wanted) {
  const int size = std::min(wanted > 0 ? wanted : omp_get_num_procs(), omp_get_thread_limit());
  omp_set_dynamic(0);
  omp_set_num_threads(size);
  return size;
}
int team_size = make_team(0);
}  // namespace

void set_threads(int wanted) { team_size = make_team(wanted); }

int threads() { return team_size; }

void flush_denormals() {
#ifdef __SSE2__
  _mm_setcsr(_mm_getcsr() | 0x8040);  // results (FTZ) and operands (DAZ)
#endif
}

}  // namespace gfsa
