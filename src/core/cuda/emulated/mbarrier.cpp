#include "core/cuda/emulated/mbarrier.h"

#include <algorithm>

#include "core/cuda/emulated/access.h"

namespace gfsa::emulator {
namespace {
constexpr uint32_t kMostArrivals = (1u << 20) - 1, kMostBytes = (1u << 20) - 1;  // PTX ISA manual, "mbarrier object"

// What stands in the word of an mbarrier, so that whoever stores something else there is noticed.
uint64_t mark_of(uint32_t address) { return 0x9E3779B97F4A7C15ull * (address + 1); }
}  // namespace

void Mbarriers::start_block() {
  for (const PendingBox& box : boxes_) set_clocks(box, 0);  // an abandoned block's, whose clock would outlive it
  boxes_.clear();
  barriers_.clear();
}

void Mbarriers::end_block() const {
  if (boxes_.empty()) return;
  const PendingBox& box = boxes_.front();
  report(
      FindingKind::missing_wait,
      fmt::format("missing wait: the block ends, and nobody has waited for the copy_box_async of {} bytes to byte {} "
                  "of shared memory by thread {}; {} such copies are left",
                  box.bytes(), box.to, box.issuer, boxes_.size()),
      box.where);
}

void Mbarriers::initialise(uint32_t address, AddressRange range, uint32_t arrivals, const Where& where) {
  if (arrivals == 0 || arrivals > kMostArrivals) {
    report(FindingKind::mbarrier, fmt::format("mbarrier_init with {} arrivals: 1 to {}", arrivals, kMostArrivals),
           where);
  }
  for (Barrier& b : barriers_) {
    if (b.address != address) continue;
    uint64_t word;
    std::memcpy(&word, shared_map.bytes + address, sizeof(word));
    const bool told =
        std::any_of(boxes_.begin(), boxes_.end(), [&](const PendingBox& box) { return &barriers_[box.barrier] == &b; });
    if (word == mark_of(address) || told || !b.waiting.empty()) {
      report(FindingKind::mbarrier,
             fmt::format("mbarrier_init of byte {}, which is an mbarrier in use, initialised by thread {} at {}",
                         address, b.initialised_by, text_of(b.where)),
             where);
    }
    b.address = kNowhere;
  }
  check_shared<AccessKind::write, sizeof(Mbarrier)>(address, range, where);
  const uint64_t mark = mark_of(address);
  std::memcpy(shared_map.bytes + address, &mark, sizeof(mark));
  Barrier b;
  b.address = address;
  b.arrivals = b.pending = arrivals;
  b.initialised_by = current_thread->id;
  b.where = where;
  barriers_.push_back(std::move(b));
}

void Mbarriers::fence_initialised() {
  for (Barrier& b : barriers_) b.fenced |= b.initialised_by == current_thread->id;
}

size_t Mbarriers::find(uint32_t address, AddressRange range, const char* what, const Where& where) {
  // Atomic: threads meet here, but not the one that initialised it, nor plain stores, without an order.
  check_shared<AccessKind::atomic, sizeof(Mbarrier)>(address, range, where);
  for (size_t i = 0; i < barriers_.size(); ++i) {
    if (barriers_[i].address != address) continue;
    require_intact(barriers_[i], where);
    return i;
  }
  report(FindingKind::mbarrier,
         fmt::format("{}: the word at byte {} of shared memory is no mbarrier, nobody initialised it", what, address),
         where);
}

void Mbarriers::require_intact(const Barrier& b, const Where& where) const {
  uint64_t word;
  std::memcpy(&word, shared_map.bytes + b.address, sizeof(word));
  if (word == mark_of(b.address)) return;
  report(FindingKind::mbarrier,
         fmt::format("the word at byte {} of shared memory is no mbarrier any more: something was stored over it since "
                     "mbarrier_init at {}",
                     b.address, text_of(b.where)),
         where);
}

void Mbarriers::arrive(uint32_t address, AddressRange range, uint32_t bytes, const Where& where) {
  Thread& t = *current_thread;
  t.where = where;
  t.atomics = 0;
  block_.step_aside();
  const size_t index = find(address, range, "mbarrier_arrive", where);
  Barrier& b = barriers_[index];
  if (bytes > kMostBytes) {
    report(FindingKind::mbarrier,
           fmt::format("an mbarrier can wait for {} bytes in a phase, not {}", kMostBytes, bytes), where);
  }
  if (b.pending == 0) {
    report(FindingKind::mbarrier,
           fmt::format("an arrival too many: phase {} of the mbarrier at byte {} has had its {} and only waits for {} "
                       "bytes",
                       b.phase, b.address, b.arrivals, b.bytes),
           where);
  }
  b.bytes += bytes;
  --b.pending;
  if (t.view != nullptr && t.view != b.merged) {
    Block::learn(b.known, *t.view);
    b.merged = t.view;
  }
  if (b.known.size() < block_.view_size()) b.known.resize(block_.view_size());
  b.known[t.id] = std::max(b.known[t.id], t.access.clock);
  t.access.clock = ++block_.clock_;  // what follows is not covered by it
  end_phase_if_over(index);
}

void Mbarriers::end_phase_if_over(size_t index) {
  Barrier& b = barriers_[index];
  if (b.pending != 0 || b.bytes != 0) return;
  for (const PendingBox& box : boxes_) {
    if (box.barrier != index || box.arrived) continue;
    report(FindingKind::mbarrier,
           fmt::format("phase {} of the mbarrier at byte {} is over while this copy_box_async of {} bytes, which tells "
                       "it, is on its way: fewer bytes were expected than are copied",
                       b.phase, b.address, box.bytes()),
           box.where);
  }
  b.done = std::make_shared<const std::vector<uint32_t>>(b.known);
  ++b.phase;
  b.pending = b.arrivals;
  for (const uint32_t id : b.waiting) block_.make_ready(block_.thread_[id]);
  b.waiting.clear();
}

void Mbarriers::wait(uint32_t address, AddressRange range, uint32_t parity, const Where& where) {
  Thread& t = *current_thread;
  t.where = where;
  t.atomics = 0;
  if (parity > 1) {
    report(FindingKind::mbarrier, fmt::format("mbarrier_wait for parity {}: 0 or 1", parity), where);
  }
  block_.step_aside();
  const size_t index = find(address, range, "mbarrier_wait", where);
  while (barriers_[index].phase % 2 == parity) {
    barriers_[index].waiting.push_back(t.id);
    t.state = ThreadState::at_mbarrier;
    block_.wait();
    require_intact(barriers_[index], where);
  }
  learn_of(index);
}

// The running thread has seen that the last phase is over: what those did who arrived until then, and the boxes that
// came, is before what it does now.
void Mbarriers::learn_of(size_t index) {
  Barrier& b = barriers_[index];
  const auto came = [&](const PendingBox& box) { return box.barrier == index && box.arrived && box.phase != b.phase; };
  if (std::any_of(boxes_.begin(), boxes_.end(), came)) {
    const uint32_t clock = ++block_.clock_, writer = block_.writer_of_boxes(index);
    for (PendingBox& box : boxes_) {
      if (came(box)) settle(box, clock);
    }
    std::erase_if(boxes_, came);
    auto done = *b.done;
    if (done.size() <= writer) done.resize(writer + 1);
    done[writer] = clock;
    if (b.known.size() <= writer) b.known.resize(writer + 1);
    b.known[writer] = clock;
    b.done = std::make_shared<const std::vector<uint32_t>>(std::move(done));
  }
  Thread& t = *current_thread;
  if (b.done == nullptr || t.view == b.done) return;
  if (t.view == nullptr) {
    t.view = b.done;
    return;
  }
  if (b.shared_from != t.view || b.shared_done != b.done) {
    auto merged = *t.view;
    Block::learn(merged, *b.done);
    b.shared_from = t.view;
    b.shared_done = b.done;
    b.shared_to = std::make_shared<const std::vector<uint32_t>>(std::move(merged));
  }
  t.view = b.shared_to;
}

std::string Mbarriers::text_of_copies(size_t barrier) const {
  return fmt::format("a copy_box_async that tells the mbarrier at byte {}", barriers_[barrier].address);
}

std::string Mbarriers::lacks(const Barrier& b) const {
  std::string text = fmt::format("phase {} (parity {}) of the mbarrier at byte {}, initialised at {}, lacks ", b.phase,
                                 b.phase % 2, b.address, text_of(b.where));
  if (b.pending > 0) text += fmt::format("{} of {} arrivals", b.pending, b.arrivals);
  if (b.bytes != 0) text += fmt::format("{}{} bytes", b.pending > 0 ? " and " : "", b.bytes);
  if (b.bytes < 0) text += " (more came than were expected)";
  return text;
}

void Mbarriers::report_stuck() const {
  std::string text;
  Where where;
  for (const Barrier& b : barriers_) {
    if (b.waiting.empty()) continue;
    std::vector<uint32_t> waiting = b.waiting;
    std::sort(waiting.begin(), waiting.end());
    if (text.empty()) where = block_.thread_[waiting[0]].where;
    text += fmt::format("{}{}; {} wait{} for it at {}", text.empty() ? "deadlock: " : "; ", lacks(b),
                        block_.text_of_threads(waiting), waiting.size() == 1 ? "s" : "",
                        text_of(block_.thread_[waiting[0]].where));
  }
  if (text.empty()) return;
  std::vector<uint32_t> ended, elsewhere;
  for (uint32_t i = 0; i < block_.threads_; ++i) {
    if (block_.thread_[i].state == ThreadState::ended) ended.push_back(i);
    if (block_.thread_[i].state != ThreadState::ended && block_.thread_[i].state != ThreadState::at_mbarrier) {
      elsewhere.push_back(i);
    }
  }
  if (!elsewhere.empty()) {
    text += fmt::format("; {} wait elsewhere, first at {}", block_.text_of_threads(elsewhere),
                        text_of(block_.thread_[elsewhere[0]].where));
  }
  if (!ended.empty()) text += fmt::format("; {} ended", block_.text_of_threads(ended));
  report(FindingKind::deadlock, text, where);
}

}  // namespace gfsa::emulator
