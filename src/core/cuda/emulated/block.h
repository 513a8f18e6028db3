// block.h -- one block of threads on the emulated device: coroutines, warps, barriers, and the clocks that tell which
// accesses are ordered.
//
// Threads run one at a time; a thread runs until it has to wait for others, then a random ready one goes on (the seed
// makes it repeatable). Races are found by clocks, not by the interleaving: `clock` counts synchronizations of the
// whole device and never goes back. A thread's accesses carry the clock of its last synchronization. What it knows of
// others is `ordered_clock` (everything in the block up to here lies before it: the last barrier of all threads) and,
// after barriers of some (named barriers, sync_warp), a view with one clock a thread. Shuffles, votes, ldmatrix and mma
// order no memory accesses, as on the device.
//
// Blocks of a grid run one after another in random order; what they may not share is found by the words' histories.
// Only one thing orders two blocks: a thread of the first that calls fence_device and then an atomic, and a thread of
// the second whose atomic on the same word comes later, and then fence_device. What the first block had done until then
// is before what the second does from then on.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/cuda/emulated/memory.h"
#include "core/cuda/launch.h"

namespace gfsa::emulator {

constexpr uint32_t kWarpSize = 32;

class Block;

// Clocks by thread, shared by the threads that learnt them together.
using View = std::shared_ptr<const std::vector<uint32_t>>;

struct PendingCopy {
  uint32_t to = 0;  // offset in shared memory
  uintptr_t from = 0;
  AddressRange from_range;
  uint32_t bytes = 0, valid_bytes = 0;  // the rest is filled with zeros
  uint32_t group = 0;
  Where where;
};

enum class ThreadState : uint8_t { ready, at_barrier, at_named, at_mbarrier, in_collective, ended };

struct Thread {
  Access access;  // what an access by this thread leaves behind: launch, block, clock, thread
  uint32_t id = 0, lane = 0, warp = 0;
  Dim3 index;
  ThreadState state = ThreadState::ready;
  View view;
  Where where;  // of the barrier or collective that it waits in
  uint32_t named = 0;
  uint32_t atomics = 0;  // in a row
  bool fenced = false;
  std::vector<PendingCopy> copies;
  uint32_t group = 0;  // of the copies not yet committed
  // Products of a warpgroup (products.h).
  std::vector<uint32_t> proxy_fences;  // clocks from which on everything before was there for products
  bool wgmma_fenced = false;
  uint32_t product_group = 0;
  Where product_where;
  void* context = nullptr;
  void* fake_stack = nullptr;  // AddressSanitizer's
};

enum class Collective : uint8_t { sync_warp, shuffle, vote, reduce, ldmatrix, mma, wgmma, wgmma_wait };
const char* name_of(Collective kind);

// What completes a collective once all lanes of the mask are there: reads and writes each lane's operand.
using Complete = void (*)(Block& block, uint32_t warp, void* const* operands, uint32_t mask);

struct BarrierVotes {
  bool any = false, all = false;
  uint32_t count = 0;
};

struct SharedWord {
  Access write, read;
  uint32_t more = 0;  // readers besides: index into the block's lists, 0: none
};

constexpr uint32_t kSharedAddresses = 256 << 10;

// Who read which 16 bytes of shared memory by products: beside the words' readers, for each product reads kilobytes.
struct ProductReads {
  static constexpr uint32_t kPieces = kSharedAddresses / 16;
  static constexpr uint32_t kWarps = 32;  // of the largest block
  struct Read {
    uint32_t clock, site;
  };
  uint32_t last[kPieces];  // the largest clock
  Read by_warp[kWarps][kPieces];
};

struct SharedMap {
  char* bytes = nullptr;
  uint8_t* states = nullptr;
  SharedWord* words = nullptr;
  ProductReads* product_reads = nullptr;
};
inline constinit SharedMap shared_map;

struct Limits {
  const char* name;
  uint32_t threads = 1024;
  uint32_t static_shared = 48 << 10;
  uint32_t dynamic_shared;
  bool warpgroups;
};
// sm_80 (163 KB) unless GFSA_EMULATED_ARCH=90 (227 KB), or as set_architecture() says (queue.h).
const Limits& limits();

struct LaunchInfo {
  const char* kernel = "";
  std::string op;
  Dim3 grid, block;
  uint32_t shared_bytes = 0;
  uint32_t number = 0;
};

// Valid while a kernel runs; the device runs one kernel at a time.
inline constinit Thread* current_thread = nullptr;
inline constinit Block* current_block = nullptr;
inline constinit uint32_t ordered_clock = 0;  // of the running block

class Mbarriers;
class Products;

class Block {
 public:
  Block();
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  // Runs the whole grid. Throws the first Finding.
  void run(const LaunchInfo& launch, const std::function<void()>& kernel, Choice& choice);

  const LaunchInfo& launch() const { return launch_; }
  Dim3 index() const { return index_; }
  uint32_t threads() const { return threads_; }
  Thread& thread(uint32_t id) { return thread_[id]; }

  // Static shared memory: the same address for every thread that comes by this declaration.
  AddressRange static_shared(const void* key, uint32_t bytes, const Where& where);
  AddressRange dynamic_shared() const { return {0, launch_.shared_bytes}; }

  // The running thread's waits.
  const BarrierVotes& barrier(bool predicate, const Where& where);  // of all threads; valid until their next barrier
  void named_barrier(uint32_t id, uint32_t threads, bool waits, const Where& where);
  void collective(Collective kind, uint32_t mask, void* operand, Complete complete, const Where& where);
  void yield_sometimes();
  void fence_device();
  void order_by_atomic(uintptr_t address);
  // Has this block learnt, in that way, of what the other did? Of what all others did?
  bool knows(uint32_t other) const { return !known_.empty() && known_[other]; }
  bool knows_all() const { return known_count_ + 1 == launch_.grid.count(); }

  // Is an access of this block, with that thread and clock, before everything that `me` does now?
  static bool ordered(const Thread& me, const Access& a) {
    return a.clock <= ordered_clock || a.thread == me.id ||
           (me.view && a.thread < me.view->size() && a.clock <= (*me.view)[a.thread]);
  }
  // sync_warp: these lanes know of each other's accesses up to now.
  void order_lanes(uint32_t warp, uint32_t mask);
  Mbarriers& mbarriers() { return *mbarriers_; }
  Products& products() { return *products_; }
  std::vector<Access>& readers(SharedWord& word);
  std::string text_of_thread(uint32_t id) const;
  std::string text_of_threads(const std::vector<uint32_t>& ids) const;

  // Besides its threads, these touch a block's memory, with clocks of their own: products of a warp, and box copies
  // that tell an mbarrier.
  uint32_t reader_of_products(uint32_t warp) const { return threads_ + warp; }
  uint32_t writer_of_boxes(size_t mbarrier) const {
    return threads_ + ProductReads::kWarps + static_cast<uint32_t>(mbarrier);
  }

 private:
  friend class Mbarriers;
  friend class Products;

  struct Gathering {
    Collective kind;
    uint32_t mask = 0, arrived = 0;
    Where where;
    std::array<void*, kWarpSize> operands{};
  };
  struct Arrival {
    uint32_t thread;
    uint32_t clock;
    View view;
    bool waits;
  };
  struct Named {
    uint32_t expected = 0;
    Where where;
    std::vector<Arrival> arrivals;
  };
  struct Stacks;

  void run_block(uint64_t block, Choice& choice);
  void switch_to(Thread* next);  // from the running thread, or from the scheduler (nullptr)
  void wait();                   // of the running thread, until somebody made it ready
  Thread* take_ready();
  void make_ready(Thread& t);
  void thread_ended();
  void run_threads();  // a coroutine's body: one kernel after another
  static void enter(void* transfer_context, void* data);
  void make_context(Thread& t);
  [[noreturn]] void report_stuck();
  [[noreturn]] void report_stuck_lanes(uint32_t warp, const Gathering& gathering);
  bool lacks_only_waiters(uint32_t warp, const Gathering& gathering) const;
  // Sometimes others go first.
  void step_aside();
  size_t view_size() const;
  static void learn(std::vector<uint32_t>& view, const std::vector<uint32_t>& other);
  // Those of `arrivals` that wait now know of the accesses of all of them.
  void join(const std::vector<Arrival>& arrivals);

  LaunchInfo launch_;
  const std::function<void()>* kernel_ = nullptr;
  Choice* choice_ = nullptr;
  Dim3 index_;
  uint32_t threads_ = 0, ended_ = 0;
  uint32_t clock_ = 0;
  std::vector<Thread> thread_;
  std::vector<uint16_t> ready_;
  std::vector<std::vector<Gathering>> gatherings_;  // by warp
  uint32_t at_barrier_ = 0, barrier_count_ = 0;
  Where barrier_where_;
  BarrierVotes votes_;
  std::array<Named, 16> named_;
  struct Static {
    const void* key;
    AddressRange range;
  };
  std::vector<Static> statics_;
  uint32_t shared_used_ = 0, static_used_ = 0;
  std::vector<std::vector<Access>> readers_;
  std::unordered_map<uintptr_t, std::vector<uint32_t>> published_;  // by atomic word: blocks
  bool fences_ = false;                                             // some thread of this launch called fence_device
  std::vector<bool> known_, seen_;                                  // by block; seen: known after the next fence
  uint64_t known_count_ = 0;
  std::exception_ptr error_;
  void* scheduler_context_ = nullptr;
  void* scheduler_fake_stack_ = nullptr;
  std::unique_ptr<Stacks> stacks_;
  std::unique_ptr<Mbarriers> mbarriers_;
  std::unique_ptr<Products> products_;
};

}  // namespace gfsa::emulator
