// tasks.h -- independent tasks over the thread team, each thread with scratch memory that was allocated before the
// region.
#pragma once

#include <algorithm>
#include <atomic>

#include "base/threads.h"
#include "core/tensor.h"

namespace gfsa::kernels {

// Names places in a piece of scratch memory: first add() all, then take pointers with at().
class ScratchLayout {
 public:
  template <class T>
  int64_t add(int64_t elements) {
    const int64_t at = bytes_;
    bytes_ += (elements * static_cast<int64_t>(sizeof(T)) + kAlignment - 1) / kAlignment * kAlignment;
    return at;
  }
  int64_t bytes() const { return bytes_; }

 private:
  static constexpr int64_t kAlignment = 64;
  int64_t bytes_ = 0;
};

class Scratch {
 public:
  explicit Scratch(char* base) : base_(base) {}
  template <class T>
  T* at(int64_t offset) const {
    return reinterpret_cast<T*>(base_ + offset);
  }

 private:
  char* base_;
};

// body(task, scratch) for every task in [0, tasks). A thread takes the next few when it is done with its own: tasks may
// cost different amounts, and so may cores that others use as well.
template <class Body>
void for_each_task(int64_t tasks, const ScratchLayout& layout, const Body& body) {
  constexpr int64_t kTurns = 8, kMost = 16;  // turns a thread; tasks a turn, neighbours whose memory is one page
  const int64_t slots = std::clamp<int64_t>(threads(), 1, std::max<int64_t>(1, tasks));
  const int64_t some = std::clamp<int64_t>(tasks / (kTurns * slots), 1, kMost);
  const Tensor memory = Tensor::empty({slots, std::max<int64_t>(layout.bytes(), 1)}, DType::u8);
  std::atomic<int64_t> next{0};
  parallel_for(slots, 1, [&](int64_t slot, int64_t /*end*/) {
    const Scratch scratch(reinterpret_cast<char*>(memory.data<uint8_t>()) + slot * layout.bytes());
    for (int64_t first = next.fetch_add(some); first < tasks; first = next.fetch_add(some)) {
      for (int64_t task = first; task < std::min(tasks, first + some); ++task) body(task, scratch);
    }
  });
}

}  // namespace gfsa::kernels
