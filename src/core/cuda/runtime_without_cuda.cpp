// What core/cuda/runtime.h says of GPUs in a build without the CUDA toolkit.
#include "base/error.h"
#include "core/cuda/runtime.h"

namespace gfsa::cuda {

int device_count() { return 0; }

std::string why_not() {
  return "this build has no CUDA back end (configure it where nvcc is, or with cmake -DGFSA_CUDA=ON)";
}

DeviceRuntime& runtime(int) { bad_input("device: 'cuda' cannot be used: {}", why_not()); }

DeviceRuntime& current_runtime() { return runtime(); }

}  // namespace gfsa::cuda
