// mbarrier.h -- the mbarriers of a block, and the boxes that are on their way to its shared memory.
//
// The bytes of a box are nobody's from its issue until a thread has waited for the phase that they are told to, also
// where they have come before: then they are written, at a clock that this wait teaches (block.h). What a box reads
// from global memory it reads when it comes: at once or, more often, only when no thread can go on.
#pragma once

#include "core/cuda/emulated/block.h"

namespace gfsa::emulator {

// A box copy: what of global memory to where, and what is known when it is issued.
struct PendingBox {
  uint32_t to = 0, rows = 0;  // rows of 128 bytes
  uintptr_t data = 0;
  AddressRange range;
  std::array<int64_t, 5> sizes{}, steps{}, at{};  // elements of bf16
  Where where;
  size_t barrier = 0;
  uint32_t phase = 0;
  uint32_t issuer = 0, ordered = 0;
  View view;
  bool arrived = false;
  std::vector<uint8_t> states;  // of the bytes that came; empty: all written
  uint32_t bytes() const { return rows * 128; }
};

class Mbarriers {
 public:
  explicit Mbarriers(Block& block) : block_(block) {}

  // Of the running thread. `address` is a byte of shared memory, `range` what its pointer may touch.
  void initialise(uint32_t address, AddressRange range, uint32_t arrivals, const Where& where);
  void fence_initialised();
  void arrive(uint32_t address, AddressRange range, uint32_t bytes, const Where& where);
  void wait(uint32_t address, AddressRange range, uint32_t parity, const Where& where);
  // box.to, rows and the tensor are given; `to`: what the destination's pointer may touch.
  void start_copy(uint32_t address, AddressRange range, AddressRange to, PendingBox box);

  void start_block();
  void end_block() const;  // throws if a copy was never waited for
  bool bring_one();        // one of the boxes under way comes; false: there is none
  size_t count() const { return barriers_.size(); }

  // Throws if a box is on its way to this byte.
  void report_box_over(uint32_t byte, const std::string& what, const Where& where) const;
  void report_stuck() const;  // throws if a thread waits
  std::string text_of_copies(size_t barrier) const;
  // Is it a box copy's?
  static bool wrote(const Access& access) { return access.thread >= current_block->writer_of_boxes(0); }

 private:
  struct Barrier {
    uint32_t address = 0;  // kNowhere: its bytes were used for other things
    uint32_t arrivals = 0, pending = 0;
    int64_t bytes = 0;  // that the phase still waits for; below 0: told before they were expected
    uint32_t phase = 0;
    uint32_t initialised_by = 0;
    bool fenced = false;
    Where where;
    std::vector<uint32_t> known;    // by those who arrived up to now
    View merged;                    // the last one that went into `known`
    View done;                      // `known` when the last phase ended
    std::vector<uint32_t> waiting;  // threads
    // Threads that come with the same view and learn the same share what they know then.
    View shared_from, shared_done, shared_to;
  };
  static constexpr uint32_t kNowhere = ~0u;

  size_t find(uint32_t address, AddressRange range, const char* what, const Where& where);
  void require_intact(const Barrier& b, const Where& where) const;
  void end_phase_if_over(size_t index);
  void learn_of(size_t index);
  static void settle(const PendingBox& box, uint32_t clock);  // its bytes are written, at this clock
  static void set_clocks(const PendingBox& box, uint32_t clock);
  void mark_in_flight(const PendingBox& box) const;
  void bring(PendingBox& box);
  std::string lacks(const Barrier& b) const;
  Thread agent_of(const PendingBox& box, uint32_t clock) const;

  Block& block_;
  std::vector<Barrier> barriers_;
  std::vector<PendingBox> boxes_;  // that nobody has waited for
};

}  // namespace gfsa::emulator
