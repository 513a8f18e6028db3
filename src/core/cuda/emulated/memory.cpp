#include "core/cuda/emulated/memory.h"

#include <sys/mman.h>

#include <cstring>
#include <deque>
#include <map>
#include <unordered_map>
#include <vector>

namespace gfsa::emulator {
namespace {
constexpr size_t kAlignment = 256;                   // as cudaMalloc gives
constexpr size_t kRedZone = 256;                     // nobody's bytes behind each allocation
constexpr size_t kQuarantine = size_t{256} << 20;    // freed bytes whose addresses rest
constexpr size_t kGiveBackAbove = size_t{64} << 10;  // larger freed pieces return their pages to the system

char* reserve(size_t bytes, int protection) {
  void* memory = ::mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    fail("emulated device: cannot reserve {} GiB of address space; lift `ulimit -v`", bytes >> 30);
  }
  ::madvise(memory, bytes, MADV_DONTDUMP);
  return static_cast<char*>(memory);
}
size_t rounded(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment + kRedZone; }
}  // namespace

struct GlobalMemory::Impl {
  struct Allocation {
    size_t bytes;
    uint64_t number;
    bool freed;
  };
  std::map<uintptr_t, Allocation> allocations;
  std::unordered_map<size_t, std::vector<uintptr_t>> reusable;  // by rounded size
  std::deque<uintptr_t> quarantine;
  size_t quarantined = 0, used = 0, next = 0;
  uint64_t count = 0;
};

GlobalMemory::GlobalMemory() : impl_(new Impl) {
  memory_map.base = reinterpret_cast<uintptr_t>(reserve(kAddresses, PROT_NONE));
  memory_map.bytes = reserve(kAddresses, PROT_READ | PROT_WRITE);
  memory_map.states = reinterpret_cast<uint8_t*>(reserve(kAddresses, PROT_READ | PROT_WRITE));
  memory_map.words =
      reinterpret_cast<WordHistory*>(reserve(kAddresses / 4 * sizeof(WordHistory), PROT_READ | PROT_WRITE));
}

GlobalMemory& global_memory() {
  static auto* memory = new GlobalMemory;
  return *memory;
}

size_t GlobalMemory::used() const { return impl_->used; }

void* GlobalMemory::allocate(size_t bytes) {
  Impl& m = *impl_;
  const size_t size = rounded(bytes);
  if (m.used + size > kCapacity) return nullptr;
  uintptr_t address = 0;
  if (auto& list = m.reusable[size]; !list.empty()) {
    address = list.back();
    list.pop_back();
  } else {
    if (m.next + size > kAddresses) return nullptr;
    address = memory_map.base + m.next;
    m.next += size;
  }
  m.used += size;
  m.allocations[address] = {bytes, ++m.count, false};
  make_fresh({address, address + bytes});
  return reinterpret_cast<void*>(address);
}

void GlobalMemory::release(uintptr_t address) {
  Impl& m = *impl_;
  const auto it = m.allocations.find(address);
  if (it == m.allocations.end() || it->second.freed) {
    report_on_host(FindingKind::stream, fmt::format("release of {:#x}, which is not a live allocation", address));
  }
  it->second.freed = true;
  make_freed({address, address + it->second.bytes});
  m.used -= rounded(it->second.bytes);
  m.quarantine.push_back(address);
  m.quarantined += rounded(it->second.bytes);
  while (m.quarantined > kQuarantine) {
    const auto oldest = m.allocations.find(m.quarantine.front());
    m.quarantine.pop_front();
    m.quarantined -= rounded(oldest->second.bytes);
    m.reusable[rounded(oldest->second.bytes)].push_back(oldest->first);
  }
}

void GlobalMemory::make_fresh(AddressRange range) {
  std::memset(real_address(range.begin), kPoison, range.end - range.begin);
  std::memset(memory_map.states + (range.begin - memory_map.base), kFresh, range.end - range.begin);
}

void GlobalMemory::make_freed(AddressRange range) {
  const size_t bytes = range.end - range.begin;
  std::memset(memory_map.states + (range.begin - memory_map.base), kFreed, bytes);
  if (bytes < kGiveBackAbove) return;
  constexpr uintptr_t kPage = 4096;
  const uintptr_t begin = (range.begin + kPage - 1) / kPage * kPage, end = range.end / kPage * kPage;
  ::madvise(real_address(begin), end - begin, MADV_DONTNEED);
  const size_t word = (begin - memory_map.base) / 4, words = (end - begin) / 4;  // whole pages: 1024 words are 10
  ::madvise(memory_map.words + word, words * sizeof(WordHistory), MADV_DONTNEED);
}

AddressRange GlobalMemory::find(uintptr_t address) const {
  auto it = impl_->allocations.upper_bound(address);
  if (it == impl_->allocations.begin()) return {};
  --it;
  // One beyond the end belongs to it: an empty tensor's data.
  return address <= it->first + it->second.bytes ? AddressRange{it->first, it->first + it->second.bytes}
                                                 : AddressRange{};
}

bool GlobalMemory::is_freed(uintptr_t begin) const {
  const auto it = impl_->allocations.find(begin);
  return it == impl_->allocations.end() || it->second.freed;
}

bool GlobalMemory::contains(const void* pointer) const {
  return reinterpret_cast<uintptr_t>(pointer) - memory_map.base < kAddresses;
}

std::string GlobalMemory::describe(uintptr_t address, AddressRange range) const {
  const auto it = impl_->allocations.find(range.begin);
  if (range.begin == 0 || it == impl_->allocations.end()) return fmt::format("address {:#x}", address);
  std::string text = fmt::format("allocation #{} of {} bytes, offset {}", it->second.number, it->second.bytes,
                                 static_cast<int64_t>(address - range.begin));
  if (address < range.begin) text += fmt::format(" ({} bytes before it)", range.begin - address);
  if (address >= range.end) text += fmt::format(" ({} bytes beyond its end)", address - range.end);
  return text;
}

void GlobalMemory::require(const char* what, const void* pointer, size_t bytes) const {
  if (bytes == 0) return;
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  if (!contains(pointer)) {
    report_on_host(FindingKind::stream, fmt::format("{}: {} is not device memory", what, pointer));
  }
  const AddressRange range = find(address);
  if (address < range.begin || address + bytes > range.end || range.begin == 0) {
    report_on_host(FindingKind::out_of_bounds,
                   fmt::format("{} of {} bytes at {}", what, bytes, describe(address, range)));
  }
  if (memory_map.states[address - memory_map.base] == kFreed) {
    report_on_host(FindingKind::use_after_free,
                   fmt::format("{} of {} bytes at {}, which was released", what, bytes, describe(address, range)));
  }
}

void GlobalMemory::require_written(const char* what, const void* pointer, size_t bytes) const {
  require(what, pointer, bytes);
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  for (size_t i = 0; i < bytes; ++i) {
    if (memory_map.states[address - memory_map.base + i] == kWritten) continue;
    report_on_host(FindingKind::uninitialised,
                   fmt::format("uninitialised: {} reads {} bytes at {}; nobody wrote byte {}", what, bytes,
                               describe(address, find(address)), i));
  }
}

namespace {
size_t offset_of(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) - memory_map.base; }
}  // namespace

void GlobalMemory::write(void* to, const void* from, size_t bytes) {
  if (bytes == 0) return;  // then the host's side may be null
  require("copy to the device", to, bytes);
  std::memcpy(memory_map.bytes + offset_of(to), from, bytes);
  std::memset(memory_map.states + offset_of(to), kWritten, bytes);
}
void GlobalMemory::read(void* to, const void* from, size_t bytes) const {
  if (bytes == 0) return;  // then the host's side may be null
  require("copy to the host", from, bytes);
  std::memcpy(to, memory_map.bytes + offset_of(from), bytes);
}
void GlobalMemory::copy(void* to, const void* from, size_t bytes) {
  require("copy on the device, from", from, bytes);
  require("copy on the device, to", to, bytes);
  std::memmove(memory_map.bytes + offset_of(to), memory_map.bytes + offset_of(from), bytes);
  std::memmove(memory_map.states + offset_of(to), memory_map.states + offset_of(from), bytes);
}
void GlobalMemory::fill(void* to, uint8_t byte, size_t bytes) {
  require("fill", to, bytes);
  std::memset(memory_map.bytes + offset_of(to), byte, bytes);
  std::memset(memory_map.states + offset_of(to), kWritten, bytes);
}

}  // namespace gfsa::emulator
