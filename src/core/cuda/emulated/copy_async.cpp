// cp.async: a copy is only noted when it starts, its destination is nobody's until the wait, and the bytes are read and
// written at the wait, as late as the rules allow.
#include "core/cuda/emulated/warp.h"

namespace gfsa::emulated {
namespace {

template <uint32_t kBytesOfCopy>
void note_write(uint32_t to, AddressRange range, uint8_t state, const Where& where) {
  check_shared<AccessKind::write, kBytesOfCopy>(to, range, where);
  std::memset(shared_map.states + to, state, kBytesOfCopy);
}
void note_write(uint32_t bytes, uint32_t to, AddressRange range, uint8_t state, const Where& where) {
  if (bytes == 4) note_write<4>(to, range, state, where);
  if (bytes == 8) note_write<8>(to, range, state, where);
  if (bytes == 16) note_write<16>(to, range, state, where);
}

void arrive(const PendingCopy& copy) {
  const AddressRange range{copy.to, copy.to + copy.bytes};
  std::memset(shared_map.states + copy.to, kFresh, copy.bytes);
  note_write(copy.bytes, copy.to, range, kWritten, copy.where);
  std::memset(shared_map.bytes + copy.to, 0, copy.bytes);
  for (uint32_t i = 0; i < copy.valid_bytes;) {
    // Bytes of a partly valid copy are checked in pieces that are aligned.
    const uintptr_t from = copy.from + i;
    if (copy.valid_bytes - i >= 4) {
      check_global<AccessKind::read, 4>(from, copy.from_range, copy.where);
      std::memcpy(shared_map.bytes + copy.to + i, real_address(from), 4);
      i += 4;
    } else {
      check_global<AccessKind::read, 1>(from, copy.from_range, copy.where);
      shared_map.bytes[copy.to + i] = *real_address(from);
      i += 1;
    }
  }
}

void finish(uint32_t groups_done) {
  auto& copies = current_thread->copies;
  size_t left = 0;
  for (size_t i = 0; i < copies.size(); ++i) {
    if (copies[i].group < groups_done) {
      const PendingCopy copy = copies[i];
      arrive(copy);
    } else {
      copies[left++] = copies[i];
    }
  }
  copies.resize(left);
}

}  // namespace

void start_copy(uint32_t to, AddressRange to_range, uintptr_t from, AddressRange from_range, uint32_t bytes,
                uint32_t valid_bytes, const Where& where) {
  if (valid_bytes > bytes) {
    report(FindingKind::out_of_bounds, fmt::format("copy_async of {} bytes, {} of them valid", bytes, valid_bytes),
           where);
  }
  if (from % bytes != 0 && valid_bytes > 0) {
    report(FindingKind::misaligned,
           fmt::format("misaligned: copy_async of {} bytes from global memory at {}", bytes,
                       global_memory().describe(from, from_range)),
           where);
  }
  if (valid_bytes > 0 && (from < from_range.begin || from + valid_bytes > from_range.end)) {
    report(FindingKind::out_of_bounds,
           fmt::format("out of bounds: copy_async of {} bytes from global memory at {}", valid_bytes,
                       from_range.end == 0 ? "a null pointer" : global_memory().describe(from, from_range)),
           where);
  }
  // From here on the bytes may change at any time: a write, for everybody who reads them.
  note_write(bytes, to, to_range, kInFlight, where);
  Thread& me = *current_thread;
  me.copies.push_back({to, from, from_range, bytes, valid_bytes, me.group, where});
}

void copy_async_commit() { ++current_thread->group; }

void finish_copies(uint32_t groups_left) {
  if (current_thread->group > groups_left) finish(current_thread->group - groups_left);
}

void copy_async_wait_all() { finish(current_thread->group + 1); }

}  // namespace gfsa::emulated
