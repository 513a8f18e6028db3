#include "base/threads.h"

namespace gfsa {
namespace {
int team_size = omp_get_num_procs();
}

void set_threads(int wanted) {
  team_size = wanted > 0 ? wanted : omp_get_num_procs();
  omp_set_num_threads(team_size);
}

int threads() { return team_size; }

}  // namespace gfsa
