// arena.h -- one caching allocator per device: big segments, cut best-fit, neighbours merged when freed. Memory goes
// back to the system only through trim(), so a training step in its steady state asks the system for nothing.
#pragma once

#include <cstdint>
#include <memory>

#include "core/device.h"

namespace gfsa {

struct ArenaFigures {
  uint64_t current = 0;             // bytes in live blocks
  uint64_t peak = 0;                // largest `current` since the last reset_peak()
  uint64_t reserved = 0;            // bytes taken from the system
  uint64_t system_allocations = 0;  // how often the system was asked
};

class Arena {
 public:
  explicit Arena(Device device);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // 64-byte aligned; never nullptr. Throws Error (exit code 1) with the figures when the device is full.
  void* allocate(uint64_t bytes);
  void release(void* block);
  ArenaFigures figures() const;
  void reset_peak();
  // Gives segments that are wholly free back to the system.
  void trim();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The process's arena of that device. Thread safe.
Arena& arena(Device device);

}  // namespace gfsa
