// philox_block.h -- many numbers of philox.h at once, as vector registers make them: a counter in each 64-bit lane,
// where one instruction multiplies 32 bits by 32. The same bits as philox() on every instruction set.
#pragma once

#include <cstdint>

#include "core/philox.h"

namespace gfsa {

inline constexpr int64_t kPhiloxLanes = 8;  // counters are drawn so many at a time

// out[4 i + lane] = philox(key, sample, first + i)[lane] for i in [0, counters); out has room for `counters` rounded up
// to kPhiloxLanes, which are overwritten. By the calling thread.
void philox_block(const RandomKey& key, uint32_t sample, uint64_t first, int64_t counters, uint32_t* out);

}  // namespace gfsa
