// kept_memory.h -- scratch memory of a thread that products come back to: one piece for each Use, which only grows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gfsa {

// At least so many bytes, aligned to 64. What stood there may be gone when it has grown. Use: any type, as a name.
template <class Use>
void* kept_memory(size_t bytes) {
  thread_local std::vector<char> buffer;
  constexpr size_t kAlignment = 64;
  if (buffer.size() < bytes + kAlignment) buffer = std::vector<char>(bytes + kAlignment);
  const auto address = reinterpret_cast<uintptr_t>(buffer.data());
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the next aligned address
  return reinterpret_cast<void*>((address + kAlignment - 1) / kAlignment * kAlignment);
}

}  // namespace gfsa
