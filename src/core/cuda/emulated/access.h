// access.h -- every access of a kernel to global and shared memory: bounds, alignment, state of the bytes, order.
// The paths without a finding are inline; what is wrong is worked out in access.cpp.
#pragma once

#include <bit>
#include <cstring>

#include "core/cuda/emulated/block.h"

namespace gfsa::emulator {

enum class AccessKind : uint8_t { read, write, atomic };

// Each throws a Finding, or puts in order what the fast path does not know.
void check_global_bytes(AccessKind kind, uintptr_t address, uint32_t bytes, AddressRange range, const Where& where);
void check_shared_bytes(AccessKind kind, uint32_t address, uint32_t bytes, AddressRange range, const Where& where);
void check_global_word(AccessKind kind, WordHistory& word, const Access& now, uintptr_t address);
void check_shared_word(AccessKind kind, SharedWord& word, const Access& now, uint32_t address);
void add_shared_reader(SharedWord& word, const Access& now);
void check_product_reads(AccessKind kind, const Access& now, uint32_t address);

template <uint32_t kBytesOfAccess>
bool all_written(const uint8_t* states) {
  if constexpr (kBytesOfAccess == 16) {
    return all_written<8>(states) && all_written<8>(states + 8);
  } else {
    using Word = std::conditional_t<
        kBytesOfAccess == 1, uint8_t,
        std::conditional_t<kBytesOfAccess == 2, uint16_t, std::conditional_t<kBytesOfAccess == 4, uint32_t, uint64_t>>>;
    Word word;
    std::memcpy(&word, states, sizeof(word));
    return word == static_cast<Word>(0x0202020202020202ull);
  }
}

// Calls f(word index, byte mask) for each 4-byte word of [offset, offset + bytes).
template <uint32_t kBytesOfAccess, class F>
void for_words(uintptr_t offset, F&& f) {
  if constexpr (kBytesOfAccess < 4) {
    f(offset / 4, static_cast<uint16_t>(((1u << kBytesOfAccess) - 1u) << (offset % 4)));
  } else {
    for (uint32_t i = 0; i < kBytesOfAccess / 4; ++i) f(offset / 4 + i, uint16_t{kBytes});
  }
}

// Is `past` something that an access at the same word cannot collide with: another launch, the same thread, or before.
inline bool harmless(const Access& past, const Thread& me) {
  if (past.launch != me.access.launch) return true;
  return past.block == me.access.block ? Block::ordered(me, past) : current_block->knows(past.block);
}

constexpr uint16_t kMany = kManyBlocks | kManyThreads;

// A plain access after atomics of several, of which the record names only the last.
inline bool after_others(const Access& past, const Access& now) {
  if (past.launch != now.launch) return false;
  if (past.flags & kManyBlocks) return !current_block->knows_all();
  return (past.flags & kManyThreads) && past.block == now.block && past.thread == now.thread && past.clock == now.clock;
}

// What an access that takes the place of `past` in the record keeps of it.
inline uint16_t kept_flags(const Access& past, const Thread& me, AccessKind kind) {
  if (past.launch != me.access.launch) return 0;
  const bool same_time =
      past.block == me.access.block && past.thread == me.access.thread && past.clock == me.access.clock;
  uint16_t flags = same_time ? past.flags & kBytes : 0;
  if (kind == AccessKind::atomic) {
    flags |= past.flags & kManyBlocks;
    if (same_time) flags |= past.flags & kManyThreads;
    if ((past.flags & kAtomic) && !harmless(past, me)) {
      flags |= past.block == me.access.block ? kManyThreads : kManyBlocks;
    }
  }
  return flags;
}

template <AccessKind kKind, uint32_t kBytesOfAccess>
void check_global(uintptr_t address, AddressRange range, const Where& where) {
  const uintptr_t offset = address - memory_map.base;
  if (address % kBytesOfAccess != 0 || address < range.begin || address + kBytesOfAccess > range.end ||
      !all_written<kBytesOfAccess>(memory_map.states + offset)) [[unlikely]] {
    check_global_bytes(kKind, address, kBytesOfAccess, range, where);
  }
  const Thread& me = *current_thread;
  for_words<kBytesOfAccess>(offset, [&](uintptr_t index, uint16_t mask) {
    WordHistory& word = memory_map.words[index];
    Access now = me.access;
    now.flags = mask;
    now.site = site_of(where);
    if constexpr (kKind == AccessKind::read) {
      if (!harmless(word.write, me) || (word.write.flags & kMany)) [[unlikely]] {
        check_global_word(kKind, word, now, address);
      }
      // Other bytes of the word are another's own: one of the two is kept, for they may write them, each his.
      if (harmless(word.read, me) || (word.read.flags & (kManyBlocks | mask)) == 0) {
        word.read = now;
      } else if (word.read.block != now.block) {
        word.read.flags |= kManyBlocks | mask;
      }
    } else {
      if (!harmless(word.write, me) || !harmless(word.read, me) || ((word.write.flags | word.read.flags) & kMany))
          [[unlikely]] {
        check_global_word(kKind, word, now, address);
      }
      if constexpr (kKind == AccessKind::atomic) now.flags |= kAtomic;
      now.flags |= kept_flags(word.write, me, kKind);
      word.write = now;
    }
  });
}

// Readers since the word's last write: one in the word, the others in a list that only words with many readers have.
inline void note_shared_read(SharedWord& word, const Thread& me, const Access& now) {
  if (Block::ordered(me, word.read)) {  // whoever comes after this read comes after that one
    if (word.read.thread != now.thread || word.read.clock != now.clock) {
      word.read = now;
    } else {
      word.read.flags |= now.flags;
    }
    return;
  }
  add_shared_reader(word, now);
}

template <AccessKind kKind, uint32_t kBytesOfAccess>
void check_shared(uint32_t address, AddressRange range, const Where& where) {
  if (address % kBytesOfAccess != 0 || address < range.begin || address + kBytesOfAccess > range.end ||
      !all_written<kBytesOfAccess>(shared_map.states + address)) [[unlikely]] {
    check_shared_bytes(kKind, address, kBytesOfAccess, range, where);
  }
  const Thread& me = *current_thread;
  if constexpr (kKind != AccessKind::read) {
    if (shared_map.product_reads->last[address / 16] > ordered_clock) [[unlikely]] {
      Access now = me.access;
      now.site = site_of(where);
      check_product_reads(kKind, now, address);
    }
  }
  for_words<kBytesOfAccess>(address, [&](uintptr_t index, uint16_t mask) {
    SharedWord& word = shared_map.words[index];
    Access now = me.access;
    now.flags = mask;
    now.site = site_of(where);
    if constexpr (kKind == AccessKind::read) {
      if (!Block::ordered(me, word.write) || (word.write.flags & kMany)) [[unlikely]] {
        check_shared_word(kKind, word, now, address);
      }
      note_shared_read(word, me, now);
    } else {
      if (!Block::ordered(me, word.write) || !Block::ordered(me, word.read) || word.more != 0 ||
          (word.write.flags & kMany)) [[unlikely]] {
        check_shared_word(kKind, word, now, address);
      }
      if constexpr (kKind == AccessKind::atomic) now.flags |= kAtomic;
      now.flags |= kept_flags(word.write, me, kKind);
      word.write = now;
    }
  });
}

}  // namespace gfsa::emulator
