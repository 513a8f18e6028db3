// finding.h -- what the emulated device finds wrong: kernel, block, threads, address and source line in one message.
#pragma once

#include <cstdint>
#include <source_location>
#include <string>

#include "base/error.h"

namespace gfsa::emulator {

using Where = std::source_location;

enum class FindingKind : uint8_t {
  bad_launch,         // limits of the device, host pointers, aliasing arguments
  out_of_bounds,      // global or shared memory
  misaligned,         // global, shared, cp.async, ldmatrix
  use_after_free,     // global memory
  uninitialised,      // read of bytes that nobody wrote
  shared_race,        // two threads, one word, a write, no barrier between
  global_race,        // the same in global memory, within a block or between blocks
  missing_wait,       // bytes of a cp.async or a box copy, or a product, that has not been waited for
  divergent_barrier,  // threads of a block at different barriers, lanes of a warp in different collectives
  exited_thread,      // a barrier or collective that waits for a thread that has ended
  inactive_lane,      // a shuffle that reads, or a mask that names, a lane that does not take part
  deadlock,
  endless,   // a thread that spins
  stream,    // misuse on the host side: pageable memory, synchronizing in a capture, freeing twice
  mbarrier,  // a word that is none, or that is told of more than its phase expects
};

class Finding : public Error {
 public:
  Finding(FindingKind kind, const std::string& message) : Error(kExitFailed, message), kind_(kind) {}
  FindingKind kind() const { return kind_; }

 private:
  FindingKind kind_;
};

std::string text_of(const Where& where);  // "ops/layer_norm.cu:57"
bool same_place(const Where& a, const Where& b);

// Throws; in a kernel the message names kernel, op, block and thread.
[[noreturn]] void report(FindingKind kind, const std::string& what, const Where& where);
[[noreturn]] void report_on_host(FindingKind kind, const std::string& what);

// A source location in 32 bits, so that the record of an access stays small: all of them lie in the program's image.
uint32_t site_of(const Where& where);
Where where_of(uint32_t site);

// Which of several goes next: xorshift, repeatable by its seed.
class Choice {
 public:
  explicit Choice(uint64_t seed) { reseed(seed); }
  void reseed(uint64_t seed) { state_ = (seed * 0x9E3779B97F4A7C15ull ^ 0xD1B54A32D192ED03ull) | 1u; }
  // 0 <= result < n
  uint32_t below(uint32_t n) {
    state_ ^= state_ << 13, state_ ^= state_ >> 7, state_ ^= state_ << 17;
    return static_cast<uint32_t>(((state_ >> 32) * n) >> 32);
  }

 private:
  uint64_t state_ = 1;
};

}  // namespace gfsa::emulator
