// PendingBox copies (TMA). PTX ISA manual, "cp.async.bulk.tensor" and "Tensors"; the rules of a tensor's steps are
// those of cuTensorMapEncodeTiled.
#include <algorithm>

#include "core/cuda/emulated/access.h"
#include "core/cuda/emulated/mbarrier.h"
#include "core/cuda/emulated/warpgroup.h"

namespace gfsa::emulator {
namespace {
constexpr uint32_t kPiece = 16, kPieces = kSwizzledRowBytes / kPiece;  // of a row
constexpr uint32_t kBoxAlignment = kSwizzledRowBytes * kSwizzledRows;
constexpr uint32_t kNotYet = ~0u;  // a clock that nobody knows of

// While it lives, accesses are those of somebody else, who knows what was known earlier.
class ActAs {
 public:
  ActAs(Thread& agent, uint32_t ordered) : thread_(current_thread), ordered_(ordered_clock) {
    current_thread = &agent;
    ordered_clock = ordered;
  }
  ~ActAs() { current_thread = thread_, ordered_clock = ordered_; }
  ActAs(const ActAs&) = delete;
  ActAs& operator=(const ActAs&) = delete;

 private:
  Thread* thread_;
  uint32_t ordered_;
};

// Bytes of global memory and their states, in pieces as large as their address allows. What nobody wrote is no finding
// here: only whoever uses it is at fault.
void read_global(uintptr_t from, uint32_t bytes, const PendingBox& box, char* to, uint8_t* states) {
  for (uint32_t i = 0; i < bytes;) {
    const uintptr_t address = from + i;
    const uint8_t* known = memory_map.states + (address - memory_map.base);
    if (address % kPiece == 0 && bytes - i >= kPiece && all_written<kPiece>(known)) {
      check_global<AccessKind::read, kPiece>(address, box.range, box.where);
      std::memcpy(to + i, real_address(address), kPiece);
      i += kPiece;
    } else {
      states[i] = known[0] == kFresh ? kFresh : kWritten;
      if (states[i] == kWritten) check_global<AccessKind::read, 1>(address, box.range, box.where);
      to[i] = *real_address(address);
      ++i;
    }
  }
}

}  // namespace

// Accesses of a box as its issuer's, who knew at the issue what it knew then, but with a clock of their own.
Thread Mbarriers::agent_of(const PendingBox& box, uint32_t clock) const {
  Thread agent;
  agent.id = box.issuer;
  agent.access = block_.thread_[box.issuer].access;
  agent.access.thread = static_cast<uint16_t>(block_.writer_of_boxes(box.barrier));
  agent.access.clock = clock;
  agent.view = box.view;
  return agent;
}

void Mbarriers::start_copy(uint32_t address, AddressRange range, AddressRange to, PendingBox box) {
  const Where& where = box.where;
  if (box.to < to.begin || uint64_t{box.to} + box.bytes() > to.end) {
    report(FindingKind::out_of_bounds,
           fmt::format("out of bounds: copy_box_async of {} bytes to a shared array of {} bytes, offset {}",
                       box.bytes(), to.end - to.begin,
                       static_cast<int64_t>(static_cast<int32_t>(box.to)) - static_cast<int64_t>(to.begin)),
           where);
  }
  if (box.to % kBoxAlignment != 0) {
    report(
        FindingKind::misaligned,
        fmt::format("misaligned: copy_box_async to byte {} of shared memory, no multiple of {}", box.to, kBoxAlignment),
        where);
  }
  box.barrier = find(address, range, "copy_box_async", where);
  const Barrier& b = barriers_[box.barrier];
  if (!b.fenced) {
    report(FindingKind::mbarrier,
           fmt::format("copy_box_async tells the mbarrier at byte {}, and thread {}, which initialised it at {}, has "
                       "not called mbarrier_init_fence since",
                       b.address, b.initialised_by, text_of(b.where)),
           where);
  }
  box.phase = b.phase;
  box.issuer = current_thread->id;
  box.ordered = ordered_clock;
  box.view = current_thread->view;
  boxes_.push_back(std::move(box));
  mark_in_flight(boxes_.back());
  if (block_.choice_->below(4) == 0) bring(boxes_.back());
}

// From here on the bytes may change at any time: a write, for everybody who reads them.
void Mbarriers::mark_in_flight(const PendingBox& box) const {
  Thread agent = agent_of(box, kNotYet);
  const ActAs as(agent, box.ordered);
  const AddressRange all{box.to, box.to + box.bytes()};
  for (uint32_t i = 0; i < box.bytes(); i += kPiece) {
    check_shared<AccessKind::write, kPiece>(box.to + i, all, box.where);
  }
  std::memset(shared_map.states + box.to, kInFlight, box.bytes());
}

bool Mbarriers::bring_one() {
  const auto on_its_way = [](const PendingBox& box) { return !box.arrived; };
  const auto n = static_cast<uint32_t>(std::count_if(boxes_.begin(), boxes_.end(), on_its_way));
  if (n == 0) return false;
  uint32_t skip = block_.choice_->below(n);
  for (PendingBox& box : boxes_) {
    if (!box.arrived && skip-- == 0) {
      bring(box);
      return true;
    }
  }
  return false;
}

void Mbarriers::bring(PendingBox& box) {
  const uint32_t clock = ++block_.clock_;
  Thread agent = agent_of(box, clock);
  const ActAs as(agent, box.ordered);
  require_intact(barriers_[box.barrier], box.where);
  bool inside = true;
  uintptr_t plane = box.data;
  for (size_t d = 2; d < 5; ++d) {
    inside = inside && box.at[d] >= 0 && box.at[d] < box.sizes[d];
    plane += static_cast<uintptr_t>(box.at[d] * box.steps[d] * 2);
  }
  const int64_t first = std::max<int64_t>(0, -box.at[0]),
                end = std::min<int64_t>(kBoxColumns, box.sizes[0] - box.at[0]);
  for (uint32_t r = 0; r < box.rows; ++r) {
    char bytes[kSwizzledRowBytes] = {};
    uint8_t states[kSwizzledRowBytes];
    std::memset(states, kWritten, sizeof(states));
    const int64_t row = box.at[1] + r;
    if (inside && row >= 0 && row < box.sizes[1] && first < end) {
      const uintptr_t from = plane + static_cast<uintptr_t>((row * box.steps[1] + box.at[0] + first) * 2);
      const auto n = static_cast<uint32_t>((end - first) * 2);
      if (from < box.range.begin || from + n > box.range.end) {
        report(FindingKind::out_of_bounds,
               fmt::format("out of bounds: copy_box_async of {} bytes from global memory at {}", n,
                           global_memory().describe(from, box.range)),
               box.where);
      }
      read_global(from, n, box, bytes + first * 2, states + first * 2);
    }
    const bool whole = std::all_of(states, states + kSwizzledRowBytes, [](uint8_t s) { return s == kWritten; });
    if (!whole && box.states.empty()) box.states.assign(box.bytes(), kWritten);
    for (uint32_t p = 0; p < kPieces; ++p) {
      const uint32_t to = swizzled(box.to + r * kSwizzledRowBytes + p * kPiece);
      std::memcpy(shared_map.bytes + to, bytes + p * kPiece, kPiece);
      if (!whole) std::memcpy(box.states.data() + (to - box.to), states + p * kPiece, kPiece);
    }
  }
  box.arrived = true;
  Barrier& b = barriers_[box.barrier];
  b.bytes -= box.bytes();
  end_phase_if_over(box.barrier);
}

void Mbarriers::settle(const PendingBox& box, uint32_t clock) {
  if (box.states.empty()) {
    std::memset(shared_map.states + box.to, kWritten, box.bytes());
  } else {
    std::memcpy(shared_map.states + box.to, box.states.data(), box.bytes());
  }
  set_clocks(box, clock);
}

void Mbarriers::set_clocks(const PendingBox& box, uint32_t clock) {
  for (uint32_t i = 0; i < box.bytes() / 4; ++i) shared_map.words[box.to / 4 + i].write.clock = clock;
}

void Mbarriers::report_box_over(uint32_t byte, const std::string& what, const Where& where) const {
  for (const PendingBox& box : boxes_) {
    if (byte - box.to >= box.bytes()) continue;
    report(FindingKind::missing_wait,
           fmt::format("missing wait: {}, which the copy_box_async by {} at {} writes; nobody has waited for the "
                       "mbarrier at byte {} that it tells",
                       what, block_.text_of_thread(box.issuer), text_of(box.where), barriers_[box.barrier].address),
           where);
  }
}

}  // namespace gfsa::emulator

namespace gfsa::emulated {

TensorMap tensor_map(const BoxedTensor& tensor) {
  if (tensor.data == nullptr) fail("tensor_map: no data");
  if (reinterpret_cast<uintptr_t>(tensor.data) % 16 != 0) {
    fail("tensor_map: address {} is no multiple of 16 bytes", static_cast<const void*>(tensor.data));
  }
  if (tensor.box_rows < 1 || tensor.box_rows > 256) fail("tensor_map: box_rows {}, not 1 to 256", tensor.box_rows);
  if (tensor.steps[0] != 1) fail("tensor_map: steps[0] is {}, not 1", tensor.steps[0]);
  for (size_t d = 0; d < 5; ++d) {
    if (tensor.sizes[d] < 1) fail("tensor_map: sizes[{}] is {}, not positive", d, tensor.sizes[d]);
    if (d > 0 && (tensor.steps[d] < 0 || tensor.steps[d] % 8 != 0)) {
      fail("tensor_map: steps[{}] is {} elements, no multiple of 16 bytes", d, tensor.steps[d]);
    }
  }
  return {tensor.data, tensor.sizes, tensor.steps, tensor.box_rows};
}

void start_box_copy(uint32_t to, AddressRange to_range, const TensorMap& map, const std::array<int, 5>& at,
                    const Shared<Mbarrier>& b, int64_t n, const Where& where) {
  require_warpgroups("copy_box_async", where);
  if (!map.data)
    report(FindingKind::bad_launch, "copy_box_async with a TensorMap that tensor_map() did not make", where);
  PendingBox box;
  box.to = to;
  box.rows = static_cast<uint32_t>(map.box_rows);
  box.data = map.data.address();
  box.range = map.data.range();
  box.sizes = map.sizes;
  box.steps = map.steps;
  std::copy(at.begin(), at.end(), box.at.begin());
  box.where = where;
  current_block->mbarriers().start_copy(b.address(n), b.range(), to_range, std::move(box));
}

}  // namespace gfsa::emulated
