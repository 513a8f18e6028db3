// emulator.h -- what the emulated device does, while one of these lives. Where there is none, and for kernels that nvcc
// compiles, they change nothing.
#pragma once

#include <cstdint>

#if defined(GFSA_HAS_EMULATED) && !defined(__CUDACC__)
#include "core/cuda/emulated/queue.h"
#endif

namespace gfsa::test {

#if defined(GFSA_HAS_EMULATED) && !defined(__CUDACC__)
// Its schedules.
class EmulatorSeed {
 public:
  explicit EmulatorSeed(uint64_t seed) { emulator::set_seed(seed); }
  ~EmulatorSeed() { emulator::set_seed(0); }
  EmulatorSeed(const EmulatorSeed&) = delete;
  EmulatorSeed& operator=(const EmulatorSeed&) = delete;
};

// Its architecture, 80 or 90, for launches issued and finished meanwhile.
class EmulatorArchitecture {
 public:
  explicit EmulatorArchitecture(int architecture) { emulator::set_architecture(architecture); }
  ~EmulatorArchitecture() { emulator::set_architecture(before_); }
  EmulatorArchitecture(const EmulatorArchitecture&) = delete;
  EmulatorArchitecture& operator=(const EmulatorArchitecture&) = delete;

 private:
  const int before_ = emulator::limits().warpgroups ? 90 : 80;
};
#else
struct EmulatorArchitecture {
  explicit EmulatorArchitecture(int /*architecture*/) {}
  ~EmulatorArchitecture() {}  // or it would be an unused variable
};
#endif

}  // namespace gfsa::test
