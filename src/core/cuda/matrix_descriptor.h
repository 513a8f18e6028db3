// matrix_descriptor.h -- how wgmma is told where an operand lies in shared memory: both halves of device.h.
//
// Tiles are rows of 64 bf16 (128 bytes) one after the other, from a multiple of 1024 bytes on, in the 128-byte swizzle:
// the 16-byte piece number c of row r stands at place c ^ (r % 8). (PTX ISA manual, "Matrix Descriptor Format" and
// "Strides" of "Asynchronous Warpgroup Level Matrix Instructions".)
#pragma once

#include <cstdint>

namespace gfsa {

// Which index of an operand is the one of neighbours in memory: the one that is summed over, or the other.
enum class Major : uint8_t { k, mn };

inline constexpr uint32_t kSwizzledRowBytes = 128, kSwizzledRows = 8;  // the pattern repeats after 8 rows

// The swizzle, of an address in shared memory.
constexpr uint32_t swizzled(uint32_t address) { return address ^ ((address >> 7 & 7u) << 4); }

// `address` of the operand's first element. Major::k: `stride` bytes between groups of 8 rows, `leading` is ignored.
// Major::mn: `stride` bytes between groups of 8 steps of k, `leading` between groups of 64 columns. Addresses below 256
// KiB and strides are multiples of 16.
constexpr uint64_t matrix_descriptor(uint32_t address, uint32_t leading, uint32_t stride) {
  constexpr uint64_t kSwizzle128 = uint64_t{1} << 62;
  return (address & 0x3FFFF) >> 4 | uint64_t{(leading & 0x3FFFF) >> 4} << 16 | uint64_t{(stride & 0x3FFFF) >> 4} << 32 |
         kSwizzle128;
}

}  // namespace gfsa
