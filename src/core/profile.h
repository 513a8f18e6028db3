// profile.h -- where the time of a step goes: ranges that nest, on every thread, with what ops compute and move.
//
//   const OpRange range("gelu");               first in an op's forward; record() finds it (autograd/autograd.h)
//   const ProfileRange range("data wait");     a part of a step
//
// While nothing is recorded (all runs but gfsa-train --profile) a range is one branch. While something is, the thread
// that began the recording waits for the device where a range begins and where it ends, so that a range has the time of
// its kernels and nobody else's: what a GPU would have done beside the host comes after it, and a step takes longer
// than without. Built with CUDA, ranges are NVTX ranges too (nsys).
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "core/device.h"

namespace gfsa::profile {

enum class Kind : uint8_t {
  phase,     // "step", "forward", "data wait"
  module,    // a part of a model
  forward,   // an op
  backward,  // an op's gradients
};

struct Range {
  const char* name = "";
  Kind kind = Kind::phase;
  int thread = 0;                            // index into Recording::threads
  int64_t parent = -1;                       // the range of the same thread that this one lies in; -1: none
  int64_t forward = -1;                      // of a backward: the op's forward, if that was recorded
  double start = 0, end = 0;                 // seconds since the recording began
  int64_t flops = 0;                         // of matrix products in it, those of ranges within included: 2 m n k each
  int64_t bytes = 0;                         // that it reads and writes, without ranges within: see set_bytes()
  int64_t set_flops = -1;                    // by set_flops()
  bool bytes_are_set = false;                // by set_bytes()
  std::vector<const void*> parameters = {};  // of an op's forward: the slots (Tensor::slot) of leaves that it reads
};

struct Recording {
  std::vector<std::string> threads;  // names, made unique; the first began the recording
  std::vector<Range> ranges;         // in the order of their beginnings, so that a parent comes first
  double seconds = 0;
};

namespace detail {
inline std::atomic<bool> on{false};
inline std::atomic<int64_t> flops{0};
}  // namespace detail

inline bool is_on() { return detail::on.load(std::memory_order_relaxed); }

// One recording at a time. device: where this thread's work goes.
void start(Device device);
// Ranges that have not ended yet end here.
Recording stop();

// The calling thread's name in recordings, now and later: "data loader".
void name_thread(const char* name);

// Called by products, from any thread.
inline void add_flops(int64_t n) {
  if (is_on()) detail::flops.fetch_add(n, std::memory_order_relaxed);
}

// The innermost range's FLOPs, instead of those of the products in it: for ops whose kernels multiply by themselves,
// and compute things twice as they think best.
void set_flops(int64_t n);
// The bytes of the thread's innermost range are its operands' and results', each once, unless the op says that it
// touches others: rows of a table, or nothing at all where it hands on what it got.
void set_bytes(uint64_t bytes);
// Operands and results, unless set_bytes() has been called.
void note_operands(uint64_t bytes);
// On top of both: a sum with what other ops have given.
void add_bytes(uint64_t bytes);
// Of the innermost range.
void note_parameter(const void* slot);

// The calling thread's innermost range, -1 if there is none, and its name.
int64_t innermost();
const char* innermost_name();

}  // namespace gfsa::profile

namespace gfsa {

class ProfileRange {
 public:
  // name: kept as a pointer, so of unlimited life.
  explicit ProfileRange(const char* name, profile::Kind kind = profile::Kind::phase, int64_t forward = -1)
      : open_(profile::is_on()) {
    if (open_) begin(name, kind, forward);
  }
  ~ProfileRange() {
    if (open_) end();
  }
  ProfileRange(const ProfileRange&) = delete;
  ProfileRange& operator=(const ProfileRange&) = delete;
  bool is_open() const { return open_; }

 private:
  void begin(const char* name, profile::Kind kind, int64_t forward);
  void end();

  bool open_;
  int64_t at_ = -1;
  uint64_t recording_ = 0;
};

class OpRange : public ProfileRange {
 public:
  explicit OpRange(const char* op) : ProfileRange(op, profile::Kind::forward) {}
};

}  // namespace gfsa
