// sample_cache.h -- decoded samples kept in memory, up to a budget.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace gfsa::data {

struct CacheFigures {
  int64_t hits = 0, misses = 0, bytes = 0, samples = 0;
};

// Keeps what comes first and never evicts: every epoch visits every sample once in a new order, so which samples are
// kept does not matter, and throwing one out for another (as LRU does) only costs. Thread safe.
template <class T>
class SampleCache {
 public:
  SampleCache(int64_t samples, int64_t budget_bytes)
      : budget_(budget_bytes), slots_(budget_bytes > 0 ? static_cast<size_t>(samples) : 0) {}

  // Null if it is not there.
  std::shared_ptr<const T> get(int64_t index) {
    if (slots_.empty()) return nullptr;
    std::lock_guard lock(lock_of(index));
    const auto& slot = slots_[static_cast<size_t>(index)];
    (slot ? hits_ : misses_).fetch_add(1, std::memory_order_relaxed);
    return slot;
  }

  // `bytes`: what the value takes. Does nothing if it does not fit any more.
  void put(int64_t index, std::shared_ptr<const T> value, int64_t bytes) {
    if (slots_.empty()) return;
    std::lock_guard lock(lock_of(index));
    auto& slot = slots_[static_cast<size_t>(index)];
    if (slot) return;  // two workers decoded it at once
    if (bytes_.fetch_add(bytes) + bytes > budget_) {
      bytes_.fetch_sub(bytes);
      return;
    }
    slot = std::move(value);
    samples_.fetch_add(1, std::memory_order_relaxed);
  }

  CacheFigures figures() const { return {hits_.load(), misses_.load(), bytes_.load(), samples_.load()}; }

 private:
  std::mutex& lock_of(int64_t index) { return locks_[static_cast<size_t>(index) % locks_.size()]; }

  int64_t budget_;
  std::vector<std::shared_ptr<const T>> slots_;
  std::array<std::mutex, 64> locks_;
  std::atomic<int64_t> hits_{0}, misses_{0}, bytes_{0}, samples_{0};
};

}  // namespace gfsa::data
