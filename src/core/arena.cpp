#include "core/arena.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/strings.h"

namespace gfsa {
namespace {
constexpr uint64_t kAlignment = 64;
constexpr uint64_t kSegment = uint64_t{32} << 20;         // small requests share segments of this size
constexpr uint64_t kPage = uint64_t{2} << 20;             // large ones are rounded to huge pages
using FreeBlocks = std::set<std::pair<uint64_t, char*>>;  // (bytes, address): best fit, then lowest address
}  // namespace

struct Arena::Pool {
  FreeBlocks free_blocks;
  uint64_t live = 0, most = 0;  // bytes in use, now and at the most
  uint64_t recorded = 0;        // released in a scope of it where each block is the system's: the graph's until it ends
};

struct Arena::Impl {
  struct Block {
    uint64_t bytes;
    char* segment;
    bool free;
    Pool* pool;
    // Of free_blocks, while the block is in use: giving memory back happens in destructors and must not need any.
    FreeBlocks::node_type node;
  };
  using Blocks = std::map<char*, Block>;

  Device device;
  bool every_block = false;  // DeviceBackend::wants_every_block(): no segments, no free blocks
  mutable std::mutex mutex;
  Blocks blocks;  // by address; neighbours in a segment are adjacent here
  std::map<char*, uint64_t> segments;
  ArenaFigures figures;
  Pool common;                 // everybody's; only its free blocks count
  Pool* scope_pool = nullptr;  // of ArenaPoolScope, for one thread
  std::thread::id scope_thread;

  bool in_scope() const { return scope_pool != nullptr && scope_thread == std::this_thread::get_id(); }
  Pool& pool() { return in_scope() ? *scope_pool : common; }
  void count(Pool& p, uint64_t bytes) {
    if (&p == &common) {
      figures.current += bytes;
    } else if (p.live += bytes; p.live > p.most) {
      figures.current += p.live - p.most;
      p.most = p.live;
    }
    figures.peak = std::max(figures.peak, figures.current);
  }
  void discount(Pool& p, uint64_t bytes) { (&p == &common ? figures.current : p.live) -= bytes; }

  void* allocate_one(uint64_t bytes) {
    const std::lock_guard lock(mutex);
    void* memory = backend(device).allocate(bytes);
    if (memory == nullptr) {
      fail("{}: out of memory: {} wanted, {} in use", device.text(), human_bytes(static_cast<double>(bytes)),
           human_bytes(static_cast<double>(figures.current)));
    }
    blocks.emplace(static_cast<char*>(memory), Block{bytes, nullptr, false, &pool(), {}});
    count(pool(), bytes);
    figures.reserved += bytes;
    ++figures.system_allocations;
    return memory;
  }

  static FreeBlocks::node_type new_node() {
    FreeBlocks one{{0, nullptr}};
    return one.extract(one.begin());
  }
  // Neither allocates.
  void enter(Blocks::iterator it) {
    Block& block = it->second;
    block.free = true;
    block.node.value() = {block.bytes, it->first};
    block.pool->free_blocks.insert(std::move(block.node));
  }
  void take_out(Blocks::iterator it) {
    Block& block = it->second;
    block.free = false;
    block.node = block.pool->free_blocks.extract({block.bytes, it->first});
  }

  void make_free(Blocks::iterator it) {
    const auto joins = [&](Blocks::iterator other) {
      return other->second.free && other->second.segment == it->second.segment;
    };
    if (const auto next = std::next(it); next != blocks.end() && joins(next)) {
      take_out(next);
      it->second.bytes += next->second.bytes;
      blocks.erase(next);
    }
    if (it != blocks.begin() && joins(std::prev(it))) {
      const auto previous = std::prev(it);
      take_out(previous);
      previous->second.bytes += it->second.bytes;
      blocks.erase(it);
      it = previous;
    }
    enter(it);
  }

  bool is_free_segment(Blocks::const_iterator it) const {
    return it->second.free && it->second.bytes == segments.at(it->second.segment);
  }

  void release_free_segments() {
    for (auto it = segments.begin(); it != segments.end();) {
      const auto block = blocks.find(it->first);
      if (is_free_segment(block) && block->second.pool == &common) {
        take_out(block);
        backend(device).release(it->first, it->second);
        figures.reserved -= it->second;
        blocks.erase(block);
        it = segments.erase(it);
      } else {
        ++it;
      }
    }
  }

  // A segment of everybody's becomes the scope's. Small requests take none of the large ones, which will be wanted.
  bool adopt_segment(uint64_t bytes, uint64_t size) {
    for (auto it = common.free_blocks.lower_bound({bytes, nullptr}); it != common.free_blocks.end(); ++it) {
      const auto block = blocks.find(it->second);
      if (size == kSegment && block->second.bytes > kSegment) return false;
      if (!is_free_segment(block)) continue;
      take_out(block);
      block->second.pool = scope_pool;
      enter(block);
      return true;
    }
    return false;
  }

  void add_segment(uint64_t bytes) {
    const uint64_t size = bytes <= kSegment / 2 ? kSegment : (bytes + kPage - 1) / kPage * kPage;
    if (in_scope() && adopt_segment(bytes, size)) return;
    auto node = new_node();
    void* memory = backend(device).allocate(size);
    if (memory == nullptr && !in_scope()) {  // not while a graph is recorded, which may not give back memory
      release_free_segments();
      memory = backend(device).allocate(size);
    }
    if (memory == nullptr) {
      fail("{}: out of memory: {} wanted, {} in use, {} reserved; lower train.batch_size or raise train.accumulate",
           device.text(), human_bytes(static_cast<double>(bytes)), human_bytes(static_cast<double>(figures.current)),
           human_bytes(static_cast<double>(figures.reserved)));
    }
    char* start = static_cast<char*>(memory);
    Blocks::iterator block;
    try {
      segments.emplace(start, size);
      block = blocks.emplace(start, Block{size, start, false, &pool(), std::move(node)}).first;
    } catch (...) {
      segments.erase(start);
      backend(device).release(memory, size);
      throw;
    }
    figures.reserved += size;
    ++figures.system_allocations;
    enter(block);
  }
};

Arena::Arena(Device device) : impl_(std::make_unique<Impl>()) {
  impl_->device = device;
  impl_->every_block = backend(device).wants_every_block();
}

Arena::~Arena() {
  for (const auto& [start, bytes] : impl_->segments) backend(impl_->device).release(start, bytes);
}

void* Arena::allocate(uint64_t bytes) {
  if (impl_->every_block) return impl_->allocate_one(bytes);
  const uint64_t wanted = std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  const std::lock_guard lock(impl_->mutex);
  Pool& pool = impl_->pool();
  auto fit = pool.free_blocks.lower_bound({wanted, nullptr});
  if (fit == pool.free_blocks.end()) {
    impl_->add_segment(wanted);
    fit = pool.free_blocks.lower_bound({wanted, nullptr});
  }
  const auto it = impl_->blocks.find(fit->second);
  auto& block = it->second;
  if (block.bytes > wanted) {
    char* rest = it->first + wanted;
    const auto other =
        impl_->blocks.emplace(rest, Impl::Block{block.bytes - wanted, block.segment, false, &pool, Impl::new_node()})
            .first;
    impl_->take_out(it);
    block.bytes = wanted;
    impl_->enter(other);
  } else {
    impl_->take_out(it);
  }
  impl_->count(pool, wanted);
  return it->first;
}

void Arena::release(void* block) {
  const std::lock_guard lock(impl_->mutex);
  const auto it = impl_->blocks.find(static_cast<char*>(block));
  if (it == impl_->blocks.end() || it->second.free) fail("arena: released a block that is not in use");
  const uint64_t bytes = it->second.bytes;
  impl_->discount(*it->second.pool, bytes);
  if (impl_->every_block) {
    backend(impl_->device).release(block, bytes);
    if (impl_->in_scope()) {
      impl_->scope_pool->recorded += bytes;
    } else {
      impl_->figures.reserved -= bytes;
    }
    impl_->blocks.erase(it);
    return;
  }
  impl_->make_free(it);
}

ArenaFigures Arena::figures() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->figures;
}

void Arena::reset_peak() {
  const std::lock_guard lock(impl_->mutex);
  impl_->figures.peak = impl_->figures.current;
}

void Arena::trim() {
  const std::lock_guard lock(impl_->mutex);
  impl_->release_free_segments();
}

ArenaPool::ArenaPool(Arena& arena) : arena_(arena), pool_(std::make_unique<Arena::Pool>()) {}

ArenaPool::~ArenaPool() {
  Arena::Impl& impl = *arena_.impl_;
  const std::lock_guard lock(impl.mutex);
  for (auto& [address, block] : impl.blocks) {
    if (block.pool == pool_.get()) block.pool = &impl.common;
  }
  impl.common.free_blocks.merge(pool_->free_blocks);
  impl.figures.current -= pool_->most - pool_->live;
  impl.figures.reserved -= pool_->recorded;
}

ArenaPoolScope::ArenaPoolScope(ArenaPool& pool) : arena_(pool.arena_) {
  Arena::Impl& impl = *arena_.impl_;
  const std::lock_guard lock(impl.mutex);
  if (impl.scope_pool != nullptr) fail("arena of {}: two pools at once", impl.device.text());
  impl.scope_pool = pool.pool_.get();
  impl.scope_thread = std::this_thread::get_id();
}

ArenaPoolScope::~ArenaPoolScope() {
  const std::lock_guard lock(arena_.impl_->mutex);
  arena_.impl_->scope_pool = nullptr;
}

Arena& arena(Device device) {
  // Never destroyed: tensors in static storage may outlive any order of destruction.
  static std::mutex mutex;
  static auto* arenas = new std::map<std::pair<int, int>, std::unique_ptr<Arena>>;
  const std::lock_guard lock(mutex);
  auto& slot = (*arenas)[{static_cast<int>(device.type), device.index}];
  if (!slot) slot = std::make_unique<Arena>(device);
  return *slot;
}

}  // namespace gfsa
