// libFuzzer's entry point; GFSA_FUZZ_TARGET is one of the functions of targets.h. Empty in the ordinary build.
#include "fuzz/targets.h"

#ifdef GFSA_FUZZ_TARGET
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gfsa::fuzz::GFSA_FUZZ_TARGET({reinterpret_cast<const char*>(data), size});
  return 0;
}
#endif
