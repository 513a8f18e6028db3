#include "core/cuda/emulated/block.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>

#include "core/cuda/emulated/mbarrier.h"
#include "core/cuda/emulated/products.h"

namespace gfsa::emulator {
namespace {
constexpr uint32_t kAtomicsInARow = 10'000'000;
constexpr uint32_t kSharedAlignment = 16;
}  // namespace

const char* name_of(Collective kind) {
  constexpr const char* kNames[] = {"sync_warp", "shuffle", "vote",  "warp reduction",
                                    "ldmatrix",  "mma",     "wgmma", "wgmma_wait"};
  return kNames[static_cast<int>(kind)];
}

namespace {
const Limits kSm80{.name = "sm_80", .dynamic_shared = 163 << 10, .warpgroups = false};
const Limits kSm90{.name = "sm_90", .dynamic_shared = 227 << 10, .warpgroups = true};

std::atomic<const Limits*>& chosen_limits() {
  static const char* arch = std::getenv("GFSA_EMULATED_ARCH");
  static std::atomic<const Limits*> chosen = arch != nullptr && std::string_view(arch) == "90" ? &kSm90 : &kSm80;
  return chosen;
}
}  // namespace

const Limits& limits() { return *chosen_limits(); }

void set_architecture(int architecture) {
  if (architecture != 80 && architecture != 90) fail("emulated device: architecture {}, not 80 or 90", architecture);
  chosen_limits() = architecture == 90 ? &kSm90 : &kSm80;
}

void Block::run(const LaunchInfo& launch, const std::function<void()>& kernel, Choice& choice) {
  launch_ = launch;
  kernel_ = &kernel;
  choice_ = &choice;
  threads_ = static_cast<uint32_t>(launch.block.count());
  while (thread_.size() < threads_) {
    thread_.emplace_back();
    make_context(thread_.back());
  }
  gatherings_.resize((threads_ + kWarpSize - 1) / kWarpSize);
  if (clock_ > (1u << 31)) {  // before clocks turn over: forget who touched what
    clock_ = 0;
    std::memset(static_cast<void*>(shared_map.words), 0, kSharedAddresses / 4 * sizeof(SharedWord));
    std::memset(static_cast<void*>(shared_map.product_reads), 0, sizeof(ProductReads));
    for (auto& list : readers_) list.clear();
  }
  published_.clear();
  fences_ = false;
  std::vector<uint32_t> order(launch.grid.count());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  current_block = this;
  for (uint32_t i = 0; i < order.size(); ++i) {
    std::swap(order[i], order[i + choice.below(static_cast<uint32_t>(order.size()) - i)]);
    run_block(order[i], choice);
  }
  current_block = nullptr;
}

void Block::run_block(uint64_t block, Choice&) {
  const Dim3 grid = launch_.grid, dim = launch_.block;
  index_ = {static_cast<uint32_t>(block % grid.x), static_cast<uint32_t>(block / grid.x % grid.y),
            static_cast<uint32_t>(block / grid.x / grid.y)};
  ordered_clock = clock_;
  ++clock_;
  ready_.clear();
  for (uint32_t i = 0; i < threads_; ++i) {
    Thread& t = thread_[i];
    t.access = {launch_.number, static_cast<uint32_t>(block), clock_, static_cast<uint16_t>(i), 0, 0};
    t.id = i, t.lane = i % kWarpSize, t.warp = i / kWarpSize;
    t.index = {i % dim.x, i / dim.x % dim.y, i / dim.x / dim.y};
    t.state = ThreadState::ready;
    t.view.reset();
    t.atomics = 0;
    t.fenced = false;
    t.copies.clear();
    t.group = 0;
    t.proxy_fences.clear();
    t.wgmma_fenced = false;
    t.product_group = 0;
    t.product_where = {};
    ready_.push_back(static_cast<uint16_t>(i));
  }
  std::memset(shared_map.states, kOutside, std::max(shared_used_, launch_.shared_bytes));
  std::memset(shared_map.states, kFresh, launch_.shared_bytes);
  std::memset(shared_map.bytes, kPoison, launch_.shared_bytes);
  shared_used_ = launch_.shared_bytes;
  static_used_ = 0;
  statics_.clear();
  for (auto& list : gatherings_) list.clear();
  for (auto& named : named_) named = {};
  at_barrier_ = barrier_count_ = ended_ = 0;
  error_ = nullptr;
  known_.clear();
  seen_.clear();
  known_count_ = 0;
  mbarriers_->start_block();
  products_->start_block();

  switch_to(take_ready());
  if (error_ == nullptr) {
    try {
      if (ended_ < threads_) report_stuck();
      mbarriers_->end_block();
      products_->end_block();
    } catch (...) {
      error_ = std::current_exception();
    }
  }
  if (error_ != nullptr) {
    // The others stand somewhere in the kernel and never go on; what they hold on their stacks is trivial.
    for (auto& t : thread_) make_context(t);
    current_block = nullptr;
    std::rethrow_exception(error_);
  }
}

Thread* Block::take_ready() {
  while (ready_.empty() && mbarriers_->bring_one()) {
  }
  if (ready_.empty()) return nullptr;
  const uint32_t i = choice_->below(static_cast<uint32_t>(ready_.size()));
  Thread* t = &thread_[ready_[i]];
  ready_[i] = ready_.back();
  ready_.pop_back();
  return t;
}

void Block::make_ready(Thread& t) {
  t.state = ThreadState::ready;
  ready_.push_back(static_cast<uint16_t>(t.id));
}

void Block::wait() { switch_to(take_ready()); }

void Block::step_aside() {
  if (ready_.empty() || choice_->below(4) != 0) return;
  make_ready(*current_thread);
  wait();
}

size_t Block::view_size() const { return threads_ + ProductReads::kWarps + mbarriers_->count(); }

void Block::learn(std::vector<uint32_t>& view, const std::vector<uint32_t>& other) {
  if (view.size() < other.size()) view.resize(other.size());
  for (size_t i = 0; i < other.size(); ++i) view[i] = std::max(view[i], other[i]);
}

void Block::yield_sometimes() {
  Thread& t = *current_thread;
  if (++t.atomics > kAtomicsInARow) {
    report(FindingKind::endless, fmt::format("{} atomic operations between two barriers: does it spin?", t.atomics),
           t.where);
  }
  if (ready_.empty() || choice_->below(8) != 0) return;
  make_ready(t);
  wait();
}

void Block::fence_device() {
  fences_ = true;
  current_thread->fenced = true;
  if (seen_.empty()) return;
  known_ = seen_;
  known_count_ = static_cast<uint64_t>(std::count(known_.begin(), known_.end(), true));
}

void Block::order_by_atomic(uintptr_t address) {
  if (!fences_) return;
  const uint32_t self = current_thread->access.block;
  auto& blocks = published_[address];
  for (const uint32_t other : blocks) {
    if (other == self) continue;
    if (seen_.empty()) seen_.resize(launch_.grid.count());
    seen_[other] = true;
  }
  if (!current_thread->fenced) return;
  const auto publish = [&](uint32_t block) {
    if (std::find(blocks.begin(), blocks.end(), block) == blocks.end()) blocks.push_back(block);
  };
  publish(self);
  for (uint32_t other = 0; other < known_.size(); ++other) {
    if (known_[other]) publish(other);
  }
}

void Block::thread_ended() {
  products_->require_none_in_flight(*current_thread);
  current_thread->state = ThreadState::ended;
  ++ended_;
}

AddressRange Block::static_shared(const void* key, uint32_t bytes, const Where& where) {
  for (const auto& s : statics_) {
    if (s.key == key) return s.range;
  }
  const uint32_t begin = (shared_used_ + kSharedAlignment - 1) / kSharedAlignment * kSharedAlignment + kSharedAlignment;
  static_used_ += (bytes + kSharedAlignment - 1) / kSharedAlignment * kSharedAlignment;
  if (static_used_ > limits().static_shared) {
    report(FindingKind::bad_launch,
           fmt::format("{} bytes of static shared memory, more than {} of {}", static_used_, limits().static_shared,
                       limits().name),
           where);
  }
  if (static_used_ + launch_.shared_bytes > limits().dynamic_shared) {
    report(FindingKind::bad_launch,
           fmt::format("{} bytes of static and {} of dynamic shared memory, more than {} of {}", static_used_,
                       launch_.shared_bytes, limits().dynamic_shared, limits().name),
           where);
  }
  shared_used_ = begin + bytes;
  std::memset(shared_map.states + begin, kFresh, bytes);
  std::memset(shared_map.bytes + begin, kPoison, bytes);
  statics_.push_back({key, {begin, begin + bytes}});
  return statics_.back().range;
}

std::vector<Access>& Block::readers(SharedWord& word) {
  if (word.more == 0) {
    if (readers_.empty()) readers_.emplace_back();  // 0 stands for none
    readers_.emplace_back();
    word.more = static_cast<uint32_t>(readers_.size() - 1);
  }
  return readers_[word.more];
}

std::string Block::text_of_thread(uint32_t id) const {
  if (id >= writer_of_boxes(0)) return mbarriers_->text_of_copies(id - writer_of_boxes(0));
  if (id >= threads_) return fmt::format("the products of warp {}", id - threads_);
  const Thread& t = thread_[id];
  return fmt::format("thread {} ({}, {}, {}), warp {} lane {}", id, t.index.x, t.index.y, t.index.z, t.warp, t.lane);
}

std::string Block::text_of_threads(const std::vector<uint32_t>& ids) const {
  std::string text = ids.size() == 1 ? "thread " : "threads ";
  for (size_t i = 0; i < ids.size();) {
    size_t j = i;
    while (j + 1 < ids.size() && ids[j + 1] == ids[j] + 1) ++j;
    text += i == 0 ? "" : ", ";
    text += j == i ? fmt::format("{}", ids[i]) : fmt::format("{}-{}", ids[i], ids[j]);
    i = j + 1;
  }
  return text;
}

}  // namespace gfsa::emulator
