#include "core/cpu/simd.h"

#include <cstdlib>
#include <string>

#include "base/error.h"

namespace gfsa::simd {
namespace {

Isa from_environment() {
  const char* wanted = std::getenv("GFSA_ISA");
  if (wanted == nullptr) return supported();
  for (Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (std::string(wanted) == name(isa)) {
      if (isa > supported())
        bad_input("GFSA_ISA: this processor has no {}, the widest is {}", wanted, name(supported()));
      return isa;
    }
  }
  bad_input("GFSA_ISA: '{}' is unknown, expected baseline, avx2 or avx512", wanted);
}

Isa& current() {
  static Isa isa = from_environment();
  return isa;
}

}  // namespace

Isa supported() {
  static const Isa isa = [] {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("bmi2")) {
      return Isa::avx512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
      return Isa::avx2;
    return Isa::baseline;
  }();
  return isa;
}

Isa active() { return current(); }

void set_active(Isa isa) {
  if (isa > supported()) fail("simd: this processor has no {}", name(isa));
  current() = isa;
}

const char* name(Isa isa) {
  switch (isa) {
    case Isa::baseline:
      return "baseline";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
  }
  return "unknown";
}

}  // namespace gfsa::simd
