#include "core/arena.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "base/strings.h"

namespace gfsa {
namespace {
constexpr uint64_t kAlignment = 64;
constexpr uint64_t kSegment = uint64_t{32} << 20;  // small requests share segments of this size
constexpr uint64_t kPage = uint64_t{2} << 20;      // large ones are rounded to huge pages
}  // namespace

struct Arena::Impl {
  using Key = std::pair<uint64_t, char*>;  // (bytes, address): best fit, then lowest address
  using FreeBlocks = std::set<Key>;
  struct Block {
    uint64_t bytes;
    char* segment;
    bool free;
    // Of free_blocks, while the block is in use: giving memory back happens in destructors and must not need any.
    FreeBlocks::node_type node;
  };
  using Blocks = std::map<char*, Block>;

  Device device;
  bool every_block = false;  // DeviceBackend::wants_every_block(): no segments, no free blocks
  mutable std::mutex mutex;
  Blocks blocks;  // by address; neighbours in a segment are adjacent here
  FreeBlocks free_blocks;
  std::map<char*, uint64_t> segments;
  ArenaFigures figures;

  void* allocate_one(uint64_t bytes) {
    const std::lock_guard lock(mutex);
    void* memory = backend(device).allocate(bytes);
    if (memory == nullptr) {
      fail("{}: out of memory: {} wanted, {} in use", device.text(), human_bytes(static_cast<double>(bytes)),
           human_bytes(static_cast<double>(figures.current)));
    }
    blocks.emplace(static_cast<char*>(memory), Block{bytes, nullptr, false, {}});
    figures.current += bytes;
    figures.reserved += bytes;
    figures.peak = std::max(figures.peak, figures.current);
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
    free_blocks.insert(std::move(block.node));
  }
  void take_out(Blocks::iterator it) {
    Block& block = it->second;
    block.free = false;
    block.node = free_blocks.extract({block.bytes, it->first});
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

  void release_free_segments() {
    for (auto it = segments.begin(); it != segments.end();) {
      const auto block = blocks.find(it->first);
      if (block->second.free && block->second.bytes == it->second) {
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

  void add_segment(uint64_t bytes) {
    const uint64_t size = bytes <= kSegment / 2 ? kSegment : (bytes + kPage - 1) / kPage * kPage;
    auto node = new_node();
    void* memory = backend(device).allocate(size);
    if (memory == nullptr) {
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
      block = blocks.emplace(start, Block{size, start, false, std::move(node)}).first;
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
  auto fit = impl_->free_blocks.lower_bound({wanted, nullptr});
  if (fit == impl_->free_blocks.end()) {
    impl_->add_segment(wanted);
    fit = impl_->free_blocks.lower_bound({wanted, nullptr});
  }
  const auto it = impl_->blocks.find(fit->second);
  auto& block = it->second;
  if (block.bytes > wanted) {
    char* rest = it->first + wanted;
    const auto other =
        impl_->blocks.emplace(rest, Impl::Block{block.bytes - wanted, block.segment, false, Impl::new_node()}).first;
    impl_->take_out(it);
    block.bytes = wanted;
    impl_->enter(other);
  } else {
    impl_->take_out(it);
  }
  impl_->figures.current += wanted;
  impl_->figures.peak = std::max(impl_->figures.peak, impl_->figures.current);
  return it->first;
}

void Arena::release(void* block) {
  const std::lock_guard lock(impl_->mutex);
  const auto it = impl_->blocks.find(static_cast<char*>(block));
  if (it == impl_->blocks.end() || it->second.free) fail("arena: released a block that is not in use");
  impl_->figures.current -= it->second.bytes;
  if (impl_->every_block) {
    backend(impl_->device).release(block, it->second.bytes);
    impl_->figures.reserved -= it->second.bytes;
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
