// memory.h -- the memory of the emulated device.
//
// A device address lies in a reservation that nobody may touch, so the host cannot use one by mistake. The bytes lie
// elsewhere, and beside them, at fixed distances, what is known about them: a state a byte and the last accesses to
// each 4-byte word. Untouched parts of these maps cost no memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/cuda/emulated/finding.h"

namespace gfsa::emulator {

enum ByteState : uint8_t {
  kOutside = 0,   // no allocation
  kFresh = 1,     // allocated, nobody wrote it
  kWritten = 2,   //
  kFreed = 3,     //
  kInFlight = 4,  // a cp.async writes it: it arrives at the wait
};
constexpr uint8_t kPoison = 0xFF;  // NaN in every floating type

enum AccessFlags : uint16_t {
  kBytes = 0xF,  // which bytes of the word
  kAtomic = 0x10,
  // Others did the same, and nothing orders them: readers or atomics of other blocks, atomics of other threads.
  kManyBlocks = 0x20,
  kManyThreads = 0x40,
};

// Who touched a word. `launch` 0: nobody. Clocks are explained in block.h.
struct Access {
  uint32_t launch = 0;
  uint32_t block = 0;
  uint32_t clock = 0;
  uint16_t thread = 0;
  uint16_t flags = 0;
  uint32_t site = 0;
};
struct WordHistory {
  Access write, read;
};

struct MemoryMap {
  uintptr_t base = 0;
  char* bytes = nullptr;
  uint8_t* states = nullptr;
  WordHistory* words = nullptr;
};
inline constinit MemoryMap memory_map;
inline char* real_address(uintptr_t device) { return memory_map.bytes + (device - memory_map.base); }

struct AddressRange {
  uintptr_t begin = 0, end = 0;
};

class GlobalMemory {
 public:
  static constexpr size_t kAddresses = size_t{32} << 30;  // of address space
  static constexpr size_t kCapacity = size_t{8} << 30;    // that may be in use at once
  GlobalMemory();

  void* allocate(size_t bytes);  // fresh and poisoned; nullptr when full
  size_t used() const;
  // Takes the bytes back; the address is not given out again for a while.
  void release(uintptr_t address);
  void make_fresh(AddressRange range);
  void make_freed(AddressRange range);

  // The allocation that holds the address, also a freed one that was not given out again; {0, 0} if there is none.
  AddressRange find(uintptr_t address) const;
  bool is_freed(uintptr_t begin) const;
  bool contains(const void* pointer) const;
  // "allocation #3 of 4096 bytes, offset 4100 (4 bytes beyond its end)"
  std::string describe(uintptr_t address, AddressRange range) const;

  // Whole ranges, for copies and fills: throws a Finding if a byte lies outside of one live allocation.
  void require(const char* what, const void* pointer, size_t bytes) const;
  // The same, and a Finding if nobody wrote one of the bytes.
  void require_written(const char* what, const void* pointer, size_t bytes) const;
  void write(void* to, const void* from, size_t bytes);
  void read(void* to, const void* from, size_t bytes) const;
  void copy(void* to, const void* from, size_t bytes);  // takes the states along
  void fill(void* to, uint8_t byte, size_t bytes);

 private:
  struct Impl;
  Impl* impl_;  // never freed: the device lives as long as the process
};
GlobalMemory& global_memory();

}  // namespace gfsa::emulator
