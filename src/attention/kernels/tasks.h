// tasks.h -- independent tasks over the thread team, each thread with scratch memory that was allocated before the
// region.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

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

// Runs of tasks first[i] .. first[i + 1] - 1, a thread each.
template <class Body>
void for_each_run(const std::vector<int64_t>& first, const ScratchLayout& layout, const Body& body) {
  const auto slots = static_cast<int64_t>(first.size()) - 1;
  const Tensor memory = Tensor::empty({slots, std::max<int64_t>(layout.bytes(), 1)}, DType::u8);
  parallel_for(slots, 1, [&](int64_t begin, int64_t end) {
    for (int64_t slot = begin; slot < end; ++slot) {
      const Scratch scratch(reinterpret_cast<char*>(memory.data<uint8_t>()) + slot * layout.bytes());
      const auto at = static_cast<size_t>(slot);
      for (int64_t task = first[at]; task < first[at + 1]; ++task) body(task, scratch);
    }
  });
}
inline int64_t slots_for(int64_t tasks) { return std::max<int64_t>(1, std::min<int64_t>(threads(), tasks)); }

// body(task, scratch) for every task in [0, tasks); contiguous runs of tasks a thread.
template <class Body>
void for_each_task(int64_t tasks, const ScratchLayout& layout, const Body& body) {
  const int64_t slots = slots_for(tasks);
  std::vector<int64_t> first;
  for (int64_t slot = 0; slot <= slots; ++slot) first.push_back(tasks * slot / slots);
  for_each_run(first, layout, body);
}

// The same for tasks of different costs (more than 0): runs of about the same cost.
template <class Body>
void for_each_task(const std::vector<double>& cost, const ScratchLayout& layout, const Body& body) {
  const auto tasks = static_cast<int64_t>(cost.size());
  const int64_t slots = slots_for(tasks);
  const double all = std::accumulate(cost.begin(), cost.end(), 0.0);
  std::vector<int64_t> first{0};
  double before = 0;  // of what stands before task
  for (int64_t task = 0; task < tasks; ++task) {
    // A task belongs where its middle falls.
    const double middle = before + cost[static_cast<size_t>(task)] / 2;
    while (static_cast<double>(first.size()) <= middle / all * static_cast<double>(slots)) first.push_back(task);
    before += cost[static_cast<size_t>(task)];
  }
  first.resize(static_cast<size_t>(slots) + 1, tasks);
  for_each_run(first, layout, body);
}

}  // namespace gfsa::kernels
