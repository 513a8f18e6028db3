// arena.h -- one caching allocator per device: big segments, cut best-fit, neighbours merged when freed. Memory goes
// back to the system only through trim(), so a training step in its steady state asks the system for nothing.
//
// Work that is recorded once and run again later (core/cuda/runtime.h: graphs) writes to the same addresses each time.
// What it takes must come from an ArenaPool: segments that serve nobody else as long as the pool lives.
#pragma once

#include <cstdint>
#include <memory>

#include "core/device.h"

namespace gfsa {

struct ArenaFigures {
  uint64_t current = 0;             // bytes in live blocks; of a pool, the most that it has had in use at once
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
  friend class ArenaPool;
  friend class ArenaPoolScope;
  struct Pool;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Takes segments of the arena that are wholly free before it asks the system. With its end they are everybody's again;
// blocks that are still in use then go on as any others. The arena must outlive it.
class ArenaPool {
 public:
  explicit ArenaPool(Arena& arena);
  ~ArenaPool();
  ArenaPool(const ArenaPool&) = delete;
  ArenaPool& operator=(const ArenaPool&) = delete;

 private:
  friend class ArenaPoolScope;
  Arena& arena_;
  std::unique_ptr<Arena::Pool> pool_;
};

// While it lives, what the calling thread asks the arena for comes from the pool. One at a time an arena. Blocks go
// back to where they came from, at any time.
class ArenaPoolScope {
 public:
  explicit ArenaPoolScope(ArenaPool& pool);
  ~ArenaPoolScope();
  ArenaPoolScope(const ArenaPoolScope&) = delete;
  ArenaPoolScope& operator=(const ArenaPoolScope&) = delete;

 private:
  Arena& arena_;
};

// The process's arena of that device. Thread safe.
Arena& arena(Device device);

}  // namespace gfsa
