#include "core/cuda/emulated/access.h"

#include <algorithm>

#include "core/cuda/emulated/mbarrier.h"

namespace gfsa::emulator {
namespace {

const char* verb(AccessKind kind) {
  constexpr const char* kVerbs[] = {"read", "write", "atomic"};
  return kVerbs[static_cast<int>(kind)];
}

std::string describe_shared(int64_t address, AddressRange range) {
  const int64_t begin = static_cast<int64_t>(range.begin), end = static_cast<int64_t>(range.end);
  std::string text = fmt::format("shared array of {} bytes, offset {}", end - begin, address - begin);
  if (address < begin) text += fmt::format(" ({} bytes before it)", begin - address);
  if (address >= end) text += fmt::format(" ({} bytes beyond its end)", address - end);
  return text;
}

std::string at(uint64_t address, AddressRange range, bool shared) {
  if (range.end == 0) return shared ? "an empty shared array" : "a null pointer";
  return shared ? describe_shared(static_cast<int32_t>(address), range) : global_memory().describe(address, range);
}

// Alignment and bounds, the same in both memories.
void check_place(AccessKind kind, uint64_t address, uint32_t bytes, AddressRange range, bool shared,
                 const Where& where) {
  const char* memory = shared ? "shared" : "global";
  // Wrapped around: a negative offset from the start of shared memory.
  const uint64_t last = shared ? uint64_t{static_cast<uint32_t>(address)} + bytes : address + bytes;
  if (address < range.begin || last > range.end) {
    report(FindingKind::out_of_bounds,
           fmt::format("out of bounds: {} of {} bytes in {} memory at {}", verb(kind), bytes, memory,
                       at(address, range, shared)),
           where);
  }
  if (address % bytes != 0) {
    report(FindingKind::misaligned,
           fmt::format("misaligned: {} of {} bytes in {} memory at {}", verb(kind), bytes, memory,
                       at(address, range, shared)),
           where);
  }
}

std::string text_of_past(const Access& past, bool same_block) {
  const char* did = (past.flags & kAtomic) ? "atomic" : "access";
  std::string who = same_block ? current_block->text_of_thread(past.thread)
                               : fmt::format("block {}, thread {}", past.block, past.thread);
  return fmt::format("{} by {} at {}", did, who, text_of(where_of(past.site)));
}

[[noreturn]] void report_shared_race(AccessKind kind, const char* past_verb, const Access& past, const Access& now,
                                     uint32_t address) {
  if (Mbarriers::wrote(past)) {
    report(FindingKind::missing_wait,
           fmt::format("missing wait: {} here of byte {} in shared memory, which {} at {} wrote; this thread has not "
                       "waited there, nor learnt of it from one that has",
                       verb(kind), address, current_block->text_of_thread(past.thread), text_of(where_of(past.site))),
           where_of(now.site));
  }
  report(FindingKind::shared_race,
         fmt::format("race in shared memory, byte {}: {} here, {} by {} at {}, and no barrier between", address,
                     verb(kind), past_verb, current_block->text_of_thread(past.thread), text_of(where_of(past.site))),
         where_of(now.site));
}

// Of the i-th byte of an access, which nobody wrote.
void report_uninitialised(AccessKind kind, uintptr_t address, uint32_t bytes, AddressRange range, bool shared,
                          uint32_t i, const Where& where) {
  report(FindingKind::uninitialised,
         fmt::format("uninitialised: {} of {} bytes in {} memory at {}; nobody wrote byte {} of them", verb(kind),
                     bytes, shared ? "shared" : "global", at(address, range, shared), i),
         where);
}

}  // namespace

void check_global_bytes(AccessKind kind, uintptr_t address, uint32_t bytes, AddressRange range, const Where& where) {
  check_place(kind, address, bytes, range, false, where);
  uint8_t* states = memory_map.states + (address - memory_map.base);
  for (uint32_t i = 0; i < bytes; ++i) {
    if (states[i] == kFreed || states[i] == kOutside) {
      report(FindingKind::use_after_free,
             fmt::format("use after free: {} of {} bytes in global memory at {}, which was released", verb(kind), bytes,
                         at(address, range, false)),
             where);
    }
    if (states[i] == kFresh && kind != AccessKind::write) {
      report_uninitialised(kind, address, bytes, range, false, i, where);
    }
    states[i] = kWritten;
  }
}

void check_global_word(AccessKind kind, WordHistory& word, const Access& now, uintptr_t address) {
  const Thread& me = *current_thread;
  const auto race = [&](const char* past_verb, const Access& past) {
    const bool same_block = past.block == me.access.block;
    report(FindingKind::global_race,
           fmt::format("race in global memory at {}: {} here, {}, a {}, and nothing orders them",
                       at(address, global_memory().find(address), false), verb(kind), text_of_past(past, same_block),
                       past_verb),
           where_of(now.site));
  };
  const Access& w = word.write;
  const bool both_atomic = kind == AccessKind::atomic && (w.flags & kAtomic);
  const bool collides = !harmless(w, me) || after_others(w, now);
  if (collides && (w.flags & now.flags & kBytes) && !both_atomic) race("write", w);
  if (kind == AccessKind::read) return;
  const Access& r = word.read;
  if (r.launch != now.launch) {
    word.read = {};
  } else if ((r.flags & now.flags & kBytes) && (!harmless(r, me) || after_others(r, now))) {
    race((r.flags & kManyBlocks) ? "read, and reads by other blocks" : "read", r);
  }
}

void check_shared_bytes(AccessKind kind, uint32_t address, uint32_t bytes, AddressRange range, const Where& where) {
  check_place(kind, address, bytes, range, true, where);
  uint8_t* states = shared_map.states + address;
  for (uint32_t i = 0; i < bytes; ++i) {
    if (states[i] == kInFlight) {
      for (uint32_t id = 0; id < current_block->threads(); ++id) {
        for (const PendingCopy& copy : current_block->thread(id).copies) {
          if (address + i - copy.to >= copy.bytes) continue;
          report(FindingKind::missing_wait,
                 fmt::format("missing wait: {} of {} bytes in shared memory at {}, which the copy_async by {} at {} "
                             "writes; that thread has not waited for it",
                             verb(kind), bytes, at(address, range, true), current_block->text_of_thread(id),
                             text_of(copy.where)),
                 where);
        }
      }
      current_block->mbarriers().report_box_over(
          address + i,
          fmt::format("{} of {} bytes in shared memory at {}", verb(kind), bytes, at(address, range, true)), where);
    }
    if (states[i] == kFresh && kind != AccessKind::write) {
      report_uninitialised(kind, address, bytes, range, true, i, where);
    }
    states[i] = kWritten;
  }
}

void check_shared_word(AccessKind kind, SharedWord& word, const Access& now, uint32_t address) {
  const Thread& me = *current_thread;
  const auto collides = [&](const Access& past) {
    return (!Block::ordered(me, past) || after_others(past, now)) && (past.flags & now.flags & kBytes) != 0;
  };
  if (collides(word.write) && !(kind == AccessKind::atomic && (word.write.flags & kAtomic))) {
    report_shared_race(kind, (word.write.flags & kAtomic) ? "atomic" : "write", word.write, now, address);
  }
  if (kind == AccessKind::read) return;
  if (collides(word.read)) report_shared_race(kind, "read", word.read, now, address);
  if (word.more == 0) return;
  auto& readers = current_block->readers(word);
  for (const Access& reader : readers) {
    if (collides(reader)) report_shared_race(kind, "read", reader, now, address);
  }
  // All of them lie before this write, or touch other bytes of the word.
  std::erase_if(readers, [&](const Access& reader) { return Block::ordered(me, reader); });
}

void check_product_reads(AccessKind kind, const Access& now, uint32_t address) {
  const Thread& me = *current_thread;
  for (uint32_t warp = 0; warp < ProductReads::kWarps; ++warp) {
    const ProductReads::Read& read = shared_map.product_reads->by_warp[warp][address / 16];
    Access past = me.access;
    past.thread = static_cast<uint16_t>(current_block->reader_of_products(warp));
    past.clock = read.clock;
    past.site = read.site;
    past.flags = 0;
    if (!Block::ordered(me, past)) report_shared_race(kind, "read", past, now, address);
  }
}

void add_shared_reader(SharedWord& word, const Access& now) {
  const Thread& me = *current_thread;
  auto& readers = current_block->readers(word);
  if (!readers.empty()) {
    Access& last = readers.back();
    if (last.thread == now.thread && last.clock == now.clock) {
      last.flags |= now.flags;
      return;
    }
    // After a barrier all the old ones lie before; without one, looking through them again would find nothing.
    if (Block::ordered(me, last)) std::erase_if(readers, [&](const Access& r) { return Block::ordered(me, r); });
  }
  readers.push_back(now);
}

}  // namespace gfsa::emulator
