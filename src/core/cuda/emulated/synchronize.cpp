// Barriers and collectives of a block, the clocks they pass on, and what is wrong when nobody can go on.
#include <algorithm>
#include <bit>

#include "core/cuda/emulated/mbarrier.h"

namespace gfsa::emulator {
namespace {
std::string lanes_text(uint32_t mask) {
  std::string text;
  for (uint32_t i = 0; i < kWarpSize;) {
    if (!(mask >> i & 1u)) {
      ++i;
      continue;
    }
    uint32_t j = i;
    while (j + 1 < kWarpSize && (mask >> (j + 1) & 1u)) ++j;
    text += fmt::format("{}{}", text.empty() ? "" : ", ", i);
    if (j > i) text += fmt::format("-{}", j);
    i = j + 1;
  }
  return (std::popcount(mask) == 1 ? "lane " : "lanes ") + text;
}
}  // namespace

const BarrierVotes& Block::barrier(bool predicate, const Where& where) {
  Thread& t = *current_thread;
  if (at_barrier_ > 0 && !same_place(where, barrier_where_)) {
    std::vector<uint32_t> waiting;
    for (uint32_t i = 0; i < threads_; ++i) {
      if (thread_[i].state == ThreadState::at_barrier) waiting.push_back(i);
    }
    report(FindingKind::divergent_barrier,
           fmt::format("divergent barrier: this thread is here, while {} at the barrier at {}",
                       text_of_threads(waiting) + (waiting.size() == 1 ? " waits" : " wait"), text_of(barrier_where_)),
           where);
  }
  barrier_where_ = t.where = where;
  t.atomics = 0;
  ++at_barrier_;
  barrier_count_ += predicate;
  if (at_barrier_ < threads_) {
    t.state = ThreadState::at_barrier;
    wait();
    return votes_;
  }
  votes_ = {barrier_count_ > 0, barrier_count_ == threads_, barrier_count_};
  at_barrier_ = barrier_count_ = 0;
  ordered_clock = clock_++;
  for (uint32_t i = 0; i < threads_; ++i) {
    Thread& other = thread_[i];
    other.access.clock = clock_;
    other.view.reset();
    if (&other != &t) make_ready(other);
  }
  return votes_;
}

void Block::named_barrier(uint32_t id, uint32_t threads, bool waits, const Where& where) {
  if (id == 0 || id >= named_.size() || threads == 0 || threads % kWarpSize != 0 || threads > 1024) {
    report(FindingKind::divergent_barrier,
           fmt::format("named barrier {} of {} threads: expected a number from 1 to 15 and a multiple of 32 threads",
                       id, threads),
           where);
  }
  Thread& t = *current_thread;
  t.where = where;
  t.atomics = 0;
  t.named = id;
  Named& barrier = named_[id];
  if (barrier.arrivals.empty()) {
    barrier.expected = threads;
    barrier.where = where;
  } else if (barrier.expected != threads) {
    report(FindingKind::divergent_barrier,
           fmt::format("named barrier {} of {} threads, but thread {} came for one of {} at {}", id, threads,
                       barrier.arrivals.front().thread, barrier.expected, text_of(barrier.where)),
           where);
  }
  barrier.arrivals.push_back({t.id, t.access.clock, t.view, waits});
  t.access.clock = ++clock_;
  if (barrier.arrivals.size() == barrier.expected) {
    join(barrier.arrivals);
    for (const Arrival& a : barrier.arrivals) {
      if (a.waits && a.thread != t.id) make_ready(thread_[a.thread]);
    }
    barrier.arrivals.clear();
  } else if (waits) {
    t.state = ThreadState::at_named;
    wait();
  }
}

void Block::join(const std::vector<Arrival>& arrivals) {
  auto merged = std::make_shared<std::vector<uint32_t>>(threads_, 0u);
  merged->reserve(view_size());
  const std::vector<uint32_t>* last = nullptr;
  for (const Arrival& a : arrivals) {
    if (a.view == nullptr || a.view.get() == last) continue;
    last = a.view.get();
    learn(*merged, *last);
  }
  for (const Arrival& a : arrivals) (*merged)[a.thread] = std::max((*merged)[a.thread], a.clock);
  ++clock_;
  for (const Arrival& a : arrivals) {
    if (!a.waits) continue;
    thread_[a.thread].view = merged;
    thread_[a.thread].access.clock = clock_;
  }
}

void Block::order_lanes(uint32_t warp, uint32_t mask) {
  std::vector<Arrival> arrivals;
  arrivals.reserve(kWarpSize);
  for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
    if (!(mask >> lane & 1u)) continue;
    const Thread& t = thread_[warp * kWarpSize + lane];
    arrivals.push_back({t.id, t.access.clock, t.view, true});
  }
  join(arrivals);
}

void Block::collective(Collective kind, uint32_t mask, void* operand, Complete complete, const Where& where) {
  Thread& t = *current_thread;
  t.where = where;
  t.atomics = 0;
  const uint32_t there = std::min(kWarpSize, threads_ - t.warp * kWarpSize);
  if (there < kWarpSize && mask >> there != 0) {
    report(FindingKind::inactive_lane,
           fmt::format("{} with mask {:#010x}, but the last warp of a block of {} threads has only {} lanes",
                       name_of(kind), mask, threads_, there),
           where);
  }
  if (!(mask >> t.lane & 1u)) {
    report(FindingKind::inactive_lane,
           fmt::format("{} with mask {:#010x}, which does not name the calling lane", name_of(kind), mask), where);
  }
  auto& list = gatherings_[t.warp];
  size_t i = 0;
  while (i < list.size() && (list[i].kind != kind || list[i].mask != mask || (list[i].arrived >> t.lane & 1u))) ++i;
  if (i == list.size()) {
    list.push_back({kind, mask, 0, where, {}});
  } else if (kind != Collective::sync_warp && !same_place(list[i].where, where)) {
    report(FindingKind::divergent_barrier,
           fmt::format("divergent warp: this lane is in the {} here, while {} wait in the {} at {}", name_of(kind),
                       lanes_text(list[i].arrived), name_of(kind), text_of(list[i].where)),
           where);
  }
  Gathering& gathering = list[i];
  gathering.arrived |= 1u << t.lane;
  gathering.operands[t.lane] = operand;
  if (gathering.arrived != mask) {
    t.state = ThreadState::in_collective;
    wait();
    return;
  }
  const auto operands = gathering.operands;
  list.erase(list.begin() + static_cast<std::ptrdiff_t>(i));
  if (complete != nullptr) complete(*this, t.warp, operands.data(), mask);
  for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
    if ((mask >> lane & 1u) && lane != t.lane) make_ready(thread_[t.warp * kWarpSize + lane]);
  }
}

void Block::report_stuck_lanes(uint32_t warp, const Gathering& g) {
  uint32_t ended = 0, elsewhere = 0, first = kWarpSize;
  bool in_collective = false;
  for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
    if (!(g.mask >> lane & 1u) || (g.arrived >> lane & 1u)) continue;
    const Thread& t = thread_[warp * kWarpSize + lane];
    if (t.state == ThreadState::ended) {
      ended |= 1u << lane;
    } else {
      elsewhere |= 1u << lane;
      if (first == kWarpSize) first = lane, in_collective = t.state == ThreadState::in_collective;
    }
  }
  const std::string start = fmt::format("{} with mask {:#010x}: {} of warp {} wait for ", name_of(g.kind), g.mask,
                                        lanes_text(g.arrived), warp);
  if (ended != 0) {
    report(FindingKind::exited_thread, start + fmt::format("{}, which ended before", lanes_text(ended)), g.where);
  }
  const Thread& t = thread_[warp * kWarpSize + first];
  report(in_collective ? FindingKind::divergent_barrier : FindingKind::inactive_lane,
         start + fmt::format("{}, not active here: {} waits at {}", lanes_text(elsewhere), lanes_text(1u << first),
                             text_of(t.where)),
         g.where);
}

// Do those that a collective waits for all wait at an mbarrier themselves?
bool Block::lacks_only_waiters(uint32_t warp, const Gathering& g) const {
  for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
    if (!(g.mask >> lane & 1u) || (g.arrived >> lane & 1u)) continue;
    if (thread_[warp * kWarpSize + lane].state != ThreadState::at_mbarrier) return false;
  }
  return true;
}

void Block::report_stuck() {
  for (uint32_t warp = 0; warp < gatherings_.size(); ++warp) {
    for (const Gathering& g : gatherings_[warp]) {
      if (!lacks_only_waiters(warp, g)) report_stuck_lanes(warp, g);
    }
  }
  mbarriers_->report_stuck();
  std::vector<uint32_t> ended, waiting;
  const Thread* named = nullptr;
  for (uint32_t i = 0; i < threads_; ++i) {
    if (thread_[i].state == ThreadState::ended) ended.push_back(i);
    if (thread_[i].state == ThreadState::at_barrier) waiting.push_back(i);
    if (thread_[i].state == ThreadState::at_named) named = &thread_[i];
  }
  if (named == nullptr) {
    report(FindingKind::exited_thread,
           fmt::format("barrier: {} wait for {}, which ended before", text_of_threads(waiting), text_of_threads(ended)),
           barrier_where_);
  }
  const Named& barrier = named_[named->named];
  std::vector<uint32_t> there;
  for (const Arrival& a : barrier.arrivals) there.push_back(a.thread);
  std::sort(there.begin(), there.end());
  std::string text = fmt::format("deadlock: named barrier {} waits for {} threads and has {} ({})", named->named,
                                 barrier.expected, there.size(), text_of_threads(there));
  if (!waiting.empty())
    text += fmt::format("; {} wait at the barrier at {}", text_of_threads(waiting), text_of(barrier_where_));
  if (!ended.empty()) text += fmt::format("; {} ended", text_of_threads(ended));
  report(FindingKind::deadlock, text, named->where);
}

}  // namespace gfsa::emulator
